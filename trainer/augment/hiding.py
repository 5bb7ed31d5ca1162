"""Hiding a part of each image: cutout and random erasing.

Letters: N images, C channels, H W pixels.
"""

import math

import torch
from torch import Generator, Tensor

from trainer.augment import draws
from trainer.augment.color import GREY

ERASED_AREA = (0.02, 0.33)  # shares of the image's
ERASED_ASPECT = (0.3, 3.3)  # height to width


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


def erase(images: Tensor, *, chance: float, rng: Generator) -> Tensor:
    """Put noise in place of one rectangle of each image with this chance; it lies within the image.

    Source: Zhong et al. 2017, arXiv:1708.04896, Alg. 1 and Sec. 4: a value of its own for each pixel; areas up to a
    third, as in torchvision's RandomErasing. A side drawn longer than the image's is cut off, not drawn again.
    """
    num, _, height, width = images.shape
    is_erased = draws.chances(num, chance, rng=rng)
    areas = draws.uniform(num, *ERASED_AREA, rng=rng) * (height * width)
    aspects = draws.uniform(num, *map(math.log, ERASED_ASPECT), rng=rng).exp()
    rows = _placed(height, (areas * aspects).sqrt(), rng=rng)
    columns = _placed(width, (areas / aspects).sqrt(), rng=rng)
    noise = torch.rand(images.shape, generator=rng, device=rng.device, dtype=images.dtype)
    is_hidden = rows[:, :, None] & columns[:, None, :] & is_erased[:, None, None]
    return torch.where(is_hidden[:, None], noise, images)


def inside(length: int, starts: Tensor, ends: Tensor) -> Tensor:
    """Tell (N, length) which places lie in [start, end) of each of N intervals."""
    places = torch.arange(length, device=starts.device)
    return (places >= starts[:, None]) & (places < ends[:, None])


def _placed(length: int, sizes: Tensor, *, rng: Generator) -> Tensor:
    """Tell (N, length) which places lie in one interval each, of these sizes, anywhere within the length."""
    sizes = sizes.round().clamp(1, length).long()
    starts = (draws.uniform(len(sizes), 0, 1, rng=rng) * (length - sizes + 1)).long()
    return inside(length, starts, starts + sizes)
