"""TrivialAugment: one operation an image, at a strength drawn evenly; nothing to tune.

Source: Müller and Hutter 2021, arXiv:2103.10158, Sec. 3 and Table 1, the wide ranges. Deviations: translations by
up to 32 pixels never exceed the side, and operations are those of RandAugment here.
"""

from torch import Generator, Tensor

from trainer.augment import draws
from trainer.augment.operations import Reach, apply_chosen, picked

STRONGEST = 30  # of the strengths 0, 1, ...
MAX_TRANSLATION = 32  # pixels


def trivialaugment(images: Tensor, *, rng: Generator) -> Tensor:
    """Change each image by one operation out of fourteen, at a strength out of 31, both with equal chance.

    Args:
        images: (N, C, H, W) in [0, 1].
        rng: On the images' device.
    """
    operations = picked(wide_reach(images), leaving_out=frozenset({"invert"}))
    chosen = draws.integers(len(images), 0, len(operations) - 1, rng=rng)
    strengths = draws.integers(len(images), 0, STRONGEST, rng=rng) / STRONGEST
    return apply_chosen(images, chosen, strengths * draws.signs(len(images), rng=rng), operations)


def wide_reach(images: Tensor) -> Reach:
    """Return how far operations go on images of this size."""
    translation = min(1.0, MAX_TRANSLATION / max(images.shape[2:]))
    return Reach(rotation=135.0, shear=0.99, translation=translation, enhancement=0.99, bits=6.0)
