"""RandAugment with an own draw of operations for every image.

A magnitude of 0 to 10 sets all strengths; s = magnitude / 10, and ± marks a sign drawn for each image:

    identity, autocontrast, equalize    no strength
    color, contrast, brightness,        factor 1 ± 0.9 s
      sharpness
    rotate                              ± 30 s degrees
    shear-x, shear-y                    ± 0.3 s pixels a pixel
    translate-x, translate-y            ± 150/331 s of the side
    solarize                            threshold 256 (1 - s), of the levels 0 to 255
    posterize                           8 - round(4 s) bits kept

Source: Cubuk et al. 2019, arXiv:1909.13719, with the ranges of Cubuk et al. 2018, arXiv:1805.09501, Table 6.
Deviations: operations are drawn for each image, not once a batch; a higher magnitude is always the stronger
change (the authors' code posterizes less and enhances in one direction); warps are bilinear, about the
centre, and uncover grey.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Generator, Tensor

from trainer.augment import color, draws, geometry

Operation = Callable[[Tensor, Tensor], Tensor]  # images (n, C, H, W), strengths (n,) in [-1, 1] -> images

MAX_MAGNITUDE = 10
MAX_ROTATION = 30.0  # degrees
MAX_SHEAR = 0.3  # pixels a pixel
MAX_TRANSLATION = 150 / 331  # share of the side


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
        signs = draws.coins(len(images), rng=rng) * 2.0 - 1
        images = apply_chosen(images, chosen, signs * strength)
    return images


def apply_chosen(images: Tensor, chosen: Tensor, strengths: Tensor) -> Tensor:
    """Apply to each image the operation of its number, (N,) int64 places in `OPERATIONS`, at its strength.

    The images of one operation are changed together, so the cost is that of about one operation an image.
    """
    sizes = chosen.bincount(minlength=len(OPERATIONS)).tolist()
    groups = torch.split(chosen.argsort(), sizes)
    changed = images.clone()
    for operation, group in zip(OPERATIONS.values(), groups, strict=True):
        if len(group):
            changed[group] = operation(images[group], strengths[group])
    return changed


def _solarize(images: Tensor, strengths: Tensor) -> Tensor:
    return color.solarize(images, (1 - strengths.abs()) * (256 / 255))


def _posterize(images: Tensor, strengths: Tensor) -> Tensor:
    return color.posterize(images, 8 - (4 * strengths.abs()).round().long())


def _enhance(change: Operation) -> Operation:
    """Turn an operation by factor into one by strength."""
    return lambda images, strengths: change(images, 1 + 0.9 * strengths)


def _rotate(images: Tensor, strengths: Tensor) -> Tensor:
    return _warp(images, geometry.rotations(strengths * MAX_ROTATION))


def _shear_x(images: Tensor, strengths: Tensor) -> Tensor:
    return _warp(images, geometry.shears(strengths * MAX_SHEAR, torch.zeros_like(strengths)))


def _shear_y(images: Tensor, strengths: Tensor) -> Tensor:
    return _warp(images, geometry.shears(torch.zeros_like(strengths), strengths * MAX_SHEAR))


def _translate_x(images: Tensor, strengths: Tensor) -> Tensor:
    pixels = strengths * (MAX_TRANSLATION * images.shape[3])
    return _warp(images, geometry.translations(pixels, torch.zeros_like(pixels)))


def _translate_y(images: Tensor, strengths: Tensor) -> Tensor:
    pixels = strengths * (MAX_TRANSLATION * images.shape[2])
    return _warp(images, geometry.translations(torch.zeros_like(pixels), pixels))


def _warp(images: Tensor, matrices: Tensor) -> Tensor:
    return geometry.warp(images, matrices, padding="grey")


OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        "identity": lambda images, _: images,
        "autocontrast": lambda images, _: color.autocontrast(images),
        "equalize": lambda images, _: color.equalize(images),
        "rotate": _rotate,
        "solarize": _solarize,
        "color": _enhance(color.saturation),
        "posterize": _posterize,
        "contrast": _enhance(color.contrast),
        "brightness": _enhance(color.brightness),
        "sharpness": _enhance(color.sharpness),
        "shear-x": _shear_x,
        "shear-y": _shear_y,
        "translate-x": _translate_x,
        "translate-y": _translate_y,
    }
)
