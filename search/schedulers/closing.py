"""How a search ends: within its time, with something trained to the last rung; the same for every scheduler."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from search.schedulers.base import Action, Resume, Situation, Stop, Wait
from search.table import Table
from search.trials import State, Trial

MARGIN = 1.1  # times the estimate that is kept free for the last stretch of the best trial
HOPE = 1.2  # times the time left that a stretch may seem to need; estimates err
MARGIN_SECONDS = 5.0  # and this much on top, for starting and the evaluation on the test split

Expected = Mapping[int, float]  # what a trial may come to at the last rung, by number; larger is better


def close(situation: Situation, rungs: Sequence[float], expected: Expected) -> Action | None:
    """Give the best trial a slot, and start nothing else, when the time left is just what it needs; else None.

    Args:
        situation: With its time limit, if there is one.
        rungs: Epochs, rising.
        expected: Of trials with a reading that have not failed.
    """
    best = hopeful(situation.trials, expected)
    if situation.seconds_left is None or best is None:
        return None
    needed = best.seconds_until(rungs[-1])
    if needed is None or needed * MARGIN + MARGIN_SECONDS < situation.seconds_left:
        return None
    if best.state is State.RUNNING:
        return Wait()
    following = next(rung for rung in rungs if rung > best.epoch)
    if not fits(best.seconds_until(following), situation):
        return None  # too late for it, not for shorter stretches
    if situation.has_free_slot:
        return Resume(best.number, following)
    running = [t for t in situation.trials if t.state is State.RUNNING]
    if not running:
        return Wait()  # the last worker is about to leave
    return Stop(min(running, key=lambda t: expected.get(t.number, -math.inf)).number)


def hopeful(trials: Sequence[Trial], expected: Expected) -> Trial | None:
    """Return the unfinished trial of which most is expected, if that is more than every complete one has."""
    unfinished = [number for number in expected if not trials[number].state.is_over]
    best = max(unfinished, key=lambda n: (expected[n], -n), default=None)
    to_beat = max((expected[n] for n in expected if trials[n].state is State.COMPLETE), default=-math.inf)
    return trials[best] if best is not None and expected[best] > to_beat else None


def owed(situation: Situation, table: Table) -> Action | None:
    """Go on with what was interrupted on its way to a rung."""
    rows = np.flatnonzero(table.is_owed)
    if not len(rows):
        return None
    found = situation.trials[int(rows[0])]
    return Resume(found.number, found.target or table.rungs[0])


def may_start(situation: Situation, table: Table, until: float) -> bool:
    """Say whether another configuration may begin: there may be more, and time to that epoch seems to be left."""
    if len(situation.trials) >= situation.max_trials:
        return False
    if situation.seconds_left is None:
        return True
    known = table.paces[np.isfinite(table.paces[:, 0])]
    needed = float(np.median(known[:, 0] * until + known[:, 1] * max(1.0, until))) if len(known) else None
    return fits(needed, situation)


def fits(seconds: float | None, situation: Situation) -> bool:
    """Say whether a stretch of training may end before the time does; one of unknown length may."""
    return seconds is None or situation.seconds_left is None or seconds <= HOPE * situation.seconds_left
