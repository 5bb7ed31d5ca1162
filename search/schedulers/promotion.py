"""Asynchronous successive halving by promotion: pause at each rung, go on with the best.

Source: Li et al. 2018, "A System for Massively Parallel Hyperparameter Tuning", arXiv:1810.05934, Algorithm 2. We
deviate at the end: when no new trial may start, each rung sends at least its best one on, so that every search
trains something to the last rung; and with a time limit the best one goes on while there is time to finish it, and
nothing begins that would be cut off before its rung.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from search.schedulers.base import Action, Finish, Resume, Situation, Start, Wait
from search.schedulers.closing import close, fits, may_start, owed
from search.trials import State, Trial, merit, readings, result_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """Promote the best 1/eta of each rung."""

    rungs: tuple[float, ...]  # epochs, rising
    eta: int
    objective: str

    def decide(self, situation: Situation) -> Action:
        """Return what to do now."""
        trials = situation.trials
        pressed = pressed_by_time(situation, self.rungs, self.objective)
        if pressed is not None:
            return pressed
        if not situation.has_free_slot:
            return Wait()
        started = Start(self.rungs[0]) if may_start(situation, self.rungs[0]) else None
        return owed(trials, self.rungs) or self._promotion(situation) or started or self._last(situation)

    def _promotion(self, situation: Situation, *, at_least: int = 0) -> Action | None:
        """Resume the best promotable trial of the highest rung that has one."""
        rules = Rules(rungs=self.rungs, eta=self.eta, objective=self.objective, at_least=at_least)
        return promotion(situation.trials, situation, rules)

    def _last(self, situation: Situation) -> Action:
        """Wait for what runs; then send the best of each rung on, unless one of its rung is there already.

        With a time limit that is meant for whoever fits into what is left of it.
        """
        if any(trial.state is State.RUNNING for trial in situation.trials):
            return Wait()
        return self._promotion(situation, at_least=1) or Finish()


def pressed_by_time(situation: Situation, rungs: Sequence[float], objective: str) -> Action | None:
    """Return what a time limit demands now: to finish, or to see to the most hopeful trial; None if nothing.

    Args:
        situation: With its time limit, if there is one.
        rungs: Epochs, rising.
        objective: Of the study; a trial is as hopeful as its readings, carried on to the last rung.
    """
    if situation.seconds_left is None:
        return None
    if situation.seconds_left <= 0:
        return Finish()
    return close(situation, rungs, estimate(situation.trials, rungs, objective))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Who goes on from a rung."""

    rungs: Sequence[float]  # epochs, rising
    eta: int  # the best 1/eta go on
    objective: str
    at_least: int = 0  # of each rung that somebody has reached


def promotion(trials: Sequence[Trial], situation: Situation, rules: Rules) -> Resume | None:
    """Return who goes on: the best promotable trial of the highest rung that has one.

    Args:
        trials: That are ranked together.
        situation: With what is left of the time.
        rules: Of the ranking.
    """
    by_number = {trial.number: trial for trial in trials}
    for rung, following in reversed(list(pairwise(rules.rungs))):
        merits = merits_at(rung, trials, rules.objective)
        num_best = max(len(merits) // rules.eta, rules.at_least if merits else 0)
        for number in sorted(merits, key=lambda n: (merits[n], -n), reverse=True)[:num_best]:
            trial = by_number[number]
            if waits_at(rung, trial) and fits(trial.seconds_until(following), situation):
                return Resume(number, following)
    return None


def scores_at(rung: float, trials: Sequence[Trial], objective: str) -> dict[int, float]:
    """Return the score of each trial that reached a rung and has not failed since, by number."""
    return {number: value for number, (value, _) in merits_at(rung, trials, objective).items()}


def merits_at(rung: float, trials: Sequence[Trial], objective: str) -> dict[int, tuple[float, float]]:
    """Return what ranks each trial that reached a rung and has not failed since, by number."""
    known = ((t.number, result_at(t, rung)) for t in trials if t.state is not State.FAILED)
    return {number: merit(result, objective) for number, result in known if result is not None}


def estimate(trials: Sequence[Trial], rungs: Sequence[float], objective: str) -> dict[int, float]:
    """Return for each trial with a reading what it may score at the last rung.

    A reading is carried on by the median gain from rung to rung of the trials that went on from there; where none
    did, by nothing. Failed trials are left out.
    """
    known = [(trial, readings(trial, objective)) for trial in trials if trial.state is not State.FAILED]
    gains = [_median_gain(lower, upper, [scores for _, scores in known]) for lower, upper in pairwise(rungs)]
    found = {}
    for trial, scores in known:
        if scores:
            deepest = max(scores)
            to_come = [] if trial.state is State.COMPLETE else gains[rungs.index(deepest) :]
            found[trial.number] = scores[deepest] + sum(to_come)
    return found


def _median_gain(lower: float, upper: float, readings_of_trials: Iterable[Mapping[float, float]]) -> float:
    gains = [scores[upper] - scores[lower] for scores in readings_of_trials if upper in scores and lower in scores]
    return max(0.0, median(gains)) if gains else 0.0


def waits_at(rung: float, trial: Trial) -> bool:
    """Say whether a trial is at a rung and has nothing to do."""
    return trial.state is State.PAUSED and bool(trial.reached) and trial.reached[-1] == rung and not trial.is_owed
