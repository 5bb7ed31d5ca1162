"""What a search did on a task, and what that is worth."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.recorded.tasks import Task

SHARES = np.linspace(0.01, 1.0, 100)  # of the budget, at which regret is read
SLACK = 1 + 1e-9  # times a moment: sums of many epochs are not exact


@dataclass(slots=True)
class Trace:
    """The readings of one search, in order.

    Attributes:
        seconds: When each came, from the beginning.
        rows: Whose it is: a row of the table of N, or from N on a place between rows.
        epochs: How many epochs that one has trained then.
        scores: NaN for a training that diverged.
        ends: Scores that the places between rows would have at the last epoch, however far they were trained.
    """

    seconds: list[float] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    epochs: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)

    def add(self, *, seconds: float, row: int, epoch: int, score: float) -> None:
        """Append a reading."""
        self.seconds.append(seconds)
        self.rows.append(row)
        self.epochs.append(epoch)
        self.scores.append(score)


def regrets(trace: Trace, task: Task) -> NDArray[np.float64]:
    """Return the regret (100,) of the best reading so far at each of `SHARES` of the task's budget."""
    found = np.ones_like(SHARES)
    scores = np.where(np.isfinite(trace.scores), trace.scores, -np.inf)
    best = np.maximum.accumulate(scores) if len(scores) else scores
    num_read = np.searchsorted(trace.seconds, SHARES * task.budget * SLACK, side="right")
    for place, number in enumerate(num_read):
        if number and np.isfinite(best[number - 1]):
            found[place] = task.regret(float(best[number - 1]))
    return found


def fully_trained(trace: Trace, task: Task) -> Mapping[int, float]:
    """Return the last score of whatever was trained to the last epoch within the budget, and did not diverge there."""
    return {
        row: score
        for row, epoch, seconds, score in zip(trace.rows, trace.epochs, trace.seconds, trace.scores, strict=True)
        if epoch == task.num_epochs and seconds <= task.budget * SLACK and np.isfinite(score)
    }


def handed_over(trace: Trace, task: Task) -> float:
    """Return the regret of the best end of a full training: what a search has to show; 1 if nothing came to its end."""
    full = fully_trained(trace, task)
    return task.regret(max(full.values())) if full else 1.0
