"""Mixtures of kernels, one around each configuration that was tried: what TPE takes its densities from.

Sources: Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization", section 4; Falkner et al. 2018, "BOHB",
for kernels over all parameters at once; Watanabe 2023, arXiv:2304.11127, for what the parts are worth. Widths and
weights are those of Optuna 5 (`optuna.samplers.TPESampler`), which the tests hold this against.
Letters: N configurations that were tried, S that are drawn, R ranges, C choices. A range goes from 0 to 1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from search.samplers.steps import Steps
from search.surrogate.gp import Array

Options = NDArray[np.int64]

ALL_COUNT = 25  # of the youngest configurations as much as each other, older ones less and less
LEAST_WIDTH = 0.01  # of a kernel, in the length of a range
TINY = 1e-300


@dataclass(frozen=True, slots=True, eq=False)
class Axes:
    """Parameters that are drawn together.

    Attributes:
        steps: R of them; None for a range without steps.
        sizes: C numbers of options.
    """

    steps: tuple[Steps | None, ...]
    sizes: tuple[int, ...]

    @property
    def has_steps(self) -> NDArray[np.bool_]:
        """Say whether each range (R,) has steps."""
        return np.array([steps is not None for steps in self.steps], dtype=bool)

    def snapped(self, places: Array) -> Array:
        """Return places (S, R) in which the number of its step stands for a value that has one."""
        found = places.copy()
        for number, steps in enumerate(self.steps):
            if steps is not None:
                inside = np.searchsorted(steps.edges, places[:, number], side="right") - 1
                found[:, number] = np.clip(inside, 0, len(steps.middles) - 1)
        return found

    def middles(self, tried: Array) -> Array:
        """Return the places (N, R) of values that are given as `snapped` does."""
        columns = [
            column if steps is None else steps.middles[column.astype(np.int64)]
            for steps, column in zip(self.steps, tried.T, strict=True)
        ]
        return np.stack(columns, axis=1) if columns else np.zeros((len(tried), 0))


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """N kernels around configurations, and a last one that is wide: what was thought before any was tried.

    Attributes:
        axes: Of the configurations.
        weights: float64 (N + 1,), of sum 1.
        middles: float64 (N + 1, R).
        widths: float64 (N + 1, R), standard deviations.
        chances: For each parameter with K options, float64 (N + 1, K).
    """

    axes: Axes
    weights: Array
    middles: Array
    widths: Array
    chances: tuple[Array, ...]

    def draw(self, rng: np.random.Generator, num: int) -> tuple[Array, Options]:
        """Return ranges (S, R), as `Axes.snapped` gives them, and options (S, C) of so many configurations."""
        kernels = rng.choice(len(self.weights), p=self.weights, size=num)
        middles, widths = self.middles[kernels], self.widths[kernels]
        below, above = ndtr(-middles / widths), ndtr((1 - middles) / widths)
        places = middles + widths * ndtri(below + rng.random(middles.shape) * (above - below))
        options = [
            (chances[kernels].cumsum(axis=1) < rng.random((num, 1))).sum(axis=1).clip(max=chances.shape[1] - 1)
            for chances in self.chances
        ]
        snapped = self.axes.snapped(np.clip(places, 0.0, 1.0))
        return snapped, np.array(options, dtype=np.int64).reshape(len(options), num).T

    def log_density(self, ranges: Array, options: Options) -> Array:
        """Return the logarithm of the density (S,), given as `draw` does: of a step, that of its whole share."""
        found = np.log(self.weights) - np.log(self._within()).sum(axis=1)
        is_even = ~self.axes.has_steps
        widths = self.widths[:, is_even]
        off = (ranges[:, None, is_even] - self.middles[:, is_even]) / widths
        found = found - (off**2 / 2).sum(axis=2) - np.log(widths * np.sqrt(2 * np.pi)).sum(axis=1)
        for number, steps in enumerate(self.axes.steps):
            if steps is not None:
                found = found + self._of_steps(number, steps)[ranges[:, number].astype(np.int64)]
        for number, chances in enumerate(self.chances):
            found = found + np.log(chances).T[options[:, number]]
        most = found.max(axis=1)
        return np.asarray(most + np.log(np.exp(found - most[:, None]).sum(axis=1)))

    def _of_steps(self, number: int, steps: Steps) -> Array:
        """Return the logarithm of how much of each kernel lies in the share of each step (K, N + 1)."""
        edges = (steps.edges[:, None] - self.middles[:, number]) / self.widths[:, number]
        low, high = edges[:-1], edges[1:]
        is_above = low > 0  # there the other tail is the one with digits left
        mass = ndtr(np.where(is_above, -low, high)) - ndtr(np.where(is_above, -high, low))
        return np.asarray(np.log(np.maximum(mass, TINY)))

    def _within(self) -> Array:
        """Return how much of each kernel (N + 1, R) lies between 0 and 1."""
        return np.asarray(ndtr((1 - self.middles) / self.widths) - ndtr(-self.middles / self.widths))


def mixture_of(axes: Axes, ranges: Array, options: Options) -> Mixture:
    """Return the kernels around configurations (N, R) and (N, C), given as `Mixture.draw` does, oldest first."""
    num, middles = len(ranges), axes.middles(ranges)
    weights = np.append(_weights(num), 1.0)
    chances = []
    for number, size in enumerate(axes.sizes):
        counts = np.full((num + 1, size), 1.0 / (num + 1))
        counts[np.arange(num), options[:, number]] += 1
        chances.append(counts / counts.sum(axis=1, keepdims=True))
    return Mixture(
        axes=axes,
        weights=weights / weights.sum(),
        middles=np.concatenate([middles, np.full((1, middles.shape[1]), 0.5)]),
        widths=np.concatenate([_widths(middles), np.ones((1, middles.shape[1]))]),
        chances=tuple(chances),
    )


def _weights(num: int) -> Array:
    if num < ALL_COUNT:
        return np.ones(num)
    return np.concatenate([np.linspace(1.0 / num, 1.0, num - ALL_COUNT), np.ones(ALL_COUNT)])


def _widths(middles: Array) -> Array:
    """Return the distance (N, R) of each middle to its farther neighbour; the ends of the range are neighbours, too."""
    num = len(middles)
    order = middles.argsort(axis=0, kind="stable")
    ends = np.zeros((1, middles.shape[1])), np.ones((1, middles.shape[1]))
    gaps = np.diff(np.concatenate([ends[0], np.take_along_axis(middles, order, axis=0), ends[1]]), axis=0)
    sizes = np.maximum(gaps[:-1], gaps[1:])
    if num > 1:
        sizes[0], sizes[-1] = gaps[1], gaps[-2]  # but not of the outermost
    found = np.empty_like(sizes)
    np.put_along_axis(found, order, sizes, axis=0)
    return np.clip(found, max(LEAST_WIDTH, 1.0 / (num + 2)), 1.0)
