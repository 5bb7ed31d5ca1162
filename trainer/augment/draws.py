"""Random numbers, one or more per image, all from an explicit generator and on its device."""

import math

import torch
from torch import Generator, Tensor


def uniform(num: int, low: float, high: float, *, rng: Generator) -> Tensor:
    """Draw (num,) float32 numbers from [low, high)."""
    return torch.rand(num, generator=rng, device=rng.device) * (high - low) + low


def integers(num: int, low: int, high: int, *, rng: Generator) -> Tensor:
    """Draw (num,) int64 numbers from `low` to `high`, both included."""
    return torch.randint(low, high + 1, (num,), generator=rng, device=rng.device)


def coins(num: int, *, rng: Generator) -> Tensor:
    """Draw (num,) bool, true for half of them on average."""
    return integers(num, 0, 1, rng=rng).bool()


def chances(num: int, chance: float, *, rng: Generator) -> Tensor:
    """Draw (num,) bool, each true with this chance."""
    return uniform(num, 0, 1, rng=rng) < chance


def signs(num: int, *, rng: Generator) -> Tensor:
    """Draw (num,) float32, 1 or -1."""
    return coins(num, rng=rng) * 2.0 - 1


def shares(parts: int, num: int, *, rng: Generator) -> Tensor:
    """Draw (parts, num) float32 shares whose sum over the parts is 1, from Dirichlet(1, ..., 1).

    They are the gaps that evenly drawn numbers leave between 0 and 1.

    Source: Devroye 1986, Non-Uniform Random Variate Generation, Ch. V.
    """
    cuts = uniform((parts - 1) * num, 0, 1, rng=rng).view(parts - 1, num).sort(0).values
    return cuts.diff(dim=0, prepend=cuts.new_zeros(1, num), append=cuts.new_ones(1, num))


def symmetric_beta(num: int, *, alpha: float, rng: Generator) -> Tensor:
    """Draw (num,) float32 numbers in [0, 1] from Beta(alpha, alpha), for any `alpha` above 0.

    torch's own Beta ignores generators, and its gamma sampler is not on every device. This is exact and
    closed: a Student t of 2 alpha degrees of freedom from two uniform numbers by the polar method, mapped to
    the beta.

    Source: Bailey 1994, Math. Comp. 62(206); Devroye 1986, Non-Uniform Random Variate Generation, Ch. IX.
    """
    radius = torch.expm1(-uniform(num, 0, 1, rng=rng).log() / alpha)
    cosine = torch.cos(2 * math.pi * uniform(num, 0, 1, rng=rng))
    return (1 + cosine.sign() / (1 + 1 / (radius * cosine.square())).sqrt()) / 2
