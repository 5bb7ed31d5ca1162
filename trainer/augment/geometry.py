"""Moving whole pixels: crop, flips and quarter turns, none of which blurs.

Letters: N images, C channels, H W pixels.
"""

import torch
from torch import Generator, Tensor

from trainer.augment import draws


def random_shifts(num: int, *, padding: int, rng: Generator) -> Tensor:
    """Draw (num,) whole pixels in -padding..padding: where a crop of a padded image starts."""
    return draws.integers(num, -padding, padding, rng=rng)


def alternating_flips(indices: Tensor, *, epoch: int) -> Tensor:
    """Tell (N,) which images are flipped in an epoch: every two successive epochs show both sides of each.

    Args:
        indices: (N,) int64; the images' places in the data set. A fixed hash of them, not the generator, says
            whether an image is flipped at even or at odd epochs.
        epoch: Any whole number.

    Source: Jordan 2024, arXiv:2404.00498, Sec. 3.6; another hash, and no random draw in the first epoch.
    """
    mixed = indices & 0xFFFFFFFF
    for _ in range(2):
        mixed = ((mixed ^ (mixed >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
    return ((mixed ^ (mixed >> 16)) + epoch) % 2 == 1


def shift_and_flip(images: Tensor, *, down: Tensor, right: Tensor, flipped: Tensor) -> Tensor:
    """Flip some images left to right, then crop each out of its reflection-padded self, in one gather.

    Args:
        images: (N, C, H, W).
        down: (N,) int64; the row at which the crop starts, 0 is the image's own first row. Any size: the
            reflections repeat, as in `numpy.pad`.
        right: (N,) int64; the same for columns.
        flipped: (N,) bool.

    Source: He et al. 2015, arXiv:1512.03385, Sec. 4.2; reflection in place of zeros, as in airbench.
    """
    num, channels, height, width = images.shape
    rows = reflect(torch.arange(height, device=images.device) + down[:, None], height)
    columns = reflect(torch.arange(width, device=images.device) + right[:, None], width)
    columns = torch.where(flipped[:, None], width - 1 - columns, columns)
    places = (rows[:, :, None] * width + columns[:, None, :]).view(num, 1, height * width)
    pixels = images.reshape(num, channels, height * width)
    return pixels.gather(2, places.expand(num, channels, -1)).view(images.shape)


def random_vertical_flip(images: Tensor, *, rng: Generator) -> Tensor:
    """Turn half of the images upside down, as a mirror does."""
    flipped = draws.coins(len(images), rng=rng)
    return torch.where(flipped[:, None, None, None], images.flip(2), images)


def random_quarter_turns(images: Tensor, *, rng: Generator) -> Tensor:
    """Turn each image by a multiple of 90 degrees; an oblong one by one of 180, as it would not fit otherwise."""
    height, width = images.shape[2:]
    step = 1 if height == width else 2
    quarters = draws.integers(len(images), 0, 4 // step - 1, rng=rng) * step
    turned = images.clone()
    for number in range(step, 4, step):
        turned[quarters == number] = images[quarters == number].rot90(number, (2, 3))
    return turned


def reflect(places: Tensor, length: int) -> Tensor:
    """Fold places outside 0..length-1 back into it, about the middle of the outermost pixels."""
    last = max(length - 1, 1)
    folded = last - (places % (2 * last) - last).abs()
    return folded.clamp_(max=length - 1)
