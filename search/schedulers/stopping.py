"""Schedulers that decide once, at each rung, whether a trial trains on or ends."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from search.schedulers.base import Action, Finish, Prune, Resume, Situation, Start, Wait
from search.schedulers.closing import fits, may_start, owed
from search.schedulers.promotion import merits_at, pressed_by_time, scores_at, waits_at
from search.trials import State, Trial, readings

STARTUP_TRIALS = 5  # complete, before a median of them says anything

Stays = Callable[[Trial, float, Sequence[Trial]], bool]  # the trial, the rung that it is at, all trials


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """Train each trial on, rung by rung, for as long as a rule lets it stay."""

    rungs: tuple[float, ...]  # epochs, rising; with the last alone, every trial is trained to the end
    objective: str
    stays: Stays

    def decide(self, situation: Situation) -> Action:
        """Return what to do now."""
        trials = situation.trials
        pressed = pressed_by_time(situation, self.rungs, self.objective)
        if pressed is not None:
            return pressed
        for trial in trials:
            if self._waits(trial) and not self.stays(trial, trial.reached[-1], trials):
                return Prune(trial.number)
        if not situation.has_free_slot:
            return Wait()
        started = Start(self.rungs[0]) if may_start(situation, self.rungs[0]) else None
        return owed(trials, self.rungs) or self._going_on(situation) or started or self._last(situation)

    def _going_on(self, situation: Situation) -> Action | None:
        """Resume a trial that stays, if there is time for it to reach the next rung."""
        for trial in situation.trials:
            if self._waits(trial):
                following = next(rung for rung in self.rungs if rung > trial.reached[-1])
                if fits(trial.seconds_until(following), situation):
                    return Resume(trial.number, following)
        return None

    def _last(self, situation: Situation) -> Action:
        return Wait() if any(trial.state is State.RUNNING for trial in situation.trials) else Finish()

    def _waits(self, trial: Trial) -> bool:
        return bool(trial.reached) and trial.reached[-1] < self.rungs[-1] and waits_at(trial.reached[-1], trial)


def always(_trial: Trial, _rung: float, _trials: Sequence[Trial]) -> bool:
    """Let every trial stay."""
    return True


def among_the_best(eta: int, objective: str) -> Stays:
    """Return the rule of ASHA as it stops trials: who is among the best 1/eta that ever came to the rung stays.

    Of fewer than eta, the best one is. Source: Li et al. 2018, arXiv:1810.05934, in the variant that stops, as in
    Ray Tune and in Optuna's pruner, neither of which ever goes back to a trial.
    """

    def stays(trial: Trial, rung: float, trials: Sequence[Trial]) -> bool:
        merits = merits_at(rung, trials, objective)
        better = sum((merits[n], -n) > (merits[trial.number], -trial.number) for n in merits)
        return better < max(1, len(merits) // eta)

    return stays


def above_the_median(objective: str) -> Stays:
    """Return the median rule: who was at best worse than the median of the complete trials was at that rung ends.

    Source: Golovin et al. 2017, "Google Vizier", Sec. 3.2.2, in the form of Optuna's MedianPruner.
    """

    def stays(trial: Trial, rung: float, trials: Sequence[Trial]) -> bool:
        complete = [other for other in trials if other.state is State.COMPLETE]
        scores = scores_at(rung, complete, objective)
        best = max(readings(trial, objective).values())
        return len(scores) < STARTUP_TRIALS or best >= median(scores.values())

    return stays
