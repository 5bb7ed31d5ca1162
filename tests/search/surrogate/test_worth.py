"""Improvement for its price."""

import numpy as np
import pytest

from search.surrogate.rungs import Forecast
from search.surrogate.worth import chance, expected_improvement, expected_rates, price


def test_expected_improvement_is_the_mean_of_what_exceeds_the_best() -> None:
    mean, spread = np.array([0.2, 1.0, 1.5, -3.0]), np.array([1.0, 0.5, 0.01, 0.1])
    drawn = mean + spread * np.random.default_rng(0).normal(size=(400_000, 4))

    found = expected_improvement(mean, spread, best=1.0)

    assert found == pytest.approx(np.maximum(drawn - 1.0, 0).mean(axis=0), abs=3e-3)
    assert chance(mean, spread, best=1.0) == pytest.approx((drawn > 1.0).mean(axis=0), abs=3e-3)


def test_what_is_certain_improves_by_what_it_is_ahead() -> None:
    assert expected_improvement(np.array([1.5, 0.5]), np.zeros(2), best=1.0) == pytest.approx([0.5, 0.0])


def _forecast(last_mean: float, next_spread: float, left: float, slope: float = 1.0) -> Forecast:
    """A forecast for one configuration: a reading that moves the end by `slope`, and what is left then."""
    return Forecast(
        next_mean=np.array([last_mean]),
        next_variance=np.array([next_spread**2]),
        last_mean=np.array([last_mean]),
        last_variance=np.array([(slope * next_spread) ** 2 + left**2]),
        shared=np.array([slope * next_spread**2]),
    )


def _price(forecast: Forecast, to_next: float, rest: float) -> float:
    return float(price(forecast, 0.0, to_next=np.array([to_next]), rest=np.array([rest]))[0])


@pytest.mark.parametrize(("mean", "next_spread", "left"), [(0.2, 0.5, 0.3), (-0.5, 1.0, 0.1), (-1.0, 0.2, 0.8)])
def test_a_price_is_that_at_which_looking_and_then_choosing_is_even(
    mean: float, next_spread: float, left: float
) -> None:
    forecast, to_next, rest = _forecast(mean, next_spread, left), 2.0, 7.0

    found = _price(forecast, to_next, rest)

    read = mean + next_spread * np.random.default_rng(0).normal(size=400_000)
    gains = expected_improvement(read, np.full_like(read, left), 0.0)
    assert np.maximum(gains - found * rest, 0).mean() == pytest.approx(found * to_next, rel=0.02)


def test_with_nothing_left_after_the_next_rung_it_is_the_improvement_a_second() -> None:
    improvement = expected_improvement(np.array([-0.3]), np.array([0.5]), 0.0)[0]

    assert _price(_forecast(-0.3, 0.5, 0.0), 4.0, 0.0) == pytest.approx(improvement / 4)


def test_a_look_that_settles_the_matter_is_worth_more_than_the_whole_way() -> None:
    whole = expected_improvement(np.array([-1.0]), np.array([1.0]), 0.0)[0] / 20

    assert _price(_forecast(-1.0, 1.0, 0.05), 1.0, 19.0) > 1.3 * whole
    assert _price(_forecast(-1.0, 0.01, 1.0), 1.0, 19.0) == pytest.approx(whole, rel=0.02)


def test_of_two_equal_forecasts_the_cheaper_is_worth_more() -> None:
    forecast = _forecast(-0.3, 0.5, 0.3)

    assert _price(forecast, 1.0, 5.0) == pytest.approx(4 * _price(forecast, 4.0, 20.0))


def test_rates_depend_on_the_configuration_where_they_differ() -> None:
    points = np.random.default_rng(0).random((40, 3))
    rates = np.exp(3 * points[:, 1])
    wanted = np.random.default_rng(1).random((20, 3))

    found = expected_rates(points, rates, wanted)

    assert found == pytest.approx(np.exp(3 * wanted[:, 1]), rel=0.3)


def test_a_trial_that_was_never_timed_changes_no_rate() -> None:
    points = np.random.default_rng(0).random((40, 3))
    rates = np.exp(3 * points[:, 1])
    wanted = np.random.default_rng(1).random((20, 3))

    found = expected_rates(np.insert(points, 5, 0.5, axis=0), np.insert(rates, 5, np.nan), wanted)

    assert found.tolist() == expected_rates(points, rates, wanted).tolist()
    assert expected_rates(points, np.full(40, np.nan), wanted).tolist() == [1.0] * 20


@pytest.mark.parametrize("rates", [[2.0, 2.01, 1.99, 2.0, 2.0, 2.0], [1.0, 4.0]])
def test_rates_are_the_median_where_they_are_equal_or_few(rates: list[float]) -> None:
    points = np.random.default_rng(0).random((len(rates), 3))

    found = expected_rates(points, np.array(rates), points)

    assert found == pytest.approx([2.0] * len(rates))
