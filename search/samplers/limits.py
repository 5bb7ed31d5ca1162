"""Keeps a search within the limits of its space: what is drawn gives way to the nearest that is thought to be within.

The model of each cost is a Gaussian process over configurations, of the logarithm of how far it is over its limit. So
no sampler has to know of constraints, and each of them can have some.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from scipy.stats import norm

from search.samplers.base import Sampler, next_baseline
from search.samplers.once import Tried
from search.surrogate.candidates import propose
from search.surrogate.encoding import Encoding
from search.surrogate.gp import LEAST_READINGS, Array, Kernel, condition, likeliest, num_for_kernel
from search.trials import Trial
from spaces import SearchSpace, Value
from trainer.seeds import derive

LEAST_PROBABLE = 0.5  # of being within all limits, for a configuration to be begun
NUM_CANDIDATES = 300
MOST_READINGS = 200
LEAST_SPREAD = 1e-6
LEAST_COST = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class WithinLimits:
    """Moves what another sampler draws to where models are cheap enough, and nothing was tried yet."""

    sampler: Sampler
    space: SearchSpace
    seed: int
    _tried: Tried = field(default_factory=Tried)

    def draw(self, trials: Sequence[Trial]) -> dict[str, Value]:
        """Return the parameters of the next trial, by name.

        Args:
            trials: All so far; their number decides which baseline is next.
        """
        drawn = self.sampler.draw(trials)
        weighed = [trial for trial in trials if trial.footprint is not None]
        if (
            not self.space.constraints.limits()
            or next_baseline(self.space, trials) is not None
            or len(weighed) < LEAST_READINGS
        ):
            return drawn
        encoding = Encoding(self.space)
        wanted = encoding.places([drawn])
        rng = np.random.default_rng(derive(self.seed, "limits", len(trials)))
        places = np.concatenate([wanted, propose(self.space, rng, wanted, num=NUM_CANDIDATES)])
        points = encoding.points(places)
        chances = self._chances(encoding, weighed, points)
        if chances[0] >= LEAST_PROBABLE and not self._tried.has(trials, drawn):
            return drawn
        apart = np.linalg.norm(points - points[0], axis=1)
        is_within = chances >= LEAST_PROBABLE
        if not is_within.any():
            return encoding.params(places[int(chances.argmax())])
        for place in places[np.argsort(np.where(is_within, apart, np.inf), kind="stable")[: is_within.sum()]]:
            params = encoding.params(place)
            if not self._tried.has(trials, params):
                return params
        return drawn

    def _chances(self, encoding: Encoding, weighed: Sequence[Trial], points: Array) -> Array:
        """Return how probable it is that configurations at points (N, D) are within all limits."""
        first, last = weighed[: num_for_kernel(len(weighed))], weighed[-MOST_READINGS:]
        first_at, last_at = (encoding.points(encoding.places([t.params for t in some])) for some in (first, last))
        chances = np.ones(len(points))
        for name, limit in self.space.constraints.limits().items():
            before, values = (np.log([_cost(t, name, limit) / limit for t in some]) for some in (first, last))
            kernel = _kernel(first_at.tobytes(), before.tobytes(), len(first))
            chances *= _chance_below_zero(kernel, last_at, values, points)
        return chances


def _cost(trial: Trial, name: str, limit: float) -> float:
    """Return a cost of a trial's model, above 0; one that is not known is far from its limit."""
    assert trial.footprint is not None, "it was weighed"
    return max(trial.footprint.costs().get(name, limit / 2), LEAST_COST)


def _chance_below_zero(kernel: Kernel, read_at: Array, values: Array, points: Array) -> Array:
    """Return how probable it is that a function is below 0 at points (N, D), after readings (M,) at points (M, D)."""
    mean, spread = _moments(values)
    level, variance = condition(kernel, read_at, (values - mean) / spread).at(points)
    return np.asarray(norm.cdf(-(mean + spread * level) / (spread * np.sqrt(variance))))


@lru_cache(maxsize=64)
def _kernel(read_at: bytes, values: bytes, num: int) -> Kernel:
    """Choose a kernel by the first readings; these do not change, and it takes time."""
    read = np.frombuffer(values)
    mean, spread = _moments(read)
    return likeliest(np.frombuffer(read_at).reshape(num, -1), (read - mean) / spread)


def _moments(values: Array) -> tuple[float, float]:
    return float(values.mean()), float(values.std()) + LEAST_SPREAD
