"""Gaussian-process regression on the unit cube, with a length scale for each axis.

Source: Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning", algorithm 2.1 and equations 5.8 and
5.9; the Matérn kernel with nu = 5/2 is their equation 4.17. Length scales, amplitude and noise are those of the largest
posterior density, under log-normal priors that keep few readings from being explained by any one axis.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve, cholesky
from scipy.linalg.lapack import dtrtri
from scipy.optimize import minimize
from threadpoolctl import ThreadpoolController

Array = NDArray[np.float64]
Args = ParamSpec("Args")
Found = TypeVar("Found")

ROOT5 = np.sqrt(5.0)
JITTER = 1e-6  # added to the variance of the noise: a Cholesky factor must exist
MOST_STEPS = 20  # of the optimizer; the last tenths of a nat are worth no time
LENGTH_PRIOR = (np.log(0.8), 1.0)  # mean and standard deviation of the logarithm
AMPLITUDE_PRIOR = (0.0, 0.5)
NOISE_PRIOR = (np.log(0.3), 0.8)
BOUNDS = {"length": (-3.0, 3.0), "amplitude": (-1.5, 1.5), "noise": (-3.0, 1.0)}  # of the logarithms
LEAST_READINGS = 5  # before they are said to depend on where they were taken
GROWTH = 1.2  # of the number of readings, from one choice of a kernel to the next
MOST_FOR_KERNEL = 120  # readings that a kernel is chosen by
IMPOSSIBLE = 1e10  # negative log posterior where no Cholesky factor exists
BLAS = ThreadpoolController()  # of NumPy and of SciPy, which bring one each


def _on_one_thread(function: Callable[Args, Found]) -> Callable[Args, Found]:
    """Keep BLAS to one thread: the two libraries' threads wait for each other, and small matrices take tenfold time."""
    kept: Callable[Args, Found] = BLAS.wrap(limits=1, user_api="blas")(function)
    return kept


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """What a function is thought to be like, before readings of it.

    Attributes:
        lengths: float64 (D,), above 0: how far along each axis values are alike.
        amplitude: Standard deviation of the function.
        noise: Standard deviation of a reading around it.
    """

    lengths: Array
    amplitude: float
    noise: float

    def between(self, left: Array, right: Array) -> Array:
        """Return the covariances (N, M) of the function at points (N, D) and (M, D)."""
        left, right = left / self.lengths, right / self.lengths
        squared = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None] - 2 * left @ right.T
        return self.amplitude**2 * _matern(np.sqrt(np.maximum(squared, 0.0)))


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """What is known of a function after readings."""

    kernel: Kernel
    points: Array  # (N, D)
    weights: Array  # (N,)
    inverse: Array  # (N, N), of the lower Cholesky factor of the readings' covariance

    @_on_one_thread
    def at(self, points: Array) -> tuple[Array, Array]:
        """Return mean (M,) and variance (M,), above 0, of the function at points (M, D)."""
        shared = self.kernel.between(self.points, points)
        explained = self.inverse @ shared
        variance = self.kernel.amplitude**2 - (explained**2).sum(axis=0)
        return shared.T @ self.weights, np.maximum(variance, 1e-8)

    @_on_one_thread
    def mean_at(self, points: Array) -> Array:
        """Return the mean (M,) alone, which takes a fraction of the time."""
        return self.kernel.between(self.points, points).T @ self.weights

    @_on_one_thread
    def misfit(self) -> float:
        """Return the mean squared error of each reading's forecast from all others, in its variance: 1 if all is well.

        Source: Rasmussen and Williams, equations 5.12.
        """
        return float((self.weights**2 / (self.inverse**2).sum(axis=0)).mean())

    @_on_one_thread
    def believing(self, points: Array) -> "Posterior":
        """Return what would be known after readings at more points (M, D) that are as expected.

        Source: the "kriging believer" of Ginsbourger, Le Riche and Carraro 2010.
        """
        shared = self.inverse @ self.kernel.between(self.points, points)
        later = cholesky(_noisy(self.kernel, points) - shared.T @ shared, lower=True, check_finite=False)
        of_later, _ = dtrtri(later, lower=True)
        none_yet = np.zeros((len(self.points), len(points)))
        return Posterior(
            self.kernel,
            np.concatenate([self.points, points]),
            np.concatenate([self.weights, np.zeros(len(points))]),  # what is as expected changes no mean
            np.block([[self.inverse, none_yet], [-of_later @ shared.T @ self.inverse, of_later]]),
        )


@_on_one_thread
def condition(kernel: Kernel, points: Array, values: Array) -> Posterior:
    """Return what readings (N,) at points (N, D) tell of a function of mean 0."""
    inverse = _inverse(kernel, points.tobytes(), len(points))
    return Posterior(kernel, points, inverse.T @ (inverse @ values), inverse)


@lru_cache(maxsize=32)
def _inverse(kernel: Kernel, points: bytes, num: int) -> Array:
    """Return the inverse of a Cholesky factor; a reading at one rung leaves those of the others as they are."""
    read_at = np.frombuffer(points).reshape(num, -1)
    factor = cholesky(_noisy(kernel, read_at), lower=True, check_finite=False)
    inverse, _ = dtrtri(factor, lower=True)
    return np.asarray(inverse)


@_on_one_thread
def likeliest(points: Array, values: Array) -> Kernel:
    """Return the kernel of largest posterior density, given readings (N,) at points (N, D) of the unit cube.

    The readings are taken to have mean 0 and a standard deviation of about 1.
    """
    num_axes = points.shape[1]
    gaps = (points[:, None, :] - points[None, :, :]) ** 2
    prior = np.array([LENGTH_PRIOR] * num_axes + [AMPLITUDE_PRIOR, NOISE_PRIOR])
    bounds = [BOUNDS["length"]] * num_axes + [BOUNDS["amplitude"], BOUNDS["noise"]]
    found = minimize(
        _cost, prior[:, 0], args=(gaps, values, prior), jac=True, method="L-BFGS-B", bounds=bounds,
        options={"maxiter": MOST_STEPS},
    )  # fmt: skip
    sizes = np.exp(found.x)
    return Kernel(sizes[:num_axes], float(sizes[num_axes]), float(sizes[num_axes + 1]))


def num_for_kernel(num_readings: int) -> int:
    """Return how many of the first readings choose the kernel: that takes time, so only a fifth more choose anew."""
    num = LEAST_READINGS
    while (grown := int(np.ceil(num * GROWTH))) <= min(num_readings, MOST_FOR_KERNEL):
        num = grown
    return num


def _noisy(kernel: Kernel, points: Array) -> Array:
    """Return the covariances (N, N) of readings at points (N, D)."""
    covariance = kernel.between(points, points)
    covariance[np.diag_indices(len(points))] += kernel.noise**2 + JITTER
    return covariance


def _matern(distance: Array) -> Array:
    scaled = ROOT5 * distance
    found: Array = (1 + scaled + scaled**2 / 3) * np.exp(-scaled)
    return found


def _cost(logs: Array, gaps: Array, values: Array, prior: Array) -> tuple[float, Array]:
    """Return the negative log posterior of a kernel's logarithms (D + 2,), and its gradient."""
    num, num_axes = len(values), gaps.shape[2]
    sizes = np.exp(logs)
    amplitude2, noise2 = sizes[num_axes] ** 2, sizes[num_axes + 1] ** 2
    shares = gaps / sizes[:num_axes] ** 2
    scaled = ROOT5 * np.sqrt(shares.sum(axis=2))
    decay = np.exp(-scaled)
    covariance = amplitude2 * (1 + scaled + scaled**2 / 3) * decay
    covariance[np.diag_indices(num)] += noise2 + JITTER
    try:
        factor = cho_factor(covariance, lower=True, check_finite=False)
    except LinAlgError:
        return IMPOSSIBLE, np.zeros_like(logs)
    weights = cho_solve(factor, values, check_finite=False)
    inner = np.outer(weights, weights) - cho_solve(factor, np.eye(num), check_finite=False)
    slope = inner * amplitude2 * (5 / 3) * (1 + scaled) * decay  # of the kernel in half a squared distance
    lengths = np.einsum("ij,ijk->k", slope, shares) / 2
    noise = np.trace(inner) * noise2
    amplitude = float((inner * covariance).sum()) - np.trace(inner) * (noise2 + JITTER)
    cost = values @ weights / 2 + np.log(np.diag(factor[0])).sum()
    off = (logs - prior[:, 0]) / prior[:, 1]
    gradient = np.concatenate([lengths, [amplitude, noise]])
    return float(cost + (off**2).sum() / 2), off / prior[:, 1] - gradient
