"""How a search ends: within its time, with something trained to the last rung; the same for every scheduler."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from search.schedulers.base import Action, Resume, Situation, Stop, Wait
from search.table import Table
from search.trials import State, Trial

MARGIN = 1.25  # times the estimate that is kept free for the way of the best trial to the end; estimates err
HOPE = 1.2  # times the time left that a stretch may seem to need
MARGIN_SECONDS = 5.0  # and this much on top, for starting and the evaluation on the test split

Expected = Mapping[int, float]  # what a trial may come to at the last rung, by number; larger is better


def close(situation: Situation, rungs: Sequence[float], expected: Expected) -> Action | None:
    """See to what may still end, and start nothing, once the best of that needs all of the time left; else None.

    Where nothing is complete, and nothing can be in time, it is the next stretch of the most hopeful trial that counts.

    Args:
        situation: With its time limit, if there is one.
        rungs: Epochs, rising.
        expected: Of trials with a reading that have not failed.
    """
    if situation.seconds_left is None:
        return None
    hopes = _hopes(situation, rungs, expected)
    if not hopes:
        return None
    may_end = fits(hopes[0].seconds_until(rungs[-1]), situation)
    needed = hopes[0].seconds_until(rungs[-1] if may_end else following_rung(hopes[0], rungs))
    if needed is None or needed * MARGIN + MARGIN_SECONDS < situation.seconds_left:
        return None
    for trial in hopes:
        if trial.state is State.RUNNING:
            continue
        following = following_rung(trial, rungs)
        if not fits(trial.seconds_until(following), situation):
            return None  # too late for it, not for shorter stretches
        if situation.has_free_slot:
            return Resume(trial.number, following)
        return _room(situation, expected) if trial is hopes[0] else Wait()
    return Wait() if may_end else None


def has_leisure(situation: Situation, table: Table) -> bool:
    """Say whether even the slowest trial has so much time to the last rung that `close` would return None."""
    if situation.seconds_left is None:
        return True
    needed = table.to_end[np.isfinite(table.to_end)].max(initial=0.0)
    return bool(needed * MARGIN + MARGIN_SECONDS < situation.seconds_left)


def following_rung(trial: Trial, rungs: Sequence[float]) -> float:
    """Return the rung that a trial comes to next, if it goes on; the last one for what is there already."""
    return next((rung for rung in rungs if not trial.has_reached(rung)), rungs[-1])


def _hopes(situation: Situation, rungs: Sequence[float], expected: Expected) -> list[Trial]:
    """Return what may come to the last rung in time and be better there than all that is complete, the best first.

    Where nothing is complete, what seems to need a little more time than there is may try; and where not even that can
    be in time, it is the most hopeful trial: what goes farthest counts then.
    """
    ranked = hopefuls(situation.trials, expected)
    able = [trial for trial in ranked if _may_end(trial, rungs[-1], situation)]
    if able or any(situation.trials[number].state is State.COMPLETE for number in expected):
        return able
    return [trial for trial in ranked if fits(trial.seconds_until(rungs[-1]), situation)] or ranked[:1]


def _may_end(trial: Trial, last: float, situation: Situation) -> bool:
    """Say whether a trial may come to the last rung in time; one that runs has the benefit of the doubt."""
    needed, left = trial.seconds_until(last), situation.seconds_left
    grace = HOPE if trial.state is State.RUNNING else 1.0
    return needed is None or left is None or needed <= grace * left


def _room(situation: Situation, expected: Expected) -> Action:
    """Stop the running trial of which least is expected, for the sake of a better one."""
    running = [t for t in situation.trials if t.state is State.RUNNING and _is_own(t, situation)]
    if situation.is_slot_coming or not running:
        return Wait()
    return Stop(min(running, key=lambda t: expected.get(t.number, -math.inf)).number)


def _is_own(trial: Trial, situation: Situation) -> bool:
    return situation.own is None or trial.number in situation.own


def hopefuls(trials: Sequence[Trial], expected: Expected) -> list[Trial]:
    """Return the unfinished trials of which more is expected than every complete one has, the best first."""
    to_beat = max((expected[n] for n in expected if trials[n].state is State.COMPLETE), default=-math.inf)
    unfinished = [n for n in expected if not trials[n].state.is_over and expected[n] > to_beat]
    return [trials[number] for number in sorted(unfinished, key=lambda n: (-expected[n], n))]


def reserve(kept: float, seconds_left: float, trials: Sequence[Trial], last: float) -> float:
    """Return what of the seconds kept for what follows a search stays kept while nothing is complete.

    What follows is of use only to a trial that was trained to the last rung: the reserve gives way so far that the
    quickest one may still come there.
    """
    if not kept or any(trial.state is State.COMPLETE for trial in trials):
        return kept
    stretches = [trial.seconds_until(last) for trial in trials if not trial.state.is_over and trial.results]
    quickest = min((needed for needed in stretches if needed is not None), default=math.inf)
    return min(kept, max(0.0, seconds_left - quickest * MARGIN - MARGIN_SECONDS))


def owed(situation: Situation, table: Table) -> Action | None:
    """Go on with what was interrupted on its way to a rung, where it may still come there."""
    for row in np.flatnonzero(table.is_owed).tolist():
        trial = situation.trials[row]
        until = trial.target or table.rungs[0]
        if fits(trial.seconds_until(until), situation):
            return Resume(trial.number, until)
    return None


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
