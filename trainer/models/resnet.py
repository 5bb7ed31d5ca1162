"""Residual nets with a stem for small images.

Sources: He et al. 2015, arXiv:1512.03385 (ResNet-18, with the 3 x 3 stem that its CIFAR variants use);
D. Page 2018, "How to train your ResNet", for ResNet-9.

Shapes: N images, C channels, H W pixels, K classes.
"""

import torch.nn.functional as F
from torch import Tensor, nn

HEAD_SCALE = 0.125  # of ResNet-9's logits, from its source


class ResNet9(nn.Module):
    """Eight filter layers: a stem, three halvings, and a residual pair after the first and the last."""

    def __init__(self, *, channels: int, num_classes: int, width: int) -> None:
        super().__init__()
        self.stem = _filters_norm_relu(channels, width)
        self.stages = nn.Sequential(
            _halving(width, 2 * width),
            _Residual(2 * width),
            _halving(2 * width, 4 * width),
            _halving(4 * width, 8 * width),
            _Residual(8 * width),
        )
        self.head = nn.Linear(8 * width, num_classes, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) normalised images to (N, K) logits."""
        features = self.stages(self.stem(images)).amax(dim=(2, 3))
        logits: Tensor = self.head(features) * HEAD_SCALE
        return logits


class ResNet18(nn.Module):
    """Four stages of two basic blocks; the first works at full resolution."""

    def __init__(self, *, channels: int, num_classes: int, width: int) -> None:
        super().__init__()
        self.stem = _filters_norm_relu(channels, width)
        sizes = [width, width, 2 * width, 4 * width, 8 * width]
        blocks: list[nn.Module] = []
        for stage in range(4):
            blocks.append(_BasicBlock(sizes[stage], sizes[stage + 1], stride=1 if stage == 0 else 2))
            blocks.append(_BasicBlock(sizes[stage + 1], sizes[stage + 1], stride=1))
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(8 * width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) normalised images to (N, K) logits."""
        features = self.blocks(self.stem(images)).mean(dim=(2, 3))
        logits: Tensor = self.head(features)
        return logits


class _BasicBlock(nn.Module):
    """Two 3 x 3 layers beside a shortcut, which is projected where the shape changes."""

    def __init__(self, channels_in: int, channels: int, *, stride: int) -> None:
        super().__init__()
        self.filters1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.filters2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.stride = stride
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels:
            projection = nn.Conv2d(channels_in, channels, 1, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(channels))

    def forward(self, features: Tensor) -> Tensor:
        inner = F.relu(self.norm1(self.filters1(features)))
        # A 1 x 1 layer of stride 2 on 3 to 7 channels corrupts memory in torch's backward pass without AVX-512.
        kept = features[:, :, :: self.stride, :: self.stride]
        return F.relu(self.norm2(self.filters2(inner)) + self.shortcut(kept))


class _Residual(nn.Module):
    """The input plus two filter layers of it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(_filters_norm_relu(channels, channels), _filters_norm_relu(channels, channels))

    def forward(self, features: Tensor) -> Tensor:
        changed: Tensor = self.inner(features)
        return features + changed


def _filters_norm_relu(channels_in: int, channels: int) -> nn.Sequential:
    filters = nn.Conv2d(channels_in, channels, 3, padding=1, bias=False)
    return nn.Sequential(filters, nn.BatchNorm2d(channels), nn.ReLU())


def _halving(channels_in: int, channels: int) -> nn.Sequential:
    return nn.Sequential(*_filters_norm_relu(channels_in, channels), nn.MaxPool2d(2, ceil_mode=True))
