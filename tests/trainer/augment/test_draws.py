import numpy as np
import pytest
import torch
from torch import Generator

from trainer.augment import draws


@pytest.mark.parametrize("alpha", [0.01, 0.2, 0.5, 1.0, 2.0, 10.0])
def test_beta_draws_have_the_quantiles_of_the_distribution(alpha: float, rng: Generator) -> None:
    drawn = draws.symmetric_beta(40_000, alpha=alpha, rng=rng).double()
    torch.manual_seed(2)
    expected = torch.distributions.Beta(alpha, alpha).sample((40_000,)).double()

    shares = torch.linspace(0.05, 0.95, 19, dtype=torch.double)
    below = [(values[:, None] <= shares).double().mean(0) for values in (drawn, expected)]

    torch.testing.assert_close(*below, rtol=0, atol=0.015)  # four standard deviations
    assert drawn.mean().item() == pytest.approx(0.5, abs=0.01)
    assert drawn.var().item() == pytest.approx(0.25 / (2 * alpha + 1), rel=0.05)


@pytest.mark.parametrize("alpha", [1e-4, 1e-2, 10.0])
def test_beta_draws_are_shares_even_at_the_ends(alpha: float, rng: Generator) -> None:
    drawn = draws.symmetric_beta(10_000, alpha=alpha, rng=rng)

    assert drawn.isfinite().all()
    assert drawn.min() >= 0
    assert drawn.max() <= 1


def test_whole_numbers_reach_both_bounds(rng: Generator) -> None:
    assert set(draws.integers(500, -2, 3, rng=rng).tolist()) == {-2, -1, 0, 1, 2, 3}


def test_uniform_numbers_fill_their_interval(rng: Generator) -> None:
    drawn = draws.uniform(10_000, -3, 5, rng=rng)

    assert -3 <= drawn.min() < -2.95
    assert 4.95 < drawn.max() <= 5
    assert drawn.mean().item() == pytest.approx(1, abs=0.1)


def test_coins_are_fair(rng: Generator) -> None:
    assert draws.coins(10_000, rng=rng).float().mean().item() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("chance", [0.0, 0.3, 1.0])
def test_a_chance_is_met_as_often_as_it_says(chance: float, rng: Generator) -> None:
    assert draws.chances(10_000, chance, rng=rng).float().mean().item() == pytest.approx(chance, abs=0.02)


def test_signs_are_one_up_or_down(rng: Generator) -> None:
    drawn = draws.signs(10_000, rng=rng)

    assert set(drawn.tolist()) == {-1.0, 1.0}
    assert drawn.mean().item() == pytest.approx(0, abs=0.04)


@pytest.mark.parametrize("parts", [1, 2, 3, 5])
def test_shares_sum_to_one_and_have_the_quantiles_of_dirichlet(parts: int, rng: Generator) -> None:
    drawn = draws.shares(parts, 40_000, rng=rng)
    expected = torch.from_numpy(np.random.default_rng(0).dirichlet([1.0] * parts, 40_000)).T

    torch.testing.assert_close(drawn.sum(0), torch.ones(40_000))
    assert drawn.min() >= 0
    shares = torch.linspace(0.05, 0.95, 19, dtype=torch.double)
    for ours, theirs in zip(drawn.double(), expected, strict=True):
        below = [(values[:, None] <= shares).double().mean(0) for values in (ours, theirs)]
        torch.testing.assert_close(*below, rtol=0, atol=0.015)  # four standard deviations
