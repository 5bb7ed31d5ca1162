"""AutoAugment: two operations an image, out of 25 pairs that were learnt on another data set.

Source: Cubuk et al. 2018, arXiv:1805.09501, Tables 7 (CIFAR-10), 8 (SVHN) and 9 (ImageNet), as torchvision has them.
Level m of 0 to 9 is strength m / 9, and its sign is drawn. Deviations: operations are those of RandAugment here, and a
pair is drawn for each image.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import torch
from torch import Generator, Tensor

from trainer.augment import draws
from trainer.augment.operations import Reach, apply_chosen, operations

Step = tuple[str, float, int]  # operation, chance, level; 0 where an operation has no strength
Pair = tuple[Step, Step]
Learnt = Literal["autoaugment_cifar10", "autoaugment_svhn", "autoaugment_imagenet"]

OPERATIONS = operations(Reach())
NUMBERS: Mapping[str, int] = MappingProxyType({name: number for number, name in enumerate(OPERATIONS)})
HIGHEST_LEVEL = 9

CIFAR10: tuple[Pair, ...] = (
    (("invert", 0.1, 0), ("contrast", 0.2, 6)),
    (("rotate", 0.7, 2), ("translate-x", 0.3, 9)),
    (("sharpness", 0.8, 1), ("sharpness", 0.9, 3)),
    (("shear-y", 0.5, 8), ("translate-y", 0.7, 9)),
    (("autocontrast", 0.5, 0), ("equalize", 0.9, 0)),
    (("shear-y", 0.2, 7), ("posterize", 0.3, 7)),
    (("color", 0.4, 3), ("brightness", 0.6, 7)),
    (("sharpness", 0.3, 9), ("brightness", 0.7, 9)),
    (("equalize", 0.6, 0), ("equalize", 0.5, 0)),
    (("contrast", 0.6, 7), ("sharpness", 0.6, 5)),
    (("color", 0.7, 7), ("translate-x", 0.5, 8)),
    (("equalize", 0.3, 0), ("autocontrast", 0.4, 0)),
    (("translate-y", 0.4, 3), ("sharpness", 0.2, 6)),
    (("brightness", 0.9, 6), ("color", 0.2, 8)),
    (("solarize", 0.5, 2), ("invert", 0.0, 0)),
    (("equalize", 0.2, 0), ("autocontrast", 0.6, 0)),
    (("equalize", 0.2, 0), ("equalize", 0.6, 0)),
    (("color", 0.9, 9), ("equalize", 0.6, 0)),
    (("autocontrast", 0.8, 0), ("solarize", 0.2, 8)),
    (("brightness", 0.1, 3), ("color", 0.7, 0)),
    (("solarize", 0.4, 5), ("autocontrast", 0.9, 0)),
    (("translate-y", 0.9, 9), ("translate-y", 0.7, 9)),
    (("autocontrast", 0.9, 0), ("solarize", 0.8, 3)),
    (("equalize", 0.8, 0), ("invert", 0.1, 0)),
    (("translate-y", 0.7, 9), ("autocontrast", 0.9, 0)),
)
SVHN: tuple[Pair, ...] = (
    (("shear-x", 0.9, 4), ("invert", 0.2, 0)),
    (("shear-y", 0.9, 8), ("invert", 0.7, 0)),
    (("equalize", 0.6, 0), ("solarize", 0.6, 6)),
    (("invert", 0.9, 0), ("equalize", 0.6, 0)),
    (("equalize", 0.6, 0), ("rotate", 0.9, 3)),
    (("shear-x", 0.9, 4), ("autocontrast", 0.8, 0)),
    (("shear-y", 0.9, 8), ("invert", 0.4, 0)),
    (("shear-y", 0.9, 5), ("solarize", 0.2, 6)),
    (("invert", 0.9, 0), ("autocontrast", 0.8, 0)),
    (("equalize", 0.6, 0), ("rotate", 0.9, 3)),
    (("shear-x", 0.9, 4), ("solarize", 0.3, 3)),
    (("shear-y", 0.8, 8), ("invert", 0.7, 0)),
    (("equalize", 0.9, 0), ("translate-y", 0.6, 6)),
    (("invert", 0.9, 0), ("equalize", 0.6, 0)),
    (("contrast", 0.3, 3), ("rotate", 0.8, 4)),
    (("invert", 0.8, 0), ("translate-y", 0.0, 2)),
    (("shear-y", 0.7, 6), ("solarize", 0.4, 8)),
    (("invert", 0.6, 0), ("rotate", 0.8, 4)),
    (("shear-y", 0.3, 7), ("translate-x", 0.9, 3)),
    (("shear-x", 0.1, 6), ("invert", 0.6, 0)),
    (("solarize", 0.7, 2), ("translate-y", 0.6, 7)),
    (("shear-y", 0.8, 4), ("invert", 0.8, 0)),
    (("shear-x", 0.7, 9), ("translate-y", 0.8, 3)),
    (("shear-y", 0.8, 5), ("autocontrast", 0.7, 0)),
    (("shear-x", 0.7, 2), ("invert", 0.1, 0)),
)
IMAGENET: tuple[Pair, ...] = (
    (("posterize", 0.4, 8), ("rotate", 0.6, 9)),
    (("solarize", 0.6, 5), ("autocontrast", 0.6, 0)),
    (("equalize", 0.8, 0), ("equalize", 0.6, 0)),
    (("posterize", 0.6, 7), ("posterize", 0.6, 6)),
    (("equalize", 0.4, 0), ("solarize", 0.2, 4)),
    (("equalize", 0.4, 0), ("rotate", 0.8, 8)),
    (("solarize", 0.6, 3), ("equalize", 0.6, 0)),
    (("posterize", 0.8, 5), ("equalize", 1.0, 0)),
    (("rotate", 0.2, 3), ("solarize", 0.6, 8)),
    (("equalize", 0.6, 0), ("posterize", 0.4, 6)),
    (("rotate", 0.8, 8), ("color", 0.4, 0)),
    (("rotate", 0.4, 9), ("equalize", 0.6, 0)),
    (("equalize", 0.0, 0), ("equalize", 0.8, 0)),
    (("invert", 0.6, 0), ("equalize", 1.0, 0)),
    (("color", 0.6, 4), ("contrast", 1.0, 8)),
    (("rotate", 0.8, 8), ("color", 1.0, 2)),
    (("color", 0.8, 8), ("solarize", 0.8, 7)),
    (("sharpness", 0.4, 7), ("invert", 0.6, 0)),
    (("shear-x", 0.6, 5), ("equalize", 1.0, 0)),
    (("color", 0.4, 0), ("equalize", 0.6, 0)),
    (("equalize", 0.4, 0), ("solarize", 0.2, 4)),
    (("solarize", 0.6, 5), ("autocontrast", 0.6, 0)),
    (("invert", 0.6, 0), ("equalize", 1.0, 0)),
    (("color", 0.6, 4), ("contrast", 1.0, 8)),
    (("equalize", 0.8, 0), ("equalize", 0.6, 0)),
)
POLICIES: Mapping[Learnt, tuple[Pair, ...]] = MappingProxyType(
    {"autoaugment_cifar10": CIFAR10, "autoaugment_svhn": SVHN, "autoaugment_imagenet": IMAGENET}
)


def autoaugment(images: Tensor, *, policy: tuple[Pair, ...], rng: Generator) -> Tensor:
    """Change each image by the two operations of one pair, each of which comes with its own chance.

    Args:
        images: (N, C, H, W) in [0, 1].
        policy: Of which a pair is drawn for each image, all with equal chance.
        rng: On the images' device.
    """
    pairs = draws.integers(len(images), 0, len(policy) - 1, rng=rng)
    for steps in zip(*policy, strict=True):  # all first operations, then all second ones
        numbers = torch.tensor([NUMBERS[name] for name, _, _ in steps], device=images.device)[pairs]
        chances = torch.tensor([chance for _, chance, _ in steps], device=images.device)[pairs]
        strengths = torch.tensor([level / HIGHEST_LEVEL for _, _, level in steps], device=images.device)[pairs]
        comes = draws.uniform(len(images), 0, 1, rng=rng) < chances
        chosen = numbers.where(comes, NUMBERS["identity"])
        images = apply_chosen(images, chosen, strengths * draws.signs(len(images), rng=rng), OPERATIONS)
    return images
