"""Gaussian processes against scikit-learn's, and against what they must do."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

from search.surrogate import gp
from search.surrogate.gp import JITTER, Kernel, condition, likeliest, num_for_kernel

KERNEL = Kernel(lengths=np.array([0.3, 0.5, 2.0]), amplitude=1.3, noise=0.2)


def _readings(num: int = 30, num_axes: int = 3) -> tuple[gp.Array, gp.Array]:
    rng = np.random.default_rng(0)
    points = rng.random((num, num_axes))
    values = np.sin(6 * points[:, 0]) + 0.1 * rng.normal(size=num)
    return points, (values - values.mean()) / values.std()


def test_the_posterior_is_that_of_scikit_learn() -> None:
    points, values = _readings()
    wanted = np.random.default_rng(1).random((50, 3))
    theirs = GaussianProcessRegressor(
        ConstantKernel(KERNEL.amplitude**2) * Matern(KERNEL.lengths, nu=2.5),
        alpha=KERNEL.noise**2 + JITTER,
        optimizer=None,
    ).fit(points, values)

    mean, variance = condition(KERNEL, points, values).at(wanted)

    their_mean, their_deviation = theirs.predict(wanted, return_std=True)
    assert mean == pytest.approx(their_mean, abs=1e-9)
    assert variance == pytest.approx(their_deviation**2, abs=1e-9)


def test_the_cost_of_a_kernel_is_its_negative_log_posterior() -> None:
    points, values = _readings()
    gaps = (points[:, None, :] - points[None, :, :]) ** 2
    prior = np.array([[-0.2, 1.0]] * 3 + [[0.0, 0.5], [-1.2, 0.8]])
    logs = np.log([*KERNEL.lengths, KERNEL.amplitude, KERNEL.noise])
    theirs = GaussianProcessRegressor(
        ConstantKernel(KERNEL.amplitude**2) * Matern(KERNEL.lengths, nu=2.5),
        alpha=KERNEL.noise**2 + JITTER,
        optimizer=None,
    ).fit(points, values)

    cost, gradient = gp._cost(logs, gaps, values, prior)

    of_prior = (((logs - prior[:, 0]) / prior[:, 1]) ** 2).sum() / 2
    constant = len(values) / 2 * np.log(2 * np.pi)
    assert cost == pytest.approx(-theirs.log_marginal_likelihood_value_ - constant + of_prior)
    assert gradient == pytest.approx(approx_fprime(logs, lambda x: gp._cost(x, gaps, values, prior)[0], 1e-6), abs=1e-3)


def test_the_axis_that_matters_gets_the_shortest_length() -> None:
    points, values = _readings(60)

    kernel = likeliest(points, values)

    assert kernel.lengths.argmin() == 0
    assert kernel.lengths[0] < 0.3 * kernel.lengths[1:].min()
    assert 0.02 < kernel.noise < 0.4


def test_the_misfit_is_how_far_readings_are_from_what_the_others_foretell() -> None:
    points, values = _readings(12)
    errors = []
    for left_out in range(12):
        others = np.delete(np.arange(12), left_out)
        mean, variance = condition(KERNEL, points[others], values[others]).at(points[[left_out]])
        errors.append((values[left_out] - mean[0]) ** 2 / (variance[0] + KERNEL.noise**2 + JITTER))

    assert condition(KERNEL, points, values).misfit() == pytest.approx(np.mean(errors))


def test_readings_that_come_as_expected_change_no_mean_and_leave_less_doubt() -> None:
    points, values = _readings()
    wanted = np.random.default_rng(1).random((20, 3))
    before = condition(KERNEL, points, values)

    after = before.believing(wanted[:5])

    mean, variance = before.at(wanted)
    mean_after, variance_after = after.at(wanted)
    assert mean_after == pytest.approx(mean, abs=1e-4)
    again = condition(KERNEL, np.concatenate([points, wanted[:5]]), np.concatenate([values, mean[:5]]))
    assert after.at(wanted)[0] == pytest.approx(again.at(wanted)[0], abs=1e-9)
    assert variance_after == pytest.approx(again.at(wanted)[1], abs=1e-9)
    assert (variance_after <= variance + 1e-9).all()
    assert (variance_after[:5] < 0.5 * variance[:5]).all()


def test_a_kernel_is_chosen_anew_for_a_fifth_more_readings() -> None:
    chosen_by = [num_for_kernel(num) for num in range(5, 400)]

    assert chosen_by == sorted(chosen_by)
    assert len(set(chosen_by)) < 20
    assert max(chosen_by) <= 120
    assert all(by <= num < 1.25 * by + 1 for num, by in zip(range(5, 120), chosen_by, strict=False))
