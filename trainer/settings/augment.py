"""Strengths of the augmentations."""

from dataclasses import dataclass, fields
from typing import Literal

from trainer.settings.declare import FRACTION, Range, number

Policy = Literal["none", "trivialaugment", "autoaugment_cifar10", "autoaugment_svhn", "autoaugment_imagenet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Augment:
    """Strengths of the augmentations of training images; each is left out at its default."""

    crop_padding: int = number(0, Range(0, 64))  # pixels; reflected, then cropped back
    flip: Literal["none", "random", "alternating"] = "none"  # left to right
    cutout: int = number(0, Range(0, 512))  # pixels; side of the grey square
    color_jitter: float = number(0.0, FRACTION)  # brightness, contrast and saturation by 1 ± this
    rotation: float = number(0.0, Range(0, 180))  # degrees to either side
    mixup: float = number(0.0, Range(0, 10))  # alpha of Beta(alpha, alpha)
    cutmix: float = number(0.0, Range(0, 10))  # alpha of Beta(alpha, alpha)
    randaugment_ops: int = number(0, Range(0, 8))  # operations an image
    randaugment_magnitude: float = number(5.0, Range(0, 10), detail_of="randaugment_ops")
    vertical_flip: bool = False  # top to bottom, with chance 1/2
    quarter_turns: bool = False  # by 0, 90, 180 or 270 degrees; oblong images by 0 or 180
    crop_scale: float = number(1.0, Range(0.01, 1))  # smallest share of the area that is cut out and enlarged
    shear: float = number(0.0, Range(0, 60))  # degrees to either side, along both axes
    translate: float = number(0.0, FRACTION)  # of the side, each way; reflected
    scale: float = number(0.0, Range(0, 3))  # size times 1 / (1 + this) to 1 + this
    elastic: float = number(0.0, Range(0, 1000))  # alpha: pixels that smoothed noise of ±1 is multiplied by
    elastic_sigma: float = number(4.0, Range(0.5, 32), detail_of="elastic")  # pixels; smoothness of that noise
    grey: float = number(0.0, FRACTION)  # chance to lose the colours
    blur: float = number(0.0, FRACTION)  # chance of a Gaussian blur, sigma 0.1 to 2 pixels
    policy: Policy = "none"  # operations drawn for each image by a published policy
    augmix: float = number(0.0, Range(0, 10))  # severity of the three chains that are mixed with the image
    erasing: float = number(0.0, FRACTION)  # chance of a rectangle of noise, 2 % to 33 % of the area


def asked_for(settings: Augment) -> frozenset[str]:
    """Return the names of the augmentations that are not left out; details, such as a magnitude, do not count.

    Made from the declarations, so that an augmentation of tomorrow counts as soon as it is declared.
    """
    return frozenset(
        item.name
        for item in fields(settings)
        if "detail_of" not in item.metadata and getattr(settings, item.name) != item.default
    )


def left_out(settings: Augment) -> frozenset[str]:
    """Return the names of the settings that decide nothing: augmentations left out, with their details."""
    used = asked_for(settings)
    return frozenset(item.name for item in fields(settings) if item.metadata.get("detail_of", item.name) not in used)
