"""Strengths of the augmentations."""

from dataclasses import dataclass
from typing import Literal

from trainer.settings.declare import FRACTION, Range, number


@dataclass(frozen=True, slots=True, kw_only=True)
class Augment:
    """Strengths of the augmentations of training images; 0 or `none` leaves one out."""

    crop_padding: int = number(0, Range(0, 64))  # pixels; reflected, then cropped back
    flip: Literal["none", "random", "alternating"] = "none"  # left to right
    cutout: int = number(0, Range(0, 512))  # pixels; side of the grey square
    color_jitter: float = number(0.0, FRACTION)  # brightness, contrast and saturation by 1 ± this
    rotation: float = number(0.0, Range(0, 180))  # degrees to either side
    mixup: float = number(0.0, Range(0, 10))  # alpha of Beta(alpha, alpha)
    cutmix: float = number(0.0, Range(0, 10))  # alpha of Beta(alpha, alpha)
    randaugment_ops: int = number(0, Range(0, 8))  # operations an image
    randaugment_magnitude: float = number(5.0, Range(0, 10))
