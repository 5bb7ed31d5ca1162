"""The augmentations that a job asks for, applied to a batch of images in fixed order."""

from typing import assert_never

import torch
from torch import Generator, Tensor

from trainer.augment import blurring, color, draws, geometry, hiding, warps
from trainer.augment.augmix import augmix
from trainer.augment.autoaugment import POLICIES, autoaugment
from trainer.augment.randaugment import randaugment
from trainer.augment.trivialaugment import trivialaugment
from trainer.settings import Augment, asked_for


def augment_images(images: Tensor, settings: Augment, *, rng: Generator, epoch: int, indices: Tensor) -> Tensor:
    """Augment each image by its own draws.

    The order is whole pixels (flip, crop, vertical flip, quarter turn), warps, colours (jitter, grey), blur, policies
    (RandAugment, `policy`, AugMix), cutout, erasing. What hides comes last, so that nothing recolours or moves its
    grey; mixing is `mix`'s, after this, and normalisation comes last.

    Args:
        images: (N, C, H, W), float, in [0, 1], not yet normalised, C = 1 or 3; not modified.
        settings: What is at its default is left out and draws no numbers; where all is, the result is `images` itself.
        rng: On the images' device; the only source of randomness.
        epoch: From 0; only for `flip="alternating"`.
        indices: (N,) int64; the images' places in their split; only for `flip="alternating"`.

    Returns:
        (N, C, H, W) of the same type and memory format, in [0, 1].
    """
    augmented = images
    if settings.flip != "none" or settings.crop_padding:
        augmented = _flip_and_crop(augmented, settings, rng=rng, epoch=epoch, indices=indices)
    for step in (_turn, warps.random_warp, _recolour, _follow_policies, _hide):
        augmented = step(augmented, settings, rng=rng)
    return augmented.contiguous(memory_format=_memory_format(images))


def flips_at_most(settings: Augment) -> bool:
    """Say whether every augmentation but the flip is left out, so that an image looks in one of two ways."""
    return asked_for(settings) <= {"flip"}


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


def _flip_and_crop(images: Tensor, settings: Augment, *, rng: Generator, epoch: int, indices: Tensor) -> Tensor:
    flipped = draw_flips(settings, rng=rng, epoch=epoch, indices=indices)
    down = geometry.random_shifts(len(images), padding=settings.crop_padding, rng=rng)
    right = geometry.random_shifts(len(images), padding=settings.crop_padding, rng=rng)
    return geometry.shift_and_flip(images, down=down, right=right, flipped=flipped)


def _turn(images: Tensor, settings: Augment, *, rng: Generator) -> Tensor:
    if settings.vertical_flip:
        images = geometry.random_vertical_flip(images, rng=rng)
    if settings.quarter_turns:
        images = geometry.random_quarter_turns(images, rng=rng)
    return images


def _recolour(images: Tensor, settings: Augment, *, rng: Generator) -> Tensor:
    if settings.color_jitter:
        images = color.jitter(images, strength=settings.color_jitter, rng=rng)
    if settings.grey:
        images = color.random_grey(images, chance=settings.grey, rng=rng)
    if settings.blur:
        images = blurring.random_blur(images, chance=settings.blur, rng=rng)
    return images


def _follow_policies(images: Tensor, settings: Augment, *, rng: Generator) -> Tensor:
    images = randaugment(
        images, num_operations=settings.randaugment_ops, magnitude=settings.randaugment_magnitude, rng=rng
    )
    match settings.policy:
        case "none":
            pass
        case "trivialaugment":
            images = trivialaugment(images, rng=rng)
        case "autoaugment_cifar10" | "autoaugment_svhn" | "autoaugment_imagenet":
            images = autoaugment(images, policy=POLICIES[settings.policy], rng=rng)
        case _:
            assert_never(settings.policy)
    return augmix(images, severity=settings.augmix, rng=rng) if settings.augmix else images


def _hide(images: Tensor, settings: Augment, *, rng: Generator) -> Tensor:
    if settings.cutout:
        images = hiding.cutout(images, side=settings.cutout, rng=rng)
    if settings.erasing:
        images = hiding.erase(images, chance=settings.erasing, rng=rng)
    return images


def _memory_format(images: Tensor) -> torch.memory_format:
    """Name the format of dense images; what is both (one channel) counts as contiguous."""
    is_last = images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous()
    return torch.channels_last if is_last else torch.contiguous_format
