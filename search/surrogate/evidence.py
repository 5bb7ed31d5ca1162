"""What a search has read so far, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from search.surrogate.encoding import Encoding
from search.surrogate.gp import Array
from search.table import FIRST_ROWS, Flags, changes, grown
from search.trials import OVER_LIMITS, State, Trial, result_at, score
from trainer.lengths import effort
from trainer.results import EpochResult
from trainer.settings import Classical


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Some rows of an array; not copied before one asks for them, as there may be thousands."""

    array: Array
    numbers: NDArray[np.int64]

    def __getitem__(self, rows: NDArray[np.int64] | slice) -> Array:
        """Return a copy of some of these rows."""
        return self.array[self.numbers[rows]]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Trials with a reading at the first rung, in order: N of them, K rungs, P parameters, D axes.

    Attributes:
        numbers: int64 (N,), of the trials.
        places: Rows of float64 (N, P), one for each parameter.
        points: Rows of float64 (N, D).
        scores: float64 (N, K), larger is better; NaN where there is no reading, never before one. A trial that failed
            counts as read once more, with the worst score of all.
        read_at: float64 (N, K), when; seconds since any moment, NaN where nothing was read, be it that it failed there.
        rates: float64 (N,), seconds an epoch with its share of evaluation, as first measured; NaN where a trial failed
            before.
        has_failed: bool (N,).
        pending: float64 (M, D), points of the trials without a reading that a worker has.
    """

    numbers: NDArray[np.int64]
    places: Rows
    points: Rows
    scores: Array
    read_at: Array
    rates: Array
    has_failed: NDArray[np.bool_]
    pending: Array

    @property
    def best(self) -> float:
        """Return the best score read at any rung: of a trial that has not failed, if there is one."""
        sound = self.scores[~self.has_failed]
        return float(np.nanmax(sound if len(sound) else self.scores))

    @property
    def num_read(self) -> NDArray[np.int64]:
        """Return at how many rungs each trial (N,) was read."""
        num: NDArray[np.int64] = np.isfinite(self.scores).sum(axis=1)
        return num

    def best_rows(self, most: int, members: Flags | None = None) -> NDArray[np.int64]:
        """Return the rows of trials, in order; where many have come to the same rung and no further, the best of them.

        Args:
            most: Trials of the same rung.
            members: bool (N,), of which trials; None for all.
        """
        rows = np.arange(len(self.numbers)) if members is None else np.flatnonzero(members)
        num_read = self.num_read[rows]
        order = np.lexsort((-self.scores[rows, num_read - 1], num_read))  # by rung, then the best first
        sizes = np.bincount(num_read)
        ranks = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return rows[np.sort(order[ranks < most])]


@dataclass(slots=True, eq=False)
class Reader:
    """Turns trials into evidence; what it keeps only saves time: only trials that changed are read anew."""

    encoding: Encoding
    _trials: Sequence[Trial] = ()
    _places: Array = field(init=False)  # each of these has a row for every trial
    _points: Array = field(init=False)
    _scores: Array = field(init=False)  # NaN for no reading, minus infinity for a failure
    _read_at: Array = field(init=False)
    _rates: Array = field(default_factory=lambda: np.zeros(FIRST_ROWS))
    _flags: Flags = field(default_factory=lambda: np.zeros((FIRST_ROWS, 2), dtype=np.bool_))  # has failed, is pending

    def __post_init__(self) -> None:
        space = self.encoding.space
        self._places = np.zeros((FIRST_ROWS, len(space.params)))
        self._points = np.zeros((FIRST_ROWS, self.encoding.num_axes))
        self._scores = np.zeros((FIRST_ROWS, len(space.budget.rungs)))
        self._read_at = np.zeros((FIRST_ROWS, len(space.budget.rungs)))

    def read(self, trials: Sequence[Trial]) -> Evidence:
        """Return what trials tell."""
        self._follow(trials)
        num = len(trials)
        numbers = np.flatnonzero(~np.isnan(self._scores[:num, 0]))
        return Evidence(
            numbers=numbers,
            places=Rows(self._places, numbers),
            points=Rows(self._points, numbers),
            scores=_with_worst(self._scores[numbers]),
            read_at=self._read_at[numbers],
            rates=self._rates[numbers],
            has_failed=self._flags[numbers, 0],
            pending=self._points[:num][self._flags[:num, 1]],
        )

    def _follow(self, trials: Sequence[Trial]) -> None:
        known = self._trials if len(self._trials) <= len(trials) else ()
        num = len(trials)
        self._places, self._points = grown(self._places, num), grown(self._points, num)
        self._scores, self._read_at = grown(self._scores, num), grown(self._read_at, num)
        self._rates, self._flags = grown(self._rates, num), grown(self._flags, num)
        for row in changes(known, trials):
            if row >= len(known) or known[row].uid != trials[row].uid:
                self._places[row] = self.encoding.places([trials[row].params])[0]
                self._points[row] = self.encoding.points(self._places[row : row + 1])[0]
            self._note(row, trials[row])
        self._trials = tuple(trials)

    def _note(self, row: int, trial: Trial) -> None:
        space = self.encoding.space
        scores, read_at = self._scores[row], self._read_at[row]
        results = _results(trial, space.budget.rungs)
        scores[:] = [np.nan if result is None else score(result, space.objective.metric) for result in results]
        read_at[:] = [np.nan if result is None else result.finished_at for result in results]
        if trial.state is State.FAILED:
            place = min(int(np.isfinite(scores).sum()), len(scores) - 1)
            scores[place], read_at[place] = -np.inf, np.nan
        if trial.reason == OVER_LIMITS:
            scores[:] = np.nan  # that says nothing of how good it would be
        self._rates[row] = _rate(trial)
        self._flags[row] = trial.state is State.FAILED, trial.state is State.RUNNING and not trial.reached


def _results(trial: Trial, rungs: Sequence[float]) -> list[EpochResult | None]:
    """Return what counts as read at each rung (K), without gaps; None where there is nothing yet.

    One that was sent past the first rungs has there what it scored on its way, or else what it scored next. One that
    is complete though it reached no last rung, as its scores had stalled, stays at its last score.
    """
    found = [result_at(trial, rung) if rung in trial.reached else None for rung in rungs]
    places = [place for place, result in enumerate(found) if result is not None]
    if not places:
        return found
    for place in range(places[0]):
        passed = [result for result in trial.results if result.epoch <= rungs[place]]
        found[place] = passed[-1] if passed else found[places[0]]
    if trial.state is State.COMPLETE:
        found[places[-1] :] = [found[places[-1]]] * (len(rungs) - places[-1])
    return found


def _rate(trial: Trial) -> float:
    """Return seconds an epoch in the mean; a fit, which is done at the first rung whole, is spread over all epochs."""
    if not trial.results:
        return np.nan
    first, epochs = trial.results[0], trial.config.training.epochs
    if isinstance(trial.config.model, Classical):
        return (first.epoch_seconds + first.eval_seconds) / epochs
    share = effort(trial.config, epochs) / epochs / (effort(trial.config, first.epoch) / first.epoch)
    return (share * first.epoch_seconds + first.eval_seconds) / first.epoch


def _with_worst(scores: Array) -> Array:
    sound = scores[np.isfinite(scores)]
    return np.where(np.isneginf(scores), sound.min() if len(sound) else 0.0, scores)
