"""Schedulers that decide once, at each rung, whether a trial trains on or ends."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from search.schedulers.base import Action, Finish, Prune, Resume, Situation, Start, Wait
from search.schedulers.closing import fits, may_start, owed
from search.schedulers.promotion import pressed_by_time, ranking
from search.table import Table, table_of

STARTUP_TRIALS = 5  # complete, before a median of them says anything

Stays = Callable[[Table, int], bool]  # all trials, and the row of one that waits at a rung


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """Train each trial on, rung by rung, for as long as a rule lets it stay."""

    rungs: tuple[float, ...]  # epochs, rising; with the last alone, every trial is trained to the end
    objective: str
    stays: Stays

    def decide(self, situation: Situation) -> Action:
        """Return what to do now."""
        pressed = pressed_by_time(situation, self.rungs, self.objective)
        if pressed is not None:
            return pressed
        table = table_of(situation.trials, self.rungs, self.objective)
        waiting = np.flatnonzero((table.waits >= 0) & (table.waits < len(self.rungs) - 1)).tolist()
        for row in waiting:
            if not self.stays(table, row):
                return Prune(situation.trials[row].number)
        if not situation.has_free_slot:
            return Wait()
        started = Start(self.rungs[0]) if may_start(situation, table, self.rungs[0]) else None
        ending = Wait() if table.is_running.any() else Finish()
        return owed(situation, table) or self._going_on(situation, table, waiting) or started or ending

    def _going_on(self, situation: Situation, table: Table, waiting: Sequence[int]) -> Action | None:
        """Resume a trial that stays, if there is time for it to reach the next rung."""
        for row in waiting:
            trial, following = situation.trials[row], self.rungs[table.waits[row] + 1]
            if fits(trial.seconds_until(following), situation):
                return Resume(trial.number, following)
        return None


def always(_table: Table, _row: int) -> bool:
    """Let every trial stay."""
    return True


def among_the_best(eta: int) -> Stays:
    """Return the rule of ASHA as it stops trials: who is among the best 1/eta that ever came to the rung stays.

    Of fewer than eta, the best one is. Source: Li et al. 2018, arXiv:1810.05934, in the variant that stops, as in
    Ray Tune and in Optuna's pruner, neither of which ever goes back to a trial.
    """

    def stays(table: Table, row: int) -> bool:
        ranked = ranking(table, int(table.waits[row]))
        return row in ranked[: max(1, len(ranked) // eta)]

    return stays


def above_the_median(table: Table, row: int) -> bool:
    """Let a trial stay that was once at least as good as the median of the complete ones at the rung that it is at.

    Source: Golovin et al. 2017, "Google Vizier", Sec. 3.2.2, in the form of Optuna's MedianPruner.
    """
    there = table.scores[table.is_complete, table.waits[row]]
    there = there[np.isfinite(there)]
    return len(there) < STARTUP_TRIALS or bool(np.nanmax(table.scores[row]) >= np.median(there))
