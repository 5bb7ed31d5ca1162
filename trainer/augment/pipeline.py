"""The augmentations that a job asks for, applied to a batch of images in fixed order."""

from dataclasses import replace
from typing import assert_never

import torch
from torch import Generator, Tensor

from trainer.augment import color, draws, geometry
from trainer.augment.randaugment import randaugment
from trainer.settings import Augment


def augment_images(images: Tensor, settings: Augment, *, rng: Generator, epoch: int, indices: Tensor) -> Tensor:
    """Augment each image by its own draws.

    The order is flip, crop, rotation, colour jitter, RandAugment, cutout. Cutout comes last, so that nothing
    recolours or moves its grey; mixing is `mix`'s, after this, and normalisation comes last.

    Args:
        images: (N, C, H, W), float, in [0, 1], not yet normalised, C = 1 or 3; not modified.
        settings: What is 0 or `none` is left out; where all is, the result is `images` itself.
        rng: On the images' device; the only source of randomness.
        epoch: From 0; only for `flip="alternating"`.
        indices: (N,) int64; the images' places in their split; only for `flip="alternating"`.

    Returns:
        (N, C, H, W) of the same type and memory format, in [0, 1].
    """
    augmented = images
    if settings.flip != "none" or settings.crop_padding:
        augmented = _flip_and_crop(augmented, settings, rng=rng, epoch=epoch, indices=indices)
    if settings.rotation:
        augmented = geometry.rotate(augmented, degrees=settings.rotation, rng=rng)
    if settings.color_jitter:
        augmented = color.jitter(augmented, strength=settings.color_jitter, rng=rng)
    augmented = randaugment(
        augmented, num_operations=settings.randaugment_ops, magnitude=settings.randaugment_magnitude, rng=rng
    )
    if settings.cutout:
        augmented = geometry.cutout(augmented, side=settings.cutout, rng=rng)
    return augmented.contiguous(memory_format=_memory_format(images))


def flips_at_most(settings: Augment) -> bool:
    """Say whether every augmentation but the flip is left out, so that an image looks in one of two ways."""
    return replace(settings, flip="none", randaugment_magnitude=Augment().randaugment_magnitude) == Augment()


def _flip_and_crop(images: Tensor, settings: Augment, *, rng: Generator, epoch: int, indices: Tensor) -> Tensor:
    flipped = draw_flips(settings, rng=rng, epoch=epoch, indices=indices)
    down = geometry.random_shifts(len(images), padding=settings.crop_padding, rng=rng)
    right = geometry.random_shifts(len(images), padding=settings.crop_padding, rng=rng)
    return geometry.shift_and_flip(images, down=down, right=right, flipped=flipped)


def draw_flips(settings: Augment, *, rng: Generator, epoch: int, indices: Tensor) -> Tensor:
    """Tell (N,) which images are flipped."""
    match settings.flip:
        case "none":
            return torch.zeros(len(indices), dtype=torch.bool, device=rng.device)
        case "random":
            return draws.coins(len(indices), rng=rng)
        case "alternating":
            return geometry.alternating_flips(indices, epoch=epoch)
        case _:
            assert_never(settings.flip)


def _memory_format(images: Tensor) -> torch.memory_format:
    """Name the format of dense images; what is both (one channel) counts as contiguous."""
    is_last = images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous()
    return torch.channels_last if is_last else torch.contiguous_format
