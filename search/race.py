"""The end of choosing: the best few are trained again with other seeds, and the mean over seeds decides.

One score is partly luck, of the seed and of the validation images, and the best of many scores is partly the luckiest.
So finalists whose lead may be luck get further seeds, round by round; whoever is worse beyond the luck of the images
leaves. All seeds count alike, the one that a finalist was chosen by included: that one flatters each of them.

Source: Maron and Moore, 1993 ("Hoeffding races") and Birattari et al., 2002 ("A racing algorithm for configuring
metaheuristics", F-Race) for racing; ours asks the bootstrap of `search.significance` who leaves.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from statistics import fmean

from search.answers import Answers
from search.repeats import FINALIST, SEED, finalist_of, seed_of
from search.schedulers.base import Action, Finish, Resume, Situation, Start, Wait
from search.significance import is_worse
from search.trials import State, Trial, merit, score
from spaces import Value

MOST_FINALISTS = 4
MOST_ROUNDS = 4  # of one seed each, beside the search's own
MOST_OF_TRAINING = 0.25  # of the seconds that the search trained for
MARGIN = 1.1  # times the estimate of a round that must be left: estimates err
WORSE = "worse on the same images"
FAILED = "failed with another seed"

AnswersOf = Callable[[Trial], Answers | None]  # validation predictions, where they can be read


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a race is."""

    scores: Mapping[int, tuple[float, ...]]  # by finalist: with the search's seed, then of each complete round
    left: Mapping[int, str]  # finalists that are out, and why

    @property
    def num_rounds(self) -> int:
        """Return how many further seeds somebody was trained with."""
        return max(map(len, self.scores.values()), default=1) - 1

    @property
    def racing(self) -> list[int]:
        """Return who is still in it, the best mean first; of equal ones who was better in the search."""
        order = [number for number in self.scores if number not in self.left]
        return sorted(order, key=lambda number: (-fmean(self.scores[number]), order.index(number)))

    @property
    def winner(self) -> int:
        """Return who leads; who led before the race, where all have failed."""
        return next(iter(self.racing or self.scores))


def finalists(trials: Sequence[Trial], objective: str, answers_of: AnswersOf) -> tuple[Trial, ...]:
    """Return the complete trials that may be the best of all, best first: those not worse beyond the images' luck."""
    complete = [trial for trial in trials if trial.state is State.COMPLETE and trial.results]
    complete.sort(key=lambda trial: (merit(trial.results[-1], objective), -trial.number), reverse=True)
    answers = {trial.number: answers_of(trial) for trial in complete[:MOST_FINALISTS]}
    best = answers[complete[0].number] if complete else None
    if best is None:
        return tuple(complete[:1])
    found = [complete[0]]
    for trial in complete[1:MOST_FINALISTS]:
        theirs = answers[trial.number]
        if theirs is not None and not is_worse([theirs], [best], objective):
            found.append(trial)
    return tuple(found)


def affordable(found: Sequence[Trial], seconds: float) -> tuple[Trial, ...]:
    """Return as many of the finalists, best first, as can be repeated once in so many seconds of training."""
    costs = accumulate(trial.train_seconds for trial in found)
    return tuple(trial for trial, cost in zip(found, costs, strict=True) if cost <= seconds)


@dataclass(slots=True, kw_only=True)
class Race:
    """Draws repeats of finalists and decides when they are trained: a sampler and a scheduler of its own."""

    finalists: Sequence[Trial]  # best first
    epochs: float  # that each trains for
    objective: str
    seconds: float  # of training, that it may take
    workers: int
    answers_of: AnswersOf  # of a finalist
    answers_of_repeat: AnswersOf
    _worse: dict[int, frozenset[int]] = field(default_factory=dict)  # by round: who left after it

    def may_begin(self, repeats: Sequence[Trial], seconds_left: float | None) -> bool:
        """Say whether there is a round that can be paid for, or one that has been."""
        return self._next(repeats, seconds_left) is not None or bool(self.standing(repeats).num_rounds)

    def decide(self, situation: Situation) -> Action:
        """Return what to do now."""
        if situation.seconds_left is not None and situation.seconds_left <= 0:
            return Finish()
        if not situation.has_free_slot:
            return Wait()
        racing = self.standing(situation.trials).racing
        for repeat in situation.trials:
            if repeat.is_owed and finalist_of(repeat) in racing:
                return Resume(repeat.number, self.epochs)
        if self._next(situation.trials, situation.seconds_left) is not None:
            return Start(self.epochs)
        is_running = any(repeat.state is State.RUNNING for repeat in situation.trials)
        return Wait() if is_running else Finish()

    def draw(self, trials: Sequence[Trial]) -> dict[str, Value]:
        """Return which finalist is repeated next, and with which seed."""
        found = self._next(trials, None)
        assert found is not None, "it was decided that there is one"
        return {FINALIST: found[0], SEED: found[1]}

    def standing(self, repeats: Sequence[Trial]) -> Standing:
        """Return how far the race is."""
        done = {_key(repeat): repeat for repeat in repeats if repeat.state is State.COMPLETE}
        failed = {finalist_of(repeat) for repeat in repeats if repeat.state is State.FAILED}
        left = {trial.number: FAILED for trial in self.finalists if trial.number in failed}
        scores: dict[int, tuple[float, ...]]
        scores = {trial.number: (score(trial.results[-1], self.objective),) for trial in self.finalists}
        for seed in range(1, MOST_ROUNDS + 1):
            racing = [number for number in scores if number not in left]
            if len(racing) < 2 or any((number, seed) not in done for number in racing):
                break
            for number in racing:
                scores[number] += (score(done[number, seed].results[-1], self.objective),)
            left |= dict.fromkeys(self._who_leaves(racing, seed, done, scores), WORSE)
        return Standing(scores=scores, left=left)

    def _who_leaves(
        self,
        racing: Sequence[int],
        seed: int,
        done: Mapping[tuple[int, int], Trial],
        scores: Mapping[int, tuple[float, ...]],
    ) -> frozenset[int]:
        """Return which finalists are worse than the leader after a round; it is worked out once."""
        if seed not in self._worse:
            own = {trial.number: trial for trial in self.finalists}
            answers = {
                n: (self.answers_of(own[n]), *(self.answers_of_repeat(done[n, s]) for s in range(1, seed + 1)))
                for n in racing
            }
            known = {n: [a for a in found if a is not None] for n, found in answers.items()}
            leader = max(racing, key=lambda n: fmean(scores[n]))
            self._worse[seed] = frozenset(
                n
                for n in racing
                if n != leader and known[n] and known[leader] and is_worse(known[n], known[leader], self.objective)
            )
        return self._worse[seed]

    def _next(self, repeats: Sequence[Trial], seconds_left: float | None) -> tuple[int, int] | None:
        """Return the finalist and the seed of the next repeat, if there is one and it can be paid for."""
        begun = {_key(repeat): repeat for repeat in repeats if repeat.state is not State.PRUNED}
        racing = self.standing(repeats).racing
        if len(racing) < 2:
            return None
        for seed in range(1, MOST_ROUNDS + 1):
            missing = [number for number in racing if (number, seed) not in begun]
            if not missing:
                continue
            is_possible = self._can_pay(missing, begun, seed=seed) and self._is_in_time(missing, seconds_left)
            return (missing[0], seed) if is_possible else None
        return None

    def _can_pay(self, numbers: Sequence[int], begun: Mapping[tuple[int, int], Trial], *, seed: int) -> bool:
        """Say whether the share of training pays for a round, or what is missing of it, beside what has begun.

        In the round itself estimates count, so that none stays half done because a repeat took longer.
        """
        cost = {trial.number: trial.train_seconds for trial in self.finalists}
        spent = sum(
            cost[n] if round_ == seed else max(repeat.train_seconds, cost[n])
            for (n, round_), repeat in begun.items()
            if n in cost
        )
        return spent + sum(cost[number] for number in numbers) <= self.seconds

    def _is_in_time(self, numbers: Sequence[int], seconds_left: float | None) -> bool:
        """Say whether what is missing of a round may end before the time does."""
        needed = MARGIN * sum(_wall_seconds(trial) for trial in self.finalists if trial.number in numbers)
        return seconds_left is None or needed <= seconds_left * min(self.workers, len(numbers))


def _wall_seconds(trial: Trial) -> float:
    """Return the seconds of a trial's training, and of its evaluations, which a repeat has, too."""
    return trial.train_seconds + sum(result.eval_seconds for result in trial.results)


def _key(repeat: Trial) -> tuple[int, int]:
    return finalist_of(repeat), seed_of(repeat)
