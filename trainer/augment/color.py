"""Colours of whole batches, each image by its own strength; images and results lie in [0, 1].

The operations are Pillow's (ImageEnhance, ImageOps) without its rounding to 8 bits, except that `posterize`
and `equalize` round to 256 levels first. Letters: N images, C channels, H W pixels, R = N·C rows.
"""

import torch
from torch import Generator, Tensor

from trainer.augment import draws

LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue in grey, ITU-R 601
LEVELS = 256
GREY = 0.5  # of what a square hides or a warp uncovers


def jitter(images: Tensor, *, strength: float, rng: Generator) -> Tensor:
    """Change brightness, contrast and saturation, in this order, each by its own factor from 1 ± strength.

    Source: torchvision's ColorJitter; fixed in place of random order, and no hue.
    """
    for change in (brightness, contrast, saturation):
        images = change(images, draws.uniform(len(images), 1 - strength, 1 + strength, rng=rng))
    return images


def random_grey(images: Tensor, *, chance: float, rng: Generator) -> Tensor:
    """Take the colours of each image away with this chance; one channel stays as it is."""
    is_grey = draws.chances(len(images), chance, rng=rng)
    return torch.where(is_grey[:, None, None, None], grey(images).clamp(max=1), images)


def brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Blend each image with black: (N,) factors, 0 is black, 1 the image, more is brighter."""
    return (images * _per_image(factors, images)).clamp_(0, 1)


def contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Blend each image with its mean grey: (N,) factors, 0 is grey, 1 the image, more is steeper."""
    return _blend(grey(images).mean((1, 2, 3), keepdim=True), images, factors)


def saturation(images: Tensor, factors: Tensor) -> Tensor:
    """Blend each image with its grey self: (N,) factors, 1 is the image; one channel stays as it is."""
    return _blend(grey(images), images, factors) if images.shape[1] == 3 else images.clone()


def sharpness(images: Tensor, factors: Tensor) -> Tensor:
    """Blend each image with a 3 x 3 blur of it: (N,) factors, 0 is the blur, 1 the image; the edge stays."""
    across = images[..., :-2] + images[..., 1:-1] + images[..., 2:]
    box = across[..., :-2, :] + across[..., 1:-1, :] + across[..., 2:, :]
    centre = images[..., 1:-1, 1:-1]
    sharper = images.clone()
    sharper[..., 1:-1, 1:-1] = _blend((box + 4 * centre) / 13, centre, factors)
    return sharper


def solarize(images: Tensor, thresholds: Tensor) -> Tensor:
    """Invert what is at least as bright as the (N,) thresholds in [0, 1]; one above 1 changes nothing."""
    return torch.where(images < _per_image(thresholds, images), images, 1 - images)


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Keep the upper (N,) int64 `bits`, 1 to 8, of each value's 256 levels."""
    widths = _per_image(2 ** (8 - bits), images)
    return torch.floor(levels(images) / widths) * widths / (LEVELS - 1)


def autocontrast(images: Tensor) -> Tensor:
    """Stretch each channel of each image to all of [0, 1]; a channel of one value stays."""
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    is_flat = high == low
    return torch.where(is_flat, images, (images - low) / torch.where(is_flat, 1, high - low)).clamp_(0, 1)


def equalize(images: Tensor) -> Tensor:
    """Make the 256 levels of each channel of each image equally frequent, in Pillow's whole numbers.

    A channel so uniform that Pillow leaves it alone stays, unrounded.
    """
    num, channels = images.shape[:2]
    places = levels(images).long().flatten(2).flatten(0, 1)  # (N·C, H·W)
    counts = _count_levels(places)
    # The brightest level that occurs is left out, so that it lands on 255 exactly.
    steps = (counts.sum(1, keepdim=True) - _last_count(counts)) // (LEVELS - 1)
    below = counts.cumsum(1) - counts
    table = ((steps // 2 + below) // steps.clamp(min=1)).clamp_(max=LEVELS - 1)
    equalized = table.gather(1, places).view(images.shape).to(images.dtype) / (LEVELS - 1)
    return torch.where((steps == 0).view(num, channels, 1, 1), images, equalized)


def grey(images: Tensor) -> Tensor:
    """Return the (N, 1, H, W) brightness of images of one or three channels."""
    if images.shape[1] == 1:
        return images
    red, green, blue = (weight * images[:, [channel]] for channel, weight in enumerate(LUMA))
    return red + green + blue


def levels(images: Tensor) -> Tensor:
    """Return the nearest of 256 levels of each value, 0 to 255, in the images' own type."""
    return (images * (LEVELS - 1)).round_()


def _blend(reference: Tensor, images: Tensor, factors: Tensor) -> Tensor:
    return torch.lerp(reference, images, _per_image(factors, images)).clamp_(0, 1)


def _per_image(values: Tensor, images: Tensor) -> Tensor:
    """Shape and type (N,) values so that they meet images (N, C, H, W)."""
    return values.to(images.dtype).view(-1, 1, 1, 1)


def _count_levels(places: Tensor) -> Tensor:
    """Count how often each level stands in each row: (R, P) -> (R, 256)."""
    num_rows = len(places)
    shifts = torch.arange(num_rows, device=places.device)[:, None] * LEVELS
    return (places + shifts).flatten().bincount(minlength=num_rows * LEVELS).view(num_rows, LEVELS)


def _last_count(counts: Tensor) -> Tensor:
    """Return the (R, 1) count of the highest level that occurs in each row of (R, 256)."""
    ranks = torch.arange(LEVELS, device=counts.device) * (counts > 0)
    return counts.gather(1, ranks.amax(1, keepdim=True))
