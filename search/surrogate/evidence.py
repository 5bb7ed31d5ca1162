"""What a search has read so far, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from search.surrogate.encoding import Encoding
from search.surrogate.gp import Array
from search.trials import OVER_LIMITS, State, Trial, readings


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Trials with a reading at the first rung, in order: N of them, K rungs, P parameters, D axes.

    Attributes:
        numbers: int64 (N,), of the trials.
        places: float64 (N, P), one for each parameter.
        points: float64 (N, D).
        scores: float64 (N, K), larger is better; NaN where there is no reading. A trial that failed counts as read once
            more, with the worst score of all.
        rates: float64 (N,), seconds an epoch with its share of evaluation, as first measured.
        has_failed: bool (N,).
        pending: float64 (M, D), points of the trials without a reading that a worker has.
    """

    numbers: NDArray[np.int64]
    places: Array
    points: Array
    scores: Array
    rates: Array
    has_failed: NDArray[np.bool_]
    pending: Array

    @property
    def best(self) -> float:
        """Return the best score read at any rung."""
        return float(np.nanmax(self.scores))


@dataclass(slots=True)
class Reader:
    """Turns trials into evidence; what it keeps only saves time, for a trial's configuration never changes."""

    encoding: Encoding
    _places: dict[str, Array] = field(default_factory=dict)  # by uid

    def read(self, trials: Sequence[Trial]) -> Evidence:
        """Return what trials tell."""
        space = self.encoding.space
        rungs, metric = space.budget.rungs, space.objective.metric
        rows, numbers, rates = [], [], []
        for trial in trials:
            if trial.reason == OVER_LIMITS:
                continue  # that says nothing of how good it would be
            known = readings(trial, metric)
            row = [known.get(rung, np.nan) for rung in rungs]
            if trial.state is State.FAILED:
                row[min(len(known), len(rungs) - 1)] = -np.inf
            if not np.isnan(row[0]):
                rows.append(row)
                numbers.append(trial.number)
                rates.append(_rate(trial))
        pending = [t for t in trials if t.state is State.RUNNING and not t.reached]
        places = self._stacked([trials[number] for number in numbers])
        return Evidence(
            np.array(numbers, dtype=np.int64),
            places,
            self.encoding.points(places),
            _with_worst(np.array(rows, dtype=np.float64).reshape(-1, len(rungs))),
            _filled(np.array(rates, dtype=np.float64)),
            np.array([trials[number].state is State.FAILED for number in numbers], dtype=bool),
            self.encoding.points(self._stacked(pending)),
        )

    def _stacked(self, trials: Sequence[Trial]) -> Array:
        for trial in trials:
            if trial.uid not in self._places:
                self._places[trial.uid] = self.encoding.places([trial.params])[0]
        places = np.array([self._places[trial.uid] for trial in trials])
        return places.reshape(len(trials), len(self.encoding.space.params))


def _rate(trial: Trial) -> float:
    if not trial.results:
        return np.nan
    first = trial.results[0]
    return (first.epoch_seconds + first.eval_seconds) / first.epoch


def _filled(rates: Array) -> Array:
    """Return rates with the median for those of trials that failed before they had one."""
    known = rates[np.isfinite(rates)]
    return np.where(np.isfinite(rates), rates, np.median(known) if len(known) else 1.0)


def _with_worst(scores: Array) -> Array:
    sound = scores[np.isfinite(scores)]
    return np.where(np.isneginf(scores), sound.min() if len(sound) else 0.0, scores)
