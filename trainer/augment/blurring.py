"""Smoothing by a Gaussian, of images and of noise.

Letters: N images, C channels, H W pixels, K taps of a filter.
"""

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from trainer.augment import draws
from trainer.augment.geometry import reflect

SIGMAS = (0.1, 2.0)  # pixels
SHARE_OF_SIDE = 20  # the filter reaches this part of the side each way, so it is a tenth of the side wide


def random_blur(images: Tensor, *, chance: float, rng: Generator) -> Tensor:
    """Blur each image with this chance, by its own sigma.

    Source: Chen et al. 2020, arXiv:2002.05709, App. A, and its code: sigma 0.1 to 2, a filter a tenth as wide as the
    image, here at least three pixels.
    """
    num, _, height, width = images.shape
    is_blurred = draws.chances(num, chance, rng=rng)
    sigmas = draws.uniform(num, *SIGMAS, rng=rng)
    radius = max(1, min(height, width) // SHARE_OF_SIDE)
    changed = images.clone()
    changed[is_blurred] = gaussian(images[is_blurred], sigmas[is_blurred], radius=radius).clamp_(0, 1)
    return changed


def gaussian(images: Tensor, sigmas: Tensor, *, radius: int) -> Tensor:
    """Smooth each image by its own sigma; what lies outside is the reflection about the outermost pixels.

    Args:
        images: (N, C, H, W), of any range.
        sigmas: (N,), pixels, above 0.
        radius: Pixels at which the Gaussian is cut off; its weights sum to 1.
    """
    num, channels, height, width = images.shape
    if not num:
        return images.clone()
    places = torch.arange(-radius, radius + 1, device=images.device)
    weights = torch.softmax(-((places / sigmas[:, None]) ** 2) / 2, dim=1).to(images.dtype)  # (N, K)
    filters = weights.repeat_interleave(channels, dim=0)[:, None, None, :]  # (N·C, 1, 1, K)
    rows = reflect(torch.arange(-radius, height + radius, device=images.device), height)
    columns = reflect(torch.arange(-radius, width + radius, device=images.device), width)
    maps = images.reshape(1, num * channels, height, width)
    across = F.conv2d(maps[..., columns], filters, groups=num * channels)
    down = F.conv2d(across[..., rows, :], filters.transpose(2, 3), groups=num * channels)
    return down.view(images.shape)
