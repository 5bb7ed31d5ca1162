"""Moving pixels by interpolation: crops that are enlarged, rotation, shear, scale, translation, elastic deformation.

Each interpolation blurs, so whatever of these a job asks for is put together and the images are resampled once.

Letters: N images, C channels, H W pixels. Matrices are (N, 2, 3): from places in the result to places in the image,
both (x, y) in pixels to the right of and below the centre.
"""

import math
from collections.abc import Iterator
from functools import reduce
from typing import Literal

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from trainer.augment import draws
from trainer.augment.blurring import gaussian
from trainer.augment.color import GREY
from trainer.settings import Augment

LARGEST_ASPECT = 4 / 3  # of a crop to that of the image, and of the image to that of a crop
REACH_OF_GAUSSIAN = 4  # sigmas at which the smoothing of an elastic deformation is cut off


def random_warp(images: Tensor, settings: Augment, *, rng: Generator) -> Tensor:
    """Apply to each image, in this order, a crop, shears, a scale, a rotation, a translation and a deformation.

    Args:
        images: (N, C, H, W) in [0, 1].
        settings: What is at its default is left out, and draws nothing.
        rng: On the images' device.

    Returns:
        Images in which what comes in from outside is reflected.
    """
    num, _, height, width = images.shape
    maps = list(random_maps(num, height, width, settings, rng=rng))
    field = _draw_field(images, settings, rng=rng) if settings.elastic else None
    if not maps and field is None:
        return images
    matrices = reduce(followed_by, maps) if maps else _still(images)
    return warp(images, matrices, padding="reflection", field=field)


def random_maps(num: int, height: int, width: int, settings: Augment, *, rng: Generator) -> Iterator[Tensor]:
    """Yield the matrices of each warp that is asked for, in the order in which they follow each other."""

    def around(reach: float) -> Tensor:
        return draws.uniform(num, -reach, reach, rng=rng)

    if settings.crop_scale < 1:
        yield random_crops(num, height, width, smallest=settings.crop_scale, rng=rng)
    if settings.shear:
        x, y = (around(settings.shear).deg2rad().tan() for _ in range(2))
        yield followed_by(shears(x, torch.zeros_like(x)), shears(torch.zeros_like(y), y))
    if settings.scale:
        yield scales(around(math.log1p(settings.scale)).exp())
    if settings.rotation:
        yield rotations(around(settings.rotation))
    if settings.translate:
        yield translations(around(settings.translate * width), around(settings.translate * height))


def random_crops(num: int, height: int, width: int, *, smallest: float, rng: Generator) -> Tensor:
    """Return matrices that enlarge a rectangle of each image to all of it.

    Args:
        num: N.
        height: Pixels.
        width: Pixels.
        smallest: Share of the area, above 0; shares are drawn evenly from here to 1.
        rng: On the images' device.

    Source: Szegedy et al. 2014, arXiv:1409.4842, Sec. 6. The aspect is that of the image times up to 4/3 either way,
    drawn by its logarithm from what fits, so that no draw is thrown away; rectangles are not rounded to whole pixels.
    """
    areas = draws.uniform(num, smallest, 1, rng=rng)
    widest = (-areas.log()).clamp(max=math.log(LARGEST_ASPECT))  # more than 1 / area would not fit
    aspects = (widest * draws.uniform(num, -1, 1, rng=rng)).exp()
    wide, high = (areas * aspects).sqrt(), (areas / aspects).sqrt()  # shares of the sides
    x = draws.uniform(num, -0.5, 0.5, rng=rng) * (1 - wide) * width
    y = draws.uniform(num, -0.5, 0.5, rng=rng) * (1 - high) * height
    return crops(wide, high, x, y)


def _draw_field(images: Tensor, settings: Augment, *, rng: Generator) -> Tensor:
    """Return a smooth random field (N, 2, H, W) of displacements (x, y) in pixels.

    Source: Simard et al. 2003, Best Practices for Convolutional Neural Networks (ICDAR), Sec. 2: noise of ±1, smoothed
    by a Gaussian, times alpha; here with reflected noise outside the image.
    """
    num, _, height, width = images.shape
    noise = draws.uniform(num * 2 * height * width, -1, 1, rng=rng).view(num, 2, height, width)
    sigmas = noise.new_full((num,), settings.elastic_sigma)
    return settings.elastic * gaussian(noise, sigmas, radius=round(REACH_OF_GAUSSIAN * settings.elastic_sigma))


def rotations(degrees: Tensor) -> Tensor:
    """Return matrices that turn by (N,) degrees, counter-clockwise as one sees it."""
    cos, sin = degrees.deg2rad().cos(), degrees.deg2rad().sin()
    nothing = torch.zeros_like(cos)
    return _matrices([cos, -sin, nothing], [sin, cos, nothing])


def shears(x: Tensor, y: Tensor) -> Tensor:
    """Return matrices that fetch from x columns further right per row and y lower."""
    one, nothing = torch.ones_like(x), torch.zeros_like(x)
    return _matrices([one, x, nothing], [y, one, nothing])


def translations(x: Tensor, y: Tensor) -> Tensor:
    """Return matrices that fetch from x pixels further right and y lower."""
    one, nothing = torch.ones_like(x), torch.zeros_like(x)
    return _matrices([one, nothing, x], [nothing, one, y])


def scales(factors: Tensor) -> Tensor:
    """Return matrices that enlarge by (N,) factors about the centre."""
    nothing = torch.zeros_like(factors)
    return crops(1 / factors, 1 / factors, nothing, nothing)


def crops(width: Tensor, height: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return matrices that show a rectangle: (N,) shares of the sides, and its centre in pixels from the image's."""
    nothing = torch.zeros_like(x)
    return _matrices([width, nothing, x], [nothing, height, y])


def followed_by(first: Tensor, second: Tensor) -> Tensor:
    """Return the matrices of one warp and then another, which sees what the first has made."""
    # Not a matrix product: some accelerators would round its factors.
    through = (first[:, :, :2, None] * second[:, None, :, :]).sum(2)
    through[:, :, 2] += first[:, :, 2]
    return through


def warp(
    images: Tensor, matrices: Tensor, *, padding: Literal["reflection", "grey"], field: Tensor | None = None
) -> Tensor:
    """Fetch each pixel of each image from where its matrix says, bilinearly.

    Args:
        images: (N, C, H, W).
        matrices: (N, 2, 3).
        padding: `reflection` about the outer edge, or `grey`.
        field: (N, 2, H, W); how much further right and lower, in pixels, each place lies than its matrix says.
    """
    height, width = images.shape[2:]
    x = torch.arange(width, device=images.device) - (width - 1) / 2
    y = torch.arange(height, device=images.device) - (height - 1) / 2
    # A map of places is a sum of one term by column and one by row: far cheaper than affine_grid's product.
    by_column = matrices[:, :, :1] * x
    by_row = matrices[:, :, 1:2] * y + matrices[:, :, 2:]
    places = by_column[:, :, None, :] + by_row[:, :, :, None]  # (N, 2, H, W)
    if field is not None:
        places = places + field
    grid = torch.stack([places[:, 0] * (2 / width), places[:, 1] * (2 / height)], dim=3).to(images.dtype)
    if padding == "reflection":
        warped = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    else:
        warped = F.grid_sample(images - GREY, grid, padding_mode="zeros", align_corners=False).add_(GREY)
    return warped.clamp_(0, 1)  # the weights sum to 1 only within rounding


def _still(images: Tensor) -> Tensor:
    nothing = torch.zeros(len(images), device=images.device)
    return translations(nothing, nothing)


def _matrices(first_row: list[Tensor], second_row: list[Tensor]) -> Tensor:
    """Stack six (N,) tensors to (N, 2, 3)."""
    return torch.stack([torch.stack(first_row, dim=1), torch.stack(second_row, dim=1)], dim=1)
