"""What a configuration may come to at the last rung: a chain of small models, one from each rung to the next.

The level at the first rung is a Gaussian process over configurations. The gain from a rung to the next is a share of
the gain before it, a part that depends on the level, a constant, and a Gaussian process over configurations. So a
forecast from any rung is a normal distribution, and a rung that tells little of the next one is not trusted: the
readings themselves say how much they scatter.

Source: the chain of processes is that of Kennedy and O'Hagan 2000, "Predicting the output from a complex computer code
when fast approximations are available", Biometrika 87(1), fitted link by link as in Le Gratiet and Garnier 2014
(International Journal for Uncertainty Quantification 4(5)); the share of the last gain is ours.
Letters: N configurations, K rungs, D axes.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from search.surrogate.evidence import Rows
from search.surrogate.gp import LEAST_READINGS, Array, Kernel, Posterior, condition, likeliest, num_for_kernel

MOST_READINGS = 200  # that a forecast rests on, a rung
CARRIED = 0.5  # of a gain, thought to come again before any reading says so
FIRST_SPREAD = 0.5  # of the first gain, in spreads of the level, before any reading
LATER_SPREAD = 0.6  # of a gain, in spreads of the gain before it
DRIFT = 0.2  # mean gain, in its spreads, before any reading
WEIGHT = 3.0  # readings that the spread thought of beforehand is worth
COEFFICIENT_SPREADS = (0.3, 0.15)  # of the share of the last gain and of the part of the level, beforehand
KERNEL_RIDGE = 1.0  # of the slopes that are taken out of gains before a kernel is chosen for them
LEAST_SPREAD = 1e-3
_LEVEL, _GAIN, _VAR, _VAR_GAIN, _SHARED, _WITH_NEXT, _GAIN_WITH_NEXT = range(7)  # columns of a state:
# level and last gain; their variances and covariance; their covariances with the level at the next rung
_WIDTH = 7
LEAST_WIDTH = 1e-12
BELOW = 0.7  # of the logarithm of what a score lacks to the median


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """How the next level comes about: `carried * last gain + pull * level + shift`, and a rest."""

    carried: float
    pull: float
    shift: float
    spread: float  # standard deviation of the rest
    rest: Posterior | None  # of the rest over configurations, in spreads; None where it is the same for all
    doubt: float = 1.0  # times the variance of the rest, where readings were farther off than it said

    def rest_at(self, points: Array) -> tuple[Array, Array]:
        """Return mean (N,) and variance (N,) of the rest at points (N, D)."""
        if self.rest is None:
            return np.zeros(len(points)), np.full(len(points), self.spread**2)
        mean, variance = self.rest.at(points)
        return self.spread * mean, self.spread**2 * self.doubt * (variance + self.rest.kernel.noise**2)

    def mean_at(self, points: Array) -> Array:
        """Return the mean (N,) of the rest alone."""
        return np.zeros(len(points)) if self.rest is None else self.spread * self.rest.mean_at(points)


@dataclass(frozen=True, slots=True)
class Scale:
    """Scores as levels: 0 for the median of the first rung, 1 for the best score anywhere.

    Below 0 only the logarithm counts: how bad the bad ones are says little of the good ones.
    """

    middle: float
    width: float

    def level(self, scores: Array) -> Array:
        """Return levels of scores of any shape; NaN stays NaN."""
        above = (scores - self.middle) / self.width
        return np.where(above < 0, -BELOW * np.log1p(np.maximum(-above, 0.0)), above)


def scale_of(scores: Array) -> Scale:
    """Return the scale of scores (N, K), each row of which has one at the first rung."""
    middle = float(np.median(scores[:, 0]))
    return Scale(middle, max(float(np.nanmax(scores)) - middle, LEAST_WIDTH))


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """What N configurations may come to, as normal distributions; all float64 (N,)."""

    next_mean: Array  # of the level at the next rung
    next_variance: Array
    last_mean: Array  # of the level at the last one
    last_variance: Array
    shared: Array  # covariance of the two

    @property
    def last_spread(self) -> Array:
        """Return the standard deviation of the last level."""
        return np.sqrt(np.maximum(self.last_variance, 0.0))


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """What readings tell of all configurations."""

    scale: Scale
    links: tuple[Link, ...]  # one a rung; the first leads to the level at the first rung

    def forecast(self, points: Array, scores: Array) -> "Forecast":
        """Return what the next and the last level may be.

        Args:
            points: float64 (N, D).
            scores: float64 (N, K); NaN where there is no reading yet, everywhere for a configuration not begun. What is
                at the last rung is known: its forecast has no spread.
        """
        num_read = np.isfinite(scores).sum(axis=1)
        state = _begin(self.scale.level(scores), num_read)
        following = state.copy()
        for rung, link in enumerate(self.links):
            to_come = np.flatnonzero(num_read <= rung)
            if not len(to_come):
                continue
            is_next = num_read[to_come] == rung
            later = _advance(state[to_come], link, points[to_come], is_first=rung == 0)
            later[is_next] = _told(later[is_next])
            state[to_come] = later
            following[to_come[is_next]] = later[is_next]
        return Forecast(
            next_mean=following[:, _LEVEL],
            next_variance=following[:, _VAR],
            last_mean=state[:, _LEVEL],
            last_variance=state[:, _VAR],
            shared=np.where(num_read < len(self.links), state[:, _WITH_NEXT], 0.0),
        )

    def expected(self, points: Array, scores: Array) -> Array:
        """Return the mean (N,) of the level at the last rung: that of `forecast`, in a fraction of its time."""
        num_read = np.isfinite(scores).sum(axis=1)
        state = _begin(self.scale.level(scores), num_read)
        level, gain = state[:, _LEVEL], state[:, _GAIN]
        for rung, link in enumerate(self.links):
            rows = np.flatnonzero(num_read <= rung)
            added = link.shift + link.mean_at(points[rows])
            if rung == 0:
                level[rows] = added
            else:
                gain[rows] = link.carried * gain[rows] + link.pull * level[rows] + added
                level[rows] += gain[rows]
        return np.asarray(level)

    def believing(self, points: Array) -> "Chain":
        """Return the chain as if configurations (M, D) whose readings are yet to come had come out as expected."""
        first, *later = self.links
        if first.rest is None or not len(points):
            return self
        return Chain(self.scale, (replace(first, rest=first.rest.believing(points)), *later))


def link_up(points: Array | Rows, scores: Array, read_at: Array) -> Chain:
    """Return the links that readings tell of.

    Args:
        points: float64 (N, D) in the unit cube, or rows of it.
        scores: float64 (N, K), larger is better; NaN where there is no reading. A row has one at the first rung, and
            none after a gap.
        read_at: float64 (N, K), when; any unit. NaN where nothing was read: what stands there as a score is a failure.
    """
    scale = scale_of(scores)
    levels = scale.level(scores)
    links: list[Link] = []
    for rung in range(scores.shape[1]):
        known = _used(levels[:, rung])
        kernel = _kernel_for(points, scores[:, : rung + 1], read_at[:, rung])
        read = points[known], levels[known, : rung + 1], kernel
        links.append(_later(*read, links[-1]) if rung else _first(*read))
    return Chain(scale, tuple(links))


def _used(levels: Array) -> NDArray[np.int64]:
    """Return the rows with a reading, but no more than 200: the best 100 and as many others, in order."""
    known = np.flatnonzero(np.isfinite(levels))
    if len(known) <= MOST_READINGS:
        return known
    best = known[np.argsort(-levels[known], kind="stable")[: MOST_READINGS // 2]]
    evenly = known[np.linspace(0, len(known) - 1, MOST_READINGS // 2).astype(np.int64)]
    return np.union1d(best, evenly)


def _first(points: Array, levels: Array, kernel: Kernel | None) -> Link:
    mean = float(levels.mean())
    spread = float(levels.std()) + LEAST_SPREAD
    rest = condition(kernel, points, (levels[:, 0] - mean) / spread) if kernel else None
    return Link(0.0, 0.0, mean, spread, rest, _doubt(rest))


def _later(points: Array, levels: Array, kernel: Kernel | None, before: Link) -> Link:
    """Regress the gains on what came before, shrunk towards what is thought beforehand."""
    is_second = levels.shape[1] == 2
    thought = before.spread * (FIRST_SPREAD if is_second else LATER_SPREAD)
    centre = np.array([0.0 if is_second else CARRIED, 0.0, DRIFT * thought])
    design, gains = _regression(levels)
    ridge = np.diag((thought / np.array([*COEFFICIENT_SPREADS, thought])) ** 2)
    found = np.linalg.solve(design.T @ design + ridge, design.T @ gains + ridge @ centre)
    rests = gains - design @ found
    spread = float(np.sqrt(((rests**2).sum() + WEIGHT * thought**2) / (len(rests) + WEIGHT)))
    rest = condition(kernel, points, rests / spread) if kernel else None
    carried, pull, shift = found.tolist()
    return Link(carried, pull, shift, spread, rest, _doubt(rest))


def _doubt(rest: Posterior | None) -> float:
    return max(1.0, rest.misfit()) if rest else 1.0


def _regression(levels: Array) -> tuple[Array, Array]:
    """Return what explains (N, 3) the last gains, and these (N,): the gain before, the level, and a constant."""
    level = levels[:, -2]
    last = level - levels[:, -3] if levels.shape[1] > 2 else np.zeros_like(level)
    return np.stack([last, level, np.ones_like(level)], axis=1), levels[:, -1] - level


def _begin(levels: Array, num_read: NDArray[np.int64]) -> Array:
    """Return the state (N, 7) after what was read."""
    state = np.zeros((len(levels), _WIDTH))
    rows = np.flatnonzero(num_read)
    state[rows, _LEVEL] = levels[rows, num_read[rows] - 1]
    rows = np.flatnonzero(num_read > 1)
    state[rows, _GAIN] = levels[rows, num_read[rows] - 1] - levels[rows, num_read[rows] - 2]
    return state


def _told(state: Array) -> Array:
    """Return the state at the next rung, from which on what it shares with the level there is followed."""
    told = state.copy()
    told[:, _WITH_NEXT] = state[:, _VAR]
    told[:, _GAIN_WITH_NEXT] = state[:, _SHARED]
    return told


def _advance(state: Array, link: Link, points: Array, *, is_first: bool) -> Array:
    """Return the state a rung later."""
    level, gain, var, var_gain, shared, with_next, gain_with_next = state.T
    mean, rest = link.rest_at(points)
    if is_first:
        zero = np.zeros_like(mean)
        return np.stack([link.shift + mean, zero, rest, zero, zero, zero, zero], axis=1)
    a, b = link.carried, link.pull
    new_gain = a * gain + b * level + link.shift + mean
    new_var_gain = a * a * var_gain + b * b * var + 2 * a * b * shared + rest
    with_level = a * shared + b * var  # covariance of the level before with its gain
    new_var = var + new_var_gain + 2 * with_level
    new_gain_with_next = a * gain_with_next + b * with_next
    return np.stack(
        [
            level + new_gain,
            new_gain,
            new_var,
            new_var_gain,
            with_level + new_var_gain,
            with_next + new_gain_with_next,
            new_gain_with_next,
        ],
        axis=1,
    )


def _kernel_for(points: Array | Rows, scores: Array, read_at: Array) -> Kernel | None:
    """Return the kernel chosen by the first readings at the last rung of these; None if there are too few.

    It rests on what will not change, whatever is read later, so that it is seldom chosen anew; what failures count as
    does change.
    """
    known = np.flatnonzero(np.isfinite(scores[:, -1]) & np.isfinite(read_at))
    known = known[np.argsort(read_at[known], kind="stable")]
    if len(known) < LEAST_READINGS:
        return None
    first = known[: num_for_kernel(len(known))]
    return _chosen(points[first].tobytes(), scores[first].tobytes(), len(first))


@lru_cache(maxsize=256)
def _chosen(points: bytes, scores: bytes, num: int) -> Kernel:
    """Choose a kernel by what a rung adds to the ones before it, in spreads of that."""
    read = np.frombuffer(scores).reshape(num, -1)
    values = scale_of(read).level(read)[:, 0]
    if read.shape[1] > 1:
        design, gains = _regression(scale_of(read).level(read))
        ridge = np.diag([KERNEL_RIDGE, KERNEL_RIDGE, 0.0])
        values = gains - design @ np.linalg.lstsq(design.T @ design + ridge, design.T @ gains, rcond=None)[0]
    values = (values - values.mean()) / (values.std() + LEAST_SPREAD)
    return likeliest(np.frombuffer(points).reshape(num, -1), values)
