"""The net of the CIFAR-10 speed records.

Source: Keller Jordan 2024, "94 % on CIFAR-10 in 3.29 seconds on a single GPU", arXiv:2404.00498, Sec. 3 and App. A,
and its later version with Muon. Ours takes any image from 8 pixels, any number of channels, width and depth.

Shapes: N images, C channels, H W pixels, K classes.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PATCH = 2  # pixels; side of the whitening filters
SMALLEST_SIDE = 3  # pixels; a block halves the image and leaves it be below this
WHITENING_EPS = 5e-4
HEAD_SHARE = 1 / 9  # of the last layer's output that is a logit; keeps its rate near those of the filters
BIAS_RATE = 64.0  # times the other rates under SGD: behind so small a head, gradients are small


class FastNet(nn.Module):
    """Whitening filters, three blocks that halve the image, a pooled linear head without bias."""

    def __init__(self, *, channels: int, num_classes: int, width: float, depth: int) -> None:
        super().__init__()
        whitened = 2 * channels * PATCH**2
        first, second, third = (max(8, 8 * round(base * width / 8)) for base in (64, 256, 256))
        self.whiten = nn.Conv2d(channels, whitened, PATCH, bias=True)
        self.whiten.weight.requires_grad_(False)  # set from the data by `whiten_from`
        self.blocks = nn.ModuleList(
            [_Block(whitened, first, depth), _Block(first, second, depth), _Block(second, third, depth)]
        )
        self.head = nn.Linear(third, num_classes, bias=False)
        with torch.no_grad():
            self.head.weight /= HEAD_SHARE * third * self.head.weight.std()

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) normalised images to (N, K) logits."""
        features = F.gelu(self.whiten(images))
        for block in self.blocks:
            features = block(features)
        features = features.amax(dim=(2, 3))
        logits: Tensor = HEAD_SHARE * self.head(features)
        return logits

    def biases(self) -> list[nn.Parameter]:
        """Return the parameters whose rates under SGD are `BIAS_RATE` times those of the others."""
        return [parameter for name, parameter in self.named_parameters() if name.endswith("bias")]


class _Block(nn.Module):
    """Filters, pooling, filters at the lower resolution; from three layers on, a shortcut past the last."""

    def __init__(self, channels_in: int, channels: int, depth: int) -> None:
        super().__init__()
        inputs = [channels_in, *[channels] * (depth - 1)]
        self.filters = nn.ModuleList([_dirac_filters(size, channels) for size in inputs])
        self.norms = nn.ModuleList([_norm(channels) for _ in inputs])

    def forward(self, features: Tensor) -> Tensor:
        shortcut = features
        for layer, (filters, norm) in enumerate(zip(self.filters, self.norms, strict=True)):
            features = filters(features)
            if layer == 0 and min(features.shape[2:]) >= SMALLEST_SIDE:
                features = F.max_pool2d(features, 2)
            if layer == len(self.filters) - 1 and layer >= 2:
                features = features + shortcut
            features = F.gelu(norm(features))
            shortcut = features if layer == 0 else shortcut
        return features


def _dirac_filters(channels_in: int, channels: int) -> nn.Conv2d:
    """Filters that begin by passing their input on, as far as there are channels for it."""
    filters = nn.Conv2d(channels_in, channels, 3, padding=1, bias=False)
    nn.init.dirac_(filters.weight.data[: min(channels, channels_in)])
    return filters


def _norm(channels: int) -> nn.BatchNorm2d:
    """Batch norm whose scale is fixed: the next layer's filters would undo it anyway."""
    norm = nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4)
    norm.weight.requires_grad_(False)
    return norm


@torch.no_grad()
def whiten_from(model: FastNet, sample: Iterable[Tensor]) -> None:
    """Set the first layer so that its outputs on patches of the images have unit covariance.

    Args:
        model: Changed in place.
        sample: Portions (N, C, H, W), float, normalised as in training.
    """
    total, num_patches = torch.zeros(()), 0
    for images in sample:
        patches = _patches(images.float())
        total = total.to(patches.device) + torch.bmm(patches, patches.transpose(1, 2)).sum(0)
        num_patches += len(patches) * patches.shape[2]
    covariance = total / num_patches
    values, vectors = torch.linalg.eigh(covariance.double().cpu())
    whitening = (vectors / (values + WHITENING_EPS).sqrt()).T.flip(0)
    filters = whitening.reshape(-1, *model.whiten.weight.shape[1:])
    model.whiten.weight.copy_(torch.cat([filters, -filters]))


def _patches(images: Tensor) -> Tensor:
    """Cut (N, C, H, W) into (N, C * PATCH², patches of an image): what `F.unfold` gives, in a third of its time."""
    rows_and_columns = images.unfold(2, PATCH, 1).unfold(3, PATCH, 1)  # (N, C, rows, columns, PATCH, PATCH)
    return rows_and_columns.permute(0, 1, 4, 5, 2, 3).reshape(len(images), images.shape[1] * PATCH**2, -1)
