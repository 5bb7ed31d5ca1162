"""The operations that policies draw from, each on images that have strengths of their own.

A strength s lies in [-1, 1]; its sign is a direction, and the further from 0, the stronger the change:

    identity, autocontrast,      no strength
      equalize, invert
    color, contrast,             factor 1 + f s
      brightness, sharpness
    rotate                       f s degrees
    shear-x, shear-y             f s pixels a pixel
    translate-x, translate-y     f s of the side
    solarize                     threshold 256 (1 - |s|), of the levels 0 to 255
    posterize                    8 - round(f |s|) bits kept

f is the policy's `Reach`. Warps are bilinear, about the centre, and uncover grey.

Source: Cubuk et al. 2018, arXiv:1805.09501, Table 6.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import torch
from torch import Tensor

from trainer.augment import color, warps

Operation = Callable[[Tensor, Tensor], Tensor]  # images (n, C, H, W), strengths (n,) in [-1, 1] -> images


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far operations go at strength 1."""

    rotation: float = 30.0  # degrees
    shear: float = 0.3  # pixels a pixel
    translation: float = 150 / 331  # share of the side
    enhancement: float = 0.9  # of the factor, from 1
    bits: float = 4.0  # that posterize takes away


def operations(reach: Reach) -> Mapping[str, Operation]:
    """Return all operations by name, in the order in which RandAugment numbers them; the last is not its own."""

    def enhance(change: Operation) -> Operation:
        """Turn an operation by factor into one by strength."""
        return lambda images, strengths: change(images, 1 + reach.enhancement * strengths)

    return MappingProxyType(
        {
            "identity": lambda images, _: images,
            "autocontrast": lambda images, _: color.autocontrast(images),
            "equalize": lambda images, _: color.equalize(images),
            "rotate": partial(_rotate, reach),
            "solarize": _solarize,
            "color": enhance(color.saturation),
            "posterize": partial(_posterize, reach),
            "contrast": enhance(color.contrast),
            "brightness": enhance(color.brightness),
            "sharpness": enhance(color.sharpness),
            "shear-x": partial(_shear_x, reach),
            "shear-y": partial(_shear_y, reach),
            "translate-x": partial(_translate_x, reach),
            "translate-y": partial(_translate_y, reach),
            "invert": lambda images, _: 1 - images,
        }
    )


def picked(reach: Reach, *, leaving_out: frozenset[str]) -> Mapping[str, Operation]:
    """Return the operations of a policy, in order."""
    return MappingProxyType({name: op for name, op in operations(reach).items() if name not in leaving_out})


def apply_chosen(images: Tensor, chosen: Tensor, strengths: Tensor, operations: Mapping[str, Operation]) -> Tensor:
    """Apply to each image the operation of its number, (N,) int64 places in `operations`, at its strength.

    The images of one operation are changed together, so the cost is that of about one operation an image.
    """
    sizes = chosen.bincount(minlength=len(operations)).tolist()
    groups = torch.split(chosen.argsort(), sizes)
    changed = images.clone()
    for operation, group in zip(operations.values(), groups, strict=True):
        if len(group):
            changed[group] = operation(images[group], strengths[group])
    return changed


def _solarize(images: Tensor, strengths: Tensor) -> Tensor:
    return color.solarize(images, (1 - strengths.abs()) * (256 / 255))


def _posterize(reach: Reach, images: Tensor, strengths: Tensor) -> Tensor:
    return color.posterize(images, 8 - (reach.bits * strengths.abs()).round().long())


def _rotate(reach: Reach, images: Tensor, strengths: Tensor) -> Tensor:
    return _warp(images, warps.rotations(strengths * reach.rotation))


def _shear_x(reach: Reach, images: Tensor, strengths: Tensor) -> Tensor:
    return _warp(images, warps.shears(strengths * reach.shear, torch.zeros_like(strengths)))


def _shear_y(reach: Reach, images: Tensor, strengths: Tensor) -> Tensor:
    return _warp(images, warps.shears(torch.zeros_like(strengths), strengths * reach.shear))


def _translate_x(reach: Reach, images: Tensor, strengths: Tensor) -> Tensor:
    pixels = strengths * (reach.translation * images.shape[3])
    return _warp(images, warps.translations(pixels, torch.zeros_like(pixels)))


def _translate_y(reach: Reach, images: Tensor, strengths: Tensor) -> Tensor:
    pixels = strengths * (reach.translation * images.shape[2])
    return _warp(images, warps.translations(torch.zeros_like(pixels), pixels))


def _warp(images: Tensor, matrices: Tensor) -> Tensor:
    return warps.warp(images, matrices, padding="grey")
