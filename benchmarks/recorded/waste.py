"""Which full trainings of a search went to configurations that did not deserve them, by how all would have ended."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.recorded.tasks import Task
from benchmarks.recorded.traces import Trace, fully_trained

NUM_BEST = 5  # configurations of a search that deserve a full training
BEST_SHARE = 0.1  # of its configurations: as many as five of fifty


@dataclass(frozen=True, slots=True, kw_only=True)
class Waste:
    """Shares of the full trainings of a search that went to others than the best of its own configurations."""

    five: float  # the five best of all that it ever began
    tenth: float  # the best tenth of these
    five_then: float  # the five best of what had begun when the training ended: nobody knew what was yet to come


def wasted(trace: Trace, task: Task) -> Waste | None:
    """Return what a search wasted; None if it trained nothing to the end."""
    full, ends = fully_trained(trace, task), _ends(trace, task)
    if not full:
        return None
    seen = sorted(set(trace.rows), key=lambda row: -ends[row])
    five, tenth = seen[:NUM_BEST], seen[: math.ceil(BEST_SHARE * len(seen))]
    begun: dict[int, None] = {}  # in order
    outside_then = 0
    for row, epoch in zip(trace.rows, trace.epochs, strict=True):
        begun[row] = None
        if epoch == task.num_epochs and row in full:
            outside_then += row not in sorted(begun, key=lambda other: -ends[other])[:NUM_BEST]
    return Waste(
        five=sum(row not in five for row in full) / len(full),
        tenth=sum(row not in tenth for row in full) / len(full),
        five_then=outside_then / len(full),
    )


def own_best(trace: Trace, task: Task) -> float:
    """Return the mean regret of a search's five best configurations, had all been trained to their ends."""
    ends = np.sort(_ends(trace, task)[sorted(set(trace.rows))])[::-1]
    return float(np.mean([task.regret(float(end)) for end in ends[:NUM_BEST]]))


def _ends(trace: Trace, task: Task) -> NDArray[np.float64]:
    """Return the last scores of rows, and after them those of places between rows."""
    return np.concatenate([task.finals, trace.ends])
