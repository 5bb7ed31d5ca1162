"""Residual nets with a stem for small images.

Sources: He et al. 2015, arXiv:1512.03385, Table 1 (with the 3 x 3 stem that its CIFAR variants use, and the stride of a
bottleneck in its 3 x 3 layer); Hu et al. 2018, arXiv:1709.01507, Fig. 3, for the gates;
D. Page 2018, "How to train your ResNet", for ResNet-9.

Filters begin as torch draws them: the norm behind each undoes any scale.

Shapes: N images, C channels, H W pixels, K classes.
"""

from typing import ClassVar, assert_never

import torch.nn.functional as F
from torch import Tensor, nn

from trainer import settings as config
from trainer.models.layers import SqueezeExcite, path_droppers, thinned

HEAD_SCALE = 0.125  # of ResNet-9's logits, from its source


class ResNet9(nn.Module):
    """Eight filter layers: a stem, three halvings, and a residual pair after the first and the last."""

    def __init__(self, *, channels: int, num_classes: int, width: int, dropout: float) -> None:
        super().__init__()
        self.stem = _filters_norm_relu(channels, width)
        self.stages = nn.Sequential(
            _halving(width, 2 * width),
            _ResidualPair(2 * width),
            _halving(2 * width, 4 * width),
            _halving(4 * width, 8 * width),
            _ResidualPair(8 * width),
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(8 * width, num_classes, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) normalised images to (N, K) logits."""
        features = self.stages(self.stem(images)).amax(dim=(2, 3))
        logits: Tensor = self.head(self.dropout(features)) * HEAD_SCALE
        return logits


class ResNet(nn.Module):
    """Four stages of residual blocks; the first works at full resolution, each other halves the image."""

    def __init__(self, settings: config.AnyResNet, *, channels: int, num_classes: int) -> None:
        super().__init__()
        block, depths = _layout(settings)
        drops = iter(path_droppers(settings.drop_path, sum(depths)))
        self.stem = _filters_norm_relu(channels, settings.width)
        size = settings.width
        blocks: list[nn.Module] = []
        for stage, depth in enumerate(depths):
            inner = settings.width * 2**stage
            for number in range(depth):
                stride = 2 if stage > 0 and number == 0 else 1
                blocks.append(block(size, inner, stride=stride, squeeze=settings.squeeze, drop=next(drops)))
                size = inner * block.expansion
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(size, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) normalised images to (N, K) logits."""
        features = self.blocks(self.stem(images)).mean(dim=(2, 3))
        logits: Tensor = self.head(self.dropout(features))
        return logits


class _BasicBlock(nn.Module):
    """Two 3 x 3 layers beside a shortcut, which is projected where the shape changes."""

    expansion: ClassVar[int] = 1

    def __init__(self, channels_in: int, inner: int, *, stride: int, squeeze: int, drop: nn.Module) -> None:
        super().__init__()
        self.filters1 = nn.Conv2d(channels_in, inner, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(inner)
        self.filters2 = nn.Conv2d(inner, inner, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(inner)
        self.gate = _gate(inner, squeeze)
        self.drop = drop
        self.stride = stride
        self.shortcut = _shortcut(channels_in, inner, stride=stride)

    def forward(self, features: Tensor) -> Tensor:
        inner = F.relu(self.norm1(self.filters1(features)))
        inner = self.gate(self.norm2(self.filters2(inner)))
        return F.relu(self.drop(inner) + self.shortcut(thinned(features, self.stride)))


class _Bottleneck(nn.Module):
    """A 3 x 3 layer between two of 1 x 1, the last of which widens, beside a shortcut as in the basic block."""

    expansion: ClassVar[int] = 4

    def __init__(self, channels_in: int, inner: int, *, stride: int, squeeze: int, drop: nn.Module) -> None:
        super().__init__()
        channels = inner * self.expansion
        self.filters1 = nn.Conv2d(channels_in, inner, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(inner)
        self.filters2 = nn.Conv2d(inner, inner, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(inner)
        self.filters3 = nn.Conv2d(inner, channels, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(channels)
        self.gate = _gate(channels, squeeze)
        self.drop = drop
        self.stride = stride
        self.shortcut = _shortcut(channels_in, channels, stride=stride)

    def forward(self, features: Tensor) -> Tensor:
        inner = F.relu(self.norm1(self.filters1(features)))
        inner = F.relu(self.norm2(self.filters2(inner)))
        inner = self.gate(self.norm3(self.filters3(inner)))
        return F.relu(self.drop(inner) + self.shortcut(thinned(features, self.stride)))


class _ResidualPair(nn.Module):
    """The input plus two filter layers of it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(_filters_norm_relu(channels, channels), _filters_norm_relu(channels, channels))

    def forward(self, features: Tensor) -> Tensor:
        changed: Tensor = self.inner(features)
        return features + changed


def _layout(settings: config.AnyResNet) -> tuple[type[_BasicBlock] | type[_Bottleneck], tuple[int, ...]]:
    """Return the kind of blocks and how many of them each stage has."""
    match settings:
        case config.ResNet18():
            return _BasicBlock, (2, 2, 2, 2)
        case config.ResNet34():
            return _BasicBlock, (3, 4, 6, 3)
        case config.ResNet50():
            return _Bottleneck, (3, 4, 6, 3)
    assert_never(settings)


def _shortcut(channels_in: int, channels: int, *, stride: int) -> nn.Module:
    if stride == 1 and channels_in == channels:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(channels_in, channels, 1, bias=False), nn.BatchNorm2d(channels))


def _gate(channels: int, squeeze: int) -> nn.Module:
    return SqueezeExcite(channels, reduction=squeeze) if squeeze else nn.Identity()


def _filters_norm_relu(channels_in: int, channels: int) -> nn.Sequential:
    filters = nn.Conv2d(channels_in, channels, 3, padding=1, bias=False)
    return nn.Sequential(filters, nn.BatchNorm2d(channels), nn.ReLU())


def _halving(channels_in: int, channels: int) -> nn.Sequential:
    return nn.Sequential(*_filters_norm_relu(channels_in, channels), nn.MaxPool2d(2, ceil_mode=True))
