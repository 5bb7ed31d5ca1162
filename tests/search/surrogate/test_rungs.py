"""Forecasts from rung to rung, on curves that are made of what the model supposes and of what it does not."""

import numpy as np
import pytest

from search.surrogate.gp import Array
from search.surrogate.rungs import Chain, Scale, link_up, scale_of

RUNGS = (2.0, 6.0, 18.0, 54.0)


def _curves(num: int, *, seed: int = 0, noise: float = 0.005) -> tuple[Array, Array]:
    """Points (N, 2) and scores (N, 4): the first axis says where a curve ends, the second how fast it gets there."""
    rng = np.random.default_rng(seed)
    points = rng.random((num, 2))
    end = 0.9 - 0.5 * (points[:, :1] - 0.4) ** 2
    pace = 0.05 + 0.3 * points[:, 1:]
    return points, end * (1 - np.exp(-pace * np.array(RUNGS))) + noise * rng.normal(size=(num, len(RUNGS)))


def _cut(scores: Array, num_read: int) -> Array:
    """The scores that are known when `num_read` rungs have been reached."""
    known = scores.copy()
    known[:, num_read:] = np.nan
    return known


def _linked(points: Array, scores: Array) -> Chain:
    """The chain of trials that were read in their order."""
    return link_up(points, scores, np.broadcast_to(np.arange(len(scores))[:, None], scores.shape))


def _last(chain: Chain, points: Array, scores: Array) -> tuple[Array, Array]:
    found = chain.forecast(points, scores)
    return found.last_mean, found.last_spread


def test_a_scale_has_the_median_of_the_first_rung_at_0_and_the_best_at_1() -> None:
    scale = scale_of(np.array([[0.1, 0.5], [0.2, 0.9], [0.3, np.nan]]))

    assert scale == Scale(0.2, pytest.approx(0.7))
    assert scale.level(np.array([0.2, 0.9])) == pytest.approx([0.0, 1.0])
    assert scale.level(np.array([-1e9])) > -20, "a divergence is bad, not infinitely so"


def test_what_is_at_the_last_rung_is_known() -> None:
    points, scores = _curves(20)
    chain = _linked(points, scores)

    mean, spread = _last(chain, points, scores)

    assert mean == pytest.approx(chain.scale.level(scores[:, -1]))
    assert spread.tolist() == [0.0] * 20


@pytest.mark.parametrize("num_read", [0, 1, 2, 3])
def test_forecasts_come_true_within_their_spreads(num_read: int) -> None:
    points, scores = _curves(60)
    others, ends = _curves(200, seed=1)
    chain = _linked(points, scores)

    mean, spread = _last(chain, others, _cut(ends, num_read))

    off = (mean - chain.scale.level(ends[:, -1])) / spread
    assert np.abs(off).mean() < 1.5
    assert (np.abs(off) < 3).mean() > 0.95
    assert np.corrcoef(mean, ends[:, -1])[0, 1] > 0.8


@pytest.mark.parametrize("num_read", [0, 1, 2, 3])
def test_the_next_reading_shifts_the_forecast_as_it_said_it_would(num_read: int) -> None:
    points, scores = _curves(60)
    chain = _linked(points, scores)
    points, known = points[:7], _cut(scores[:7], num_read)
    before = chain.forecast(points, known)
    told = known.copy()
    width, shift = chain.scale.width, chain.scale.middle
    told[:, num_read] = shift + width * (np.maximum(before.next_mean, 0.0) + 0.1)  # levels above 0 are linear

    after = chain.forecast(points, told)

    surprise = chain.scale.level(told[:, num_read]) - before.next_mean
    slope = before.shared / before.next_variance
    assert after.last_mean == pytest.approx(before.last_mean + slope * surprise, abs=1e-9)
    assert after.last_variance == pytest.approx(before.last_variance - slope * before.shared, abs=1e-9)


def test_a_later_reading_leaves_less_doubt() -> None:
    points, scores = _curves(60)
    chain = _linked(points, scores)

    spreads = [_last(chain, points, _cut(scores, num_read))[1].mean() for num_read in range(5)]

    assert spreads == sorted(spreads, reverse=True)


def test_a_rung_that_tells_nothing_is_not_trusted() -> None:
    points, scores = _curves(60)
    rng = np.random.default_rng(2)
    telling, misleading = scores.copy(), scores.copy()
    misleading[:, 0] = rng.permutation(scores[:, 0])
    weights = []
    for read in (telling, misleading):
        mean, _ = _last(_linked(points[:40], read[:40]), points[40:], _cut(read[40:], 1))
        weights.append(np.corrcoef(mean, scores[40:, -1])[0, 1])

    assert weights[0] > 0.9
    assert weights[1] > 0.5, "the configuration still tells where the first rung does not"


def test_a_few_readings_at_the_first_rung_are_enough_to_begin_with() -> None:
    points, scores = _curves(3)

    mean, spread = _last(_linked(points, _cut(scores, 1)), points, _cut(scores, 1))

    assert np.isfinite(mean).all()
    assert (spread > 0).all()


def test_equal_scores_and_a_single_trial_are_no_fault() -> None:
    for num in (1, 8):
        points = np.random.default_rng(0).random((num, 2))
        scores = np.full((num, 4), 0.5)

        mean, spread = _last(_linked(points, scores), points, _cut(scores, 2))

        assert np.isfinite(mean).all()
        assert np.isfinite(spread).all()


def test_trials_under_way_leave_less_doubt_of_their_neighbours() -> None:
    points, scores = _curves(30)
    chain = _linked(points, scores)
    wanted = np.array([[0.95, 0.95]])

    _, before = _last(chain, wanted, np.full((1, 4), np.nan))
    _, after = _last(chain.believing(wanted), wanted, np.full((1, 4), np.nan))

    assert after < before


def test_thousands_of_readings_are_thinned_out() -> None:
    points, scores = _curves(3000)

    chain = _linked(points, scores)

    assert all(link.rest is not None and len(link.rest.points) <= 200 for link in chain.links)


def test_a_kernel_stays_when_an_earlier_trial_is_read_later() -> None:
    points, curves = _curves(40)
    scores = _cut(curves, 1)
    scores[20:30, 1] = curves[20:30, 1]  # 10 of the younger half go on first: as many as choose a kernel
    read_at = np.where(np.arange(40) < 20, 2.0, 1.0)[:, None] * np.ones_like(scores)
    before = link_up(points, scores, read_at)
    scores[0, 1] = curves[0, 1]

    after = link_up(points, scores, read_at)

    first, second = before.links[1].rest, after.links[1].rest
    assert first is not None
    assert second is not None
    assert len(second.points) == len(first.points) + 1
    assert second.kernel is first.kernel


def test_a_kernel_stays_when_what_failures_count_as_gets_worse() -> None:
    points, scores = _curves(40)
    read_at = np.broadcast_to(np.arange(40.0)[:, None], scores.shape).copy()
    read_at[3] = np.nan
    scores[3] = scores.min()
    before = link_up(points, scores, read_at)
    scores[3] -= 0.1

    after = link_up(points, scores, read_at)

    assert before.links[0].rest is not None
    assert after.links[0].rest is not None
    assert after.links[0].rest.kernel is before.links[0].rest.kernel


@pytest.mark.parametrize("num_read", [0, 1, 2, 4])
def test_the_mean_alone_is_that_of_the_forecast(num_read: int) -> None:
    points, scores = _curves(60)
    known = scores.copy()
    known[20:, 2:] = np.nan
    chain = _linked(points, known)

    mean, _ = _last(chain, points[:10], _cut(scores[:10], num_read))

    assert chain.expected(points[:10], _cut(scores[:10], num_read)) == pytest.approx(mean)
