"""All trials of a search as arrays, so that a decision among thousands of them takes milliseconds.

Shapes: N trials, in the order in which they are given; K rungs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import compress, count
from operator import is_not
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from search.trials import CUT_SHORT, State, Trial, merit, result_at

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
NOWHERE = -1
Item = TypeVar("Item", bound=np.generic)
FIRST_ROWS = 64


def table_of(trials: Sequence[Trial], rungs: tuple[float, ...], objective: str) -> "Table":
    """Return what trials stand for as arrays, good until it is asked for again.

    Only what changed since then is read anew: trials are values, and one that is the same object has not changed.

    Args:
        trials: Of one search.
        rungs: Epochs, rising.
        objective: Of the study.
    """
    table = _kept(rungs, objective)
    table.follow(trials)
    return table


@lru_cache(maxsize=4)
def _kept(rungs: tuple[float, ...], objective: str) -> "Table":
    return Table(rungs, objective)


def changes(known: Sequence[Trial], trials: Sequence[Trial]) -> Sequence[int]:
    """Return the rows in which trials differ from those known before, the ones that are new among them."""
    return [*compress(count(), map(is_not, known, trials)), *range(len(known), len(trials))]


def grown(array: NDArray[Item], num: int) -> NDArray[Item]:
    """Return an array of at least so many rows that begins as this one does; it grows by doubling."""
    if num <= len(array):
        return array
    more = np.zeros((max(num, 2 * len(array)) - len(array), *array.shape[1:]), dtype=array.dtype)
    return np.concatenate([array, more])


@dataclass(slots=True, eq=False)
class Table:
    """Readings and states of trials; each array has a row for every trial."""

    rungs: tuple[float, ...]
    objective: str
    _trials: list[Trial] = field(default_factory=list)
    _numbers: NDArray[np.int64] = field(default_factory=lambda: np.zeros(FIRST_ROWS, dtype=np.int64))
    _floats: Floats = field(init=False)  # scores and sureness at the rungs, seconds an epoch, an evaluation, to the end
    _flags: Flags = field(default_factory=lambda: np.zeros((FIRST_ROWS, 4), dtype=np.bool_))
    _waits: NDArray[np.int64] = field(default_factory=lambda: np.zeros(FIRST_ROWS, dtype=np.int64))

    def __post_init__(self) -> None:
        self._floats = np.zeros((FIRST_ROWS, 2 * len(self.rungs) + 3))

    def follow(self, trials: Sequence[Trial]) -> None:
        """Read what changed."""
        if len(trials) < len(self._trials):
            self._trials = []
        changed = changes(self._trials, trials)
        self._grow(len(trials))
        for row in changed:
            self._read(row, trials[row])
        self._trials = list(trials)

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Return the numbers (N,) of the trials."""
        return self._numbers[: len(self._trials)]

    @property
    def scores(self) -> Floats:
        """Return the scores (N, K), larger is better; NaN where there is no reading, or no hope."""
        return self._floats[: len(self._trials), : len(self.rungs)]

    @property
    def sureness(self) -> Floats:
        """Return what ranks trials of equal scores (N, K); larger is better."""
        return self._floats[: len(self._trials), len(self.rungs) : 2 * len(self.rungs)]

    @property
    def paces(self) -> Floats:
        """Return the first measured seconds of an epoch of training and of an evaluation (N, 2); NaN before that."""
        return self._floats[: len(self._trials), -3:-1]

    @property
    def to_end(self) -> Floats:
        """Return the seconds that each unfinished trial needs to the last rung (N,); NaN before its first result."""
        return self._floats[: len(self._trials), -1]

    @property
    def waits(self) -> NDArray[np.int64]:
        """Return the place of the rung that each trial is at with nothing to do (N,); -1 where it is at none."""
        return self._waits[: len(self._trials)]

    @property
    def is_running(self) -> Flags:
        """Say whether a worker has each trial (N,)."""
        return self._flags[: len(self._trials), 0]

    @property
    def is_owed(self) -> Flags:
        """Say whether each trial is on its way to a rung, and no worker has it (N,)."""
        return self._flags[: len(self._trials), 1]

    @property
    def is_complete(self) -> Flags:
        """Say whether each trial was trained to the last rung (N,)."""
        return self._flags[: len(self._trials), 2]

    @property
    def is_cut_short(self) -> Flags:
        """Say whether each trial ended for want of time or disk, whatever it was worth (N,)."""
        return self._flags[: len(self._trials), 3]

    def _grow(self, num: int) -> None:
        self._numbers, self._waits = grown(self._numbers, num), grown(self._waits, num)
        self._floats, self._flags = grown(self._floats, num), grown(self._flags, num)

    def _read(self, row: int, trial: Trial) -> None:
        num = len(self.rungs)
        self._numbers[row] = trial.number
        self._floats[row] = np.nan
        if not trial.is_hopeless:
            for place, rung in enumerate(self.rungs):
                result = result_at(trial, rung)
                if result is not None:
                    self._floats[row, [place, num + place]] = merit(result, self.objective)
        if trial.results:
            first = trial.results[0]
            self._floats[row, -3:-1] = first.epoch_seconds / first.epoch, first.eval_seconds
            if not trial.state.is_over:
                self._floats[row, -1] = trial.seconds_until(self.rungs[-1])
        is_running, is_complete = trial.state is State.RUNNING, trial.state is State.COMPLETE
        self._flags[row] = is_running, trial.is_owed, is_complete, trial.reason in CUT_SHORT
        self._waits[row] = self._place(trial)

    def _place(self, trial: Trial) -> int:
        """Return the place of the rung that a trial waits at."""
        if trial.state is not State.PAUSED or not trial.reached or trial.is_owed:
            return NOWHERE
        return self.rungs.index(trial.reached[-1]) if trial.reached[-1] in self.rungs else NOWHERE
