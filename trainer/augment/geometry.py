"""Moving pixels: crop and flip by whole pixels, rotation and other affine maps by interpolation, cutout.

Letters: N images, C channels, H W pixels.
"""

from typing import Literal

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from trainer.augment import draws

GREY = 0.5  # of what a square hides or a warp uncovers


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
    rows = _reflect(torch.arange(height, device=images.device) + down[:, None], height)
    columns = _reflect(torch.arange(width, device=images.device) + right[:, None], width)
    columns = torch.where(flipped[:, None], width - 1 - columns, columns)
    places = (rows[:, :, None] * width + columns[:, None, :]).view(num, 1, height * width)
    pixels = images.reshape(num, channels, height * width)
    return pixels.gather(2, places.expand(num, channels, -1)).view(images.shape)


def rotate(images: Tensor, *, degrees: float, rng: Generator) -> Tensor:
    """Turn each image about its centre by an angle from ±degrees; what comes in is reflected."""
    angles = draws.uniform(len(images), -degrees, degrees, rng=rng)
    return warp(images, rotations(angles), padding="reflection")


def cutout(images: Tensor, *, side: int, rng: Generator) -> Tensor:
    """Hide one square of each image behind grey; its centre is any pixel, so it may hang over the border.

    Args:
        images: (N, C, H, W).
        side: Pixels. An even square lies half a pixel to the upper left of its centre.
        rng: On the images' device.

    Source: DeVries and Taylor 2017, arXiv:1708.04552; mid-grey in place of the data set's mean.
    """
    num, _, height, width = images.shape
    tops = draws.integers(num, 0, height - 1, rng=rng) - side // 2
    lefts = draws.integers(num, 0, width - 1, rng=rng) - side // 2
    rows = inside(height, tops, tops + side)
    columns = inside(width, lefts, lefts + side)
    return torch.where((rows[:, :, None] & columns[:, None, :])[:, None], GREY, images)


def inside(length: int, starts: Tensor, ends: Tensor) -> Tensor:
    """Tell (N, length) which places lie in [start, end) of each of N intervals."""
    places = torch.arange(length, device=starts.device)
    return (places >= starts[:, None]) & (places < ends[:, None])


def rotations(degrees: Tensor) -> Tensor:
    """Return (N, 2, 3) matrices for `warp` that turn by (N,) degrees, counter-clockwise as one sees it."""
    cos, sin = degrees.deg2rad().cos(), degrees.deg2rad().sin()
    nothing = torch.zeros_like(cos)
    return _matrices([cos, -sin, nothing], [sin, cos, nothing])


def shears(x: Tensor, y: Tensor) -> Tensor:
    """Return (N, 2, 3) matrices for `warp` that fetch from x columns further right per row and y lower."""
    one, nothing = torch.ones_like(x), torch.zeros_like(x)
    return _matrices([one, x, nothing], [y, one, nothing])


def translations(x: Tensor, y: Tensor) -> Tensor:
    """Return (N, 2, 3) matrices for `warp` that fetch from x pixels further right and y lower."""
    one, nothing = torch.ones_like(x), torch.zeros_like(x)
    return _matrices([one, nothing, x], [nothing, one, y])


def warp(images: Tensor, matrices: Tensor, *, padding: Literal["reflection", "grey"]) -> Tensor:
    """Fetch each pixel of each image from where its matrix says, bilinearly.

    Args:
        images: (N, C, H, W).
        matrices: (N, 2, 3); from places in the result to places in the image, both (x, y) in pixels to the
            right of and below the centre.
        padding: `reflection` about the outer edge, or `grey`.
    """
    height, width = images.shape[2:]
    x = torch.arange(width, device=images.device) - (width - 1) / 2
    y = torch.arange(height, device=images.device) - (height - 1) / 2
    # A map of places is a sum of one term by column and one by row: far cheaper than affine_grid's product.
    by_column = matrices[:, :, :1] * x
    by_row = matrices[:, :, 1:2] * y + matrices[:, :, 2:]
    places = by_column[:, :, None, :] + by_row[:, :, :, None]  # (N, 2, H, W)
    grid = torch.stack([places[:, 0] * (2 / width), places[:, 1] * (2 / height)], dim=3).to(images.dtype)
    if padding == "reflection":
        warped = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    else:
        warped = F.grid_sample(images - GREY, grid, padding_mode="zeros", align_corners=False).add_(GREY)
    return warped.clamp_(0, 1)  # the weights sum to 1 only within rounding


def _reflect(places: Tensor, length: int) -> Tensor:
    """Fold places outside 0..length-1 back into it, about the middle of the outermost pixels."""
    last = max(length - 1, 1)
    folded = last - (places % (2 * last) - last).abs()
    return folded.clamp_(max=length - 1)


def _matrices(first_row: list[Tensor], second_row: list[Tensor]) -> Tensor:
    """Stack six (N,) tensors to (N, 2, 3)."""
    return torch.stack([torch.stack(first_row, dim=1), torch.stack(second_row, dim=1)], dim=1)
