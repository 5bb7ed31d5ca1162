"""Asynchronous successive halving by promotion: pause at each rung, go on with the best.

Source: Li et al. 2018, "A System for Massively Parallel Hyperparameter Tuning", arXiv:1810.05934, Algorithm 2. We
deviate at the end: when no new trial may start, each rung sends at least its best one on, so that every search
trains something to the last rung; and with a time limit the best one goes on while there is time to finish it, and
nothing begins that would be cut off before its rung.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from search.schedulers.base import Action, Finish, Resume, Situation, Start, Stop, Wait
from search.trials import State, Trial, readings

MARGIN = 1.1  # times the estimate that is kept free for the last stretch of the best trial
HOPE = 1.2  # times the time left that a stretch may seem to need; estimates err
MARGIN_SECONDS = 5.0  # and this much on top, for starting and the evaluation on the test split


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """Promote the best 1/eta of each rung."""

    rungs: tuple[float, ...]  # epochs, rising
    eta: int
    objective: str

    def decide(self, situation: Situation) -> Action:
        """Return what to do now."""
        if situation.seconds_left is not None and situation.seconds_left <= 0:
            return Finish()
        closing = self._close(situation)
        if closing is not None:
            return closing
        if not situation.has_free_slot:
            return Wait()
        return self._owed(situation) or self._promotion(situation) or self._start(situation) or self._last(situation)

    def _owed(self, situation: Situation) -> Action | None:
        """Go on with what was interrupted on its way to a rung."""
        owed = next((trial for trial in situation.trials if trial.is_owed), None)
        return Resume(owed.number, owed.target or self.rungs[0]) if owed else None

    def _promotion(self, situation: Situation, *, at_least: int = 0) -> Action | None:
        """Resume the best promotable trial of the highest rung that has one."""
        for rung, following in reversed(list(pairwise(self.rungs))):
            scores = scores_at(rung, situation.trials, self.objective)
            num_best = max(len(scores) // self.eta, at_least if scores else 0)
            for number in sorted(scores, key=lambda n: (-scores[n], n))[:num_best]:
                trial = situation.trials[number]
                if _waits_at(rung, trial) and _fits(trial.seconds_until(following), situation):
                    return Resume(number, following)
        return None

    def _start(self, situation: Situation) -> Action | None:
        firsts = [trial.results[0] for trial in situation.trials if trial.results]
        needed = median(first.epoch_seconds + first.eval_seconds for first in firsts) if firsts else None
        if len(situation.trials) < situation.max_trials and _fits(needed, situation):
            return Start(self.rungs[0])
        return None

    def _last(self, situation: Situation) -> Action:
        """Wait for what runs; then send the best of each rung on, unless one of its rung is there already.

        With a time limit that is meant for whoever fits into what is left of it.
        """
        if any(trial.state is State.RUNNING for trial in situation.trials):
            return Wait()
        return self._promotion(situation, at_least=1) or Finish()

    def _close(self, situation: Situation) -> Action | None:
        """When the time left is just what the best trial needs, give it a slot and start nothing else."""
        best = self.hopeful(situation.trials)
        if situation.seconds_left is None or best is None:
            return None
        needed = best.seconds_until(self.rungs[-1])
        if needed is None or needed * MARGIN + MARGIN_SECONDS < situation.seconds_left:
            return None
        if best.state is State.RUNNING:
            return Wait()
        following = next(rung for rung in self.rungs if rung > best.epoch)
        if not _fits(best.seconds_until(following), situation):
            return None  # too late for it, not for shorter stretches
        if situation.has_free_slot:
            return Resume(best.number, following)
        running = [t for t in situation.trials if t.state is State.RUNNING]
        if not running:
            return Wait()  # the last worker is about to leave
        estimates = estimate(situation.trials, self.rungs, self.objective)
        return Stop(min(running, key=lambda t: estimates.get(t.number, float("-inf"))).number)

    def hopeful(self, trials: Sequence[Trial]) -> Trial | None:
        """Return the unfinished trial with the best estimate, if that beats every complete one."""
        found = estimate(trials, self.rungs, self.objective)
        unfinished = [number for number in found if not trials[number].state.is_over]
        best = max(unfinished, key=lambda n: (found[n], -n), default=None)
        to_beat = max((found[n] for n in found if trials[n].state is State.COMPLETE), default=-math.inf)
        return trials[best] if best is not None and found[best] > to_beat else None


def scores_at(rung: float, trials: Sequence[Trial], objective: str) -> dict[int, float]:
    """Return the score of each trial that reached a rung and has not failed since, by number."""
    found = {}
    for trial in trials:
        known = readings(trial, objective)
        if trial.state is not State.FAILED and rung in known:
            found[trial.number] = known[rung]
    return found


def estimate(trials: Sequence[Trial], rungs: Sequence[float], objective: str) -> dict[int, float]:
    """Return for each trial with a reading what it may score at the last rung.

    A reading is carried on by the median gain from rung to rung of the trials that went on from there; where none
    did, by nothing. Failed trials are left out.
    """
    gains = [_median_gain(a, b, trials, objective) for a, b in pairwise(rungs)]
    found = {}
    for trial in trials:
        known = readings(trial, objective)
        if trial.state is State.FAILED or not known:
            continue
        deepest = max(known)
        to_come = [] if trial.state is State.COMPLETE else gains[rungs.index(deepest) :]
        found[trial.number] = known[deepest] + sum(to_come)
    return found


def _median_gain(lower: float, upper: float, trials: Sequence[Trial], objective: str) -> float:
    before: Mapping[int, float] = scores_at(lower, trials, objective)
    after = scores_at(upper, trials, objective)
    gains = [after[number] - before[number] for number in after if number in before]
    return max(0.0, median(gains)) if gains else 0.0


def _fits(seconds: float | None, situation: Situation) -> bool:
    """Say whether a stretch of training may end before the time does; one of unknown length may."""
    return seconds is None or situation.seconds_left is None or seconds <= HOPE * situation.seconds_left


def _waits_at(rung: float, trial: Trial) -> bool:
    return trial.state is State.PAUSED and bool(trial.reached) and trial.reached[-1] == rung and not trial.is_owed
