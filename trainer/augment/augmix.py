"""AugMix: each image is mixed with a mixture of three chains of operations on it.

Source: Hendrycks et al. 2020, arXiv:1912.02781, Alg. 1, width 3, depth 1 to 3, alpha 1, without its consistency loss;
the operations are those that the authors train with, which leave out what their test of robustness does to images.
Deviations: operations are those of RandAugment here (the authors' posterize keeps at most 4 bits).
"""

from torch import Generator, Tensor

from trainer.augment import draws
from trainer.augment.operations import Reach, apply_chosen, picked

WIDTH = 3  # chains
LONGEST = 3  # operations in a chain
LEAST_SEVERITY, MAX_SEVERITY = 0.1, 10.0
OPERATIONS = picked(
    Reach(translation=1 / 3), leaving_out=frozenset({"invert", "color", "contrast", "brightness", "sharpness"})
)
IDENTITY = 0  # its place: it stands where a chain is over, and is not drawn


def augmix(images: Tensor, *, severity: float, rng: Generator) -> Tensor:
    """Mix each image with its three chains.

    Args:
        images: (N, C, H, W) in [0, 1].
        severity: 0 to 10, the strength that operations are drawn up to.
        rng: On the images' device.
    """
    num = len(images)
    chains = _chains(images.repeat(WIDTH, 1, 1, 1), severity=severity, rng=rng).view(WIDTH, *images.shape)
    weights = draws.shares(WIDTH, num, rng=rng)
    return mixture(images, chains, weights, draws.uniform(num, 0, 1, rng=rng))


def mixture(images: Tensor, chains: Tensor, weights: Tensor, shares: Tensor) -> Tensor:
    """Blend images with the weighted mean of their chains.

    Args:
        images: (N, C, H, W).
        chains: (W, N, C, H, W).
        weights: (W, N); sum to 1 for each image.
        shares: (N,) in [0, 1], of the chains.
    """
    mixed = (chains * weights.to(images.dtype)[:, :, None, None, None]).sum(0)
    return images.lerp(mixed, shares.to(images.dtype).view(-1, 1, 1, 1)).clamp_(0, 1)


def _chains(images: Tensor, *, severity: float, rng: Generator) -> Tensor:
    """Apply one to three operations in turn to each image."""
    num = len(images)
    lengths = draws.integers(num, 1, LONGEST, rng=rng)
    for place in range(LONGEST):
        drawn = draws.integers(num, 1, len(OPERATIONS) - 1, rng=rng)
        strengths = draws.uniform(num, LEAST_SEVERITY, severity, rng=rng) / MAX_SEVERITY
        chosen = drawn.where(place < lengths, IDENTITY)
        images = apply_chosen(images, chosen, strengths * draws.signs(num, rng=rng), OPERATIONS)
    return images
