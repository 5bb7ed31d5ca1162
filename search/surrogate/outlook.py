"""What a search may expect, from all that it has read: of trials to go on with, and of configurations to begin."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from search.surrogate.encoding import Encoding
from search.surrogate.evidence import Evidence, Reader
from search.surrogate.gp import Array
from search.surrogate.rungs import Chain, Forecast, link_up
from search.surrogate.worth import chance, expected_rates, price
from search.trials import Trial, are_same

MOST_FORESEEN = 100  # trials whose last reading is at the same rung


@dataclass(frozen=True, eq=False)
class Outlook:
    """The readings of a search and the model of them."""

    encoding: Encoding
    evidence: Evidence
    chain: Chain

    @property
    def best(self) -> float:
        """Return the level of the best score read."""
        return float(self.chain.scale.level(np.array(self.evidence.best)))

    def of_trials(self, rows: NDArray[np.int64]) -> Array:
        """Return the price (N,) that going on with trials is worth, by their rows in the evidence."""
        rungs = np.array(self.encoding.space.budget.rungs)
        num_read = np.isfinite(self.evidence.scores[rows]).sum(axis=1)
        rates = self.evidence.rates[rows]
        to_next = rates * (rungs[num_read] - rungs[num_read - 1])
        return price(self._forecast(rows), self.best, to_next=to_next, rest=rates * (rungs[-1] - rungs[num_read]))

    def of_new(self, places: Array) -> Array:
        """Return the price (N,) that beginning configurations at places (N, P) is worth."""
        points = self.encoding.points(places)
        rungs = self.encoding.space.budget.rungs
        forecast = self._believing.forecast(points, np.full((len(points), len(rungs)), np.nan))
        rates = expected_rates(self.evidence.points, self.evidence.rates, points)
        return price(forecast, self.best, to_next=rates * rungs[0], rest=rates * (rungs[-1] - rungs[0]))

    def chances(self, rows: NDArray[np.int64]) -> Array:
        """Return how probable it is that each of some trials (N,) comes to beat the best score read."""
        forecast = self._forecast(rows)
        return chance(forecast.last_mean, forecast.last_spread, self.best)

    def expected(self) -> dict[int, float]:
        """Return the level at the last rung that is expected of each trial with a reading that has not failed.

        Of very many trials, of those with the best readings at each rung.
        """
        rows, mean = self._foreseen
        is_sound = ~self.evidence.has_failed[rows]
        return dict(zip(self.evidence.numbers[rows[is_sound]].tolist(), mean[is_sound].tolist(), strict=True))

    def promising(self, num: int) -> Array:
        """Return the places (num, P) of the trials of which most is expected, finished ones among them."""
        rows, mean = self._foreseen
        return self.evidence.places[rows[np.argsort(-mean, kind="stable")[:num]]]

    @cached_property
    def _believing(self) -> Chain:
        """Return the model as if what workers have had come out as expected."""
        return self.chain.believing(self.evidence.pending)

    @cached_property
    def _foreseen(self) -> tuple[NDArray[np.int64], Array]:
        """Return rows (M,) and what is expected of them (M,): all, or of very many the best at each rung."""
        rows = self.evidence.best_rows(MOST_FORESEEN)
        return rows, self.chain.expected(self.evidence.points[rows], self.evidence.scores[rows])

    def _forecast(self, rows: Sequence[int] | NDArray[np.int64]) -> Forecast:
        some = np.asarray(rows, dtype=np.int64)
        return self.chain.forecast(self.evidence.points[some], self.evidence.scores[some])


@dataclass(slots=True)
class Surrogate:
    """Makes outlooks; scheduler and sampler share one, so that the model is made once for the same trials."""

    encoding: Encoding
    _reader: Reader = field(init=False)
    _last: tuple[tuple[Trial, ...], Outlook] | None = None

    def __post_init__(self) -> None:
        self._reader = Reader(self.encoding)

    def outlook(self, trials: Sequence[Trial]) -> Outlook | None:
        """Return what trials let expect; None while none has a reading."""
        if self._last is not None and are_same(self._last[0], trials):
            return self._last[1]
        evidence = self._reader.read(trials)
        if not len(evidence.numbers):
            return None
        outlook = Outlook(self.encoding, evidence, self._chain(evidence))
        self._last = tuple(trials), outlook
        return outlook

    def _chain(self, evidence: Evidence) -> Chain:
        """Return the model of readings; the last one if nothing was read since."""
        if self._last is not None:
            known = self._last[1].evidence
            if np.array_equal(known.numbers, evidence.numbers) and np.array_equal(
                known.scores, evidence.scores, equal_nan=True
            ):
                return self._last[1].chain
        return link_up(evidence.points, evidence.scores, evidence.read_at)
