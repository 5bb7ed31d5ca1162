"""Asynchronous successive halving by promotion: pause at each rung, go on with the best.

Source: Li et al. 2018, "A System for Massively Parallel Hyperparameter Tuning", arXiv:1810.05934, Algorithm 2. We
deviate at the end: when no new trial may start, each rung sends at least its best one on, so that every search
trains something to the last rung; and with a time limit the best one goes on while there is time to finish it, and
nothing begins that would be cut off before its rung.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.schedulers.base import Action, Finish, Resume, Situation, Start, Wait
from search.schedulers.closing import close, fits, may_start, owed
from search.table import Flags, Floats, Table, table_of
from search.trials import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """Promote the best 1/eta of each rung."""

    rungs: tuple[float, ...]  # epochs, rising
    eta: int
    objective: str

    def decide(self, situation: Situation) -> Action:
        """Return what to do now."""
        pressed = pressed_by_time(situation, self.rungs, self.objective)
        if pressed is not None:
            return pressed
        if not situation.has_free_slot:
            return Wait()
        table = table_of(situation.trials, self.rungs, self.objective)
        started = Start(self.rungs[0]) if may_start(situation, table, self.rungs[0]) else None
        return owed(situation, table) or self._promotion(situation) or started or self._last(situation, table)

    def _promotion(self, situation: Situation, *, at_least: int = 0) -> Action | None:
        """Resume the best promotable trial of the highest rung that has one."""
        rules = Rules(rungs=self.rungs, eta=self.eta, objective=self.objective, at_least=at_least)
        return promotion(situation, rules)

    def _last(self, situation: Situation, table: Table) -> Action:
        """Wait for what runs; then send the best of each rung on, unless one of its rung is there already.

        With a time limit that is meant for whoever fits into what is left of it.
        """
        if table.is_running.any():
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

    rungs: tuple[float, ...]  # epochs, rising
    eta: int  # the best 1/eta go on
    objective: str
    at_least: int = 0  # of each rung that somebody has reached
    first: int = 0  # place of the rung that they begin at


def promotion(situation: Situation, rules: Rules, members: Flags | None = None) -> Resume | None:
    """Return who goes on: the best promotable trial of the highest rung that has one.

    Args:
        situation: With all trials, and what is left of the time.
        rules: Of the ranking.
        members: bool (N,), which trials are ranked together; None for all.
    """
    table = table_of(situation.trials, rules.rungs, rules.objective)
    for place, following in reversed(list(enumerate(rules.rungs[1:]))):
        if place < rules.first:
            return None
        ranked = ranking(table, place, members).tolist()
        num_best = max(len(ranked) // rules.eta, rules.at_least)
        if rules.at_least:  # whoever lacks the time takes no other's place
            ranked = [row for row in ranked if table.waits[row] != place or _has_time(row, following, situation)]
        for row in ranked[:num_best]:
            if table.waits[row] == place and _has_time(row, following, situation):
                return Resume(situation.trials[row].number, following)
    return None


def _has_time(row: int, following: float, situation: Situation) -> bool:
    return fits(situation.trials[row].seconds_until(following), situation)


def ranking(table: Table, place: int, members: Flags | None = None) -> NDArray[np.int64]:
    """Return the rows of the trials that have a reading at the rung of that place, the best first.

    One that ended for want of time or disk takes no other's place: a search that is taken up again goes on.
    """
    has_read = np.isfinite(table.scores[:, place]) & ~table.is_cut_short
    rows = np.flatnonzero(has_read if members is None else has_read & members)
    order = np.lexsort((table.numbers[rows], -table.sureness[rows, place], -table.scores[rows, place]))
    return rows[order]


def estimate(trials: Sequence[Trial], rungs: Sequence[float], objective: str) -> dict[int, float]:
    """Return for each trial with a reading what it may score at the last rung.

    A reading is carried on by the median gain from rung to rung of the trials that went on from there; where none
    did, by nothing. Trials that failed or cost too much are left out.
    """
    table = table_of(trials, tuple(rungs), objective)
    found = estimates(table)
    rows = np.flatnonzero(np.isfinite(found))
    return dict(zip(table.numbers[rows].tolist(), found[rows].tolist(), strict=True))


def estimates(table: Table) -> Floats:
    """Return what `estimate` does for each trial of a table (N,); NaN where there is none."""
    has_read = np.isfinite(table.scores)
    num_rungs = len(table.rungs)
    deepest = num_rungs - 1 - has_read[:, ::-1].argmax(axis=1)
    gains = [_median_gain(table.scores[:, place : place + 2]) for place in range(num_rungs - 1)]
    to_come = np.array([sum(gains[place:]) for place in range(num_rungs)])
    found = table.scores[np.arange(len(deepest)), deepest]  # NaN where nothing was read
    return np.asarray(found + np.where(table.is_complete, 0.0, to_come[deepest]))


def _median_gain(scores: Floats) -> float:
    """Return the median of what trials have gained from one rung to the next, by their scores (N, 2)."""
    gains = scores[:, 1] - scores[:, 0]
    known = gains[np.isfinite(gains)]
    return max(0.0, float(np.median(known))) if len(known) else 0.0
