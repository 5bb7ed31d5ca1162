"""How a search ends: within its time, with something trained to the last rung; the same for every scheduler."""

import math
from collections.abc import Mapping, Sequence
from statistics import median

from search.schedulers.base import Action, Resume, Situation, Stop, Wait
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


def owed(trials: Sequence[Trial], rungs: Sequence[float]) -> Action | None:
    """Go on with what was interrupted on its way to a rung."""
    found = next((trial for trial in trials if trial.is_owed), None)
    return Resume(found.number, found.target or rungs[0]) if found else None


def may_start(situation: Situation, until: float) -> bool:
    """Say whether another configuration may begin: there may be more, and time to that epoch seems to be left."""
    firsts = [trial.results[0] for trial in situation.trials if trial.results]
    seconds = [first.epoch_seconds / first.epoch * until + first.eval_seconds * max(1.0, until) for first in firsts]
    needed = median(seconds) if seconds else None
    return len(situation.trials) < situation.max_trials and fits(needed, situation)


def fits(seconds: float | None, situation: Situation) -> bool:
    """Say whether a stretch of training may end before the time does; one of unknown length may."""
    return seconds is None or situation.seconds_left is None or seconds <= HOPE * situation.seconds_left
