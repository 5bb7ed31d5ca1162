"""Mixing images and their targets in pairs: mixup, CutMix, and the soft targets that both need.

Letters: N images, C channels, H W pixels, K classes.
"""

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from trainer.augment import draws
from trainer.augment.hiding import inside
from trainer.settings import Augment


def mix(images: Tensor, targets: Tensor, settings: Augment, *, rng: Generator) -> tuple[Tensor, Tensor]:
    """Apply mixup or CutMix, or where the settings ask for both, one of them a batch with equal chance.

    Args:
        images: (N, C, H, W), float; not modified.
        targets: (N, K), float; each row sums to 1 and still does in the result.
        settings: `mixup` and `cutmix` are the alphas; where both are 0, the inputs come back as they are.
        rng: On the images' device.
    """
    use_cutmix = settings.cutmix > 0
    if settings.mixup and settings.cutmix:
        use_cutmix = bool(draws.coins(1, rng=rng))
    if use_cutmix:
        return cutmix(images, targets, alpha=settings.cutmix, rng=rng)
    if settings.mixup:
        return mixup(images, targets, alpha=settings.mixup, rng=rng)
    return images, targets


def mixup(images: Tensor, targets: Tensor, *, alpha: float, rng: Generator) -> tuple[Tensor, Tensor]:
    """Blend every image with one of a shuffled copy of the batch.

    Args:
        images: (N, C, H, W), float; not modified.
        targets: (N, K), float; blended by the same shares.
        alpha: Above 0; Beta(alpha, alpha) draws the kept share of each image.
        rng: On the images' device.

    Source: Zhang et al. 2017, arXiv:1710.09412; a share for each image, not one a batch.
    """
    partners = _partners(images, rng=rng)
    kept = draws.symmetric_beta(len(images), alpha=alpha, rng=rng)
    mixed = torch.lerp(images[partners], images, kept.to(images.dtype).view(-1, 1, 1, 1))
    return mixed, _mix_targets(targets, partners, kept)


def cutmix(images: Tensor, targets: Tensor, *, alpha: float, rng: Generator) -> tuple[Tensor, Tensor]:
    """Paste one rectangle of a shuffled copy of the batch into every image, at its own place.

    Args:
        images: (N, C, H, W), float; not modified.
        targets: (N, K), float; mixed by the share of the pixels that were pasted, exactly.
        alpha: Above 0; Beta(alpha, alpha) draws the kept share of the area before clipping.
        rng: On the images' device.

    Source: Yun et al. 2019, arXiv:1905.04899, Sec. 3.1 and code: the rectangle has the image's proportions
    and is clipped at the border; a rectangle for each image, not one a batch.
    """
    num, _, height, width = images.shape
    partners = _partners(images, rng=rng)
    scales = (1 - draws.symmetric_beta(num, alpha=alpha, rng=rng)).sqrt()
    rows = _interval(height, scales, rng=rng)
    columns = _interval(width, scales, rng=rng)
    is_pasted = (rows[:, :, None] & columns[:, None, :])[:, None]
    kept = 1 - rows.sum(1) * columns.sum(1) / (height * width)
    return torch.where(is_pasted, images[partners], images), _mix_targets(targets, partners, kept)


def soft_targets(labels: Tensor, num_classes: int, smoothing: float) -> Tensor:
    """Return (N, K) float32 targets: `smoothing` spread over all classes, the rest on the label.

    Args:
        labels: (N,) int64, from 0.
        num_classes: K.
        smoothing: In [0, 1).

    Source: Szegedy et al. 2015, arXiv:1512.00567, Sec. 7.
    """
    return F.one_hot(labels, num_classes) * (1 - smoothing) + smoothing / num_classes


def _partners(images: Tensor, *, rng: Generator) -> Tensor:
    return torch.randperm(len(images), generator=rng, device=rng.device)


def _interval(length: int, scales: Tensor, *, rng: Generator) -> Tensor:
    """Tell (N, length) which places lie in one interval each, of `length` times the scale before clipping."""
    sizes = (length * scales).long()
    starts = draws.integers(len(scales), 0, length - 1, rng=rng) - sizes // 2
    return inside(length, starts, starts + sizes)


def _mix_targets(targets: Tensor, partners: Tensor, kept: Tensor) -> Tensor:
    return torch.lerp(targets[partners], targets, kept.to(targets.dtype)[:, None])
