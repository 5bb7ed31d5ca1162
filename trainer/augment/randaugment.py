"""RandAugment with an own draw of operations for every image.

A magnitude of 0 to 10 sets all strengths to a tenth of it; the sign of each is drawn for each image.

Source: Cubuk et al. 2019, arXiv:1909.13719, with the ranges of AutoAugment. Deviations: operations are drawn for each
image, not once a batch; a higher magnitude is always the stronger change (the authors' code posterizes less and
enhances in one direction).
"""

from torch import Generator, Tensor

from trainer.augment import draws
from trainer.augment.operations import Reach, apply_chosen, picked

MAX_MAGNITUDE = 10
OPERATIONS = picked(Reach(), leaving_out=frozenset({"invert"}))


def randaugment(images: Tensor, *, num_operations: int, magnitude: float, rng: Generator) -> Tensor:
    """Change each image by `num_operations` operations in turn, each drawn with equal chance out of all.

    Args:
        images: (N, C, H, W) in [0, 1].
        num_operations: From 0; an operation may come twice.
        magnitude: 0 to 10, of all operations.
        rng: On the images' device.
    """
    strength = magnitude / MAX_MAGNITUDE
    for _ in range(num_operations):
        chosen = draws.integers(len(images), 0, len(OPERATIONS) - 1, rng=rng)
        strengths = draws.signs(len(images), rng=rng) * strength
        images = apply_chosen(images, chosen, strengths, OPERATIONS)
    return images
