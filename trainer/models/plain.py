"""Nets without shortcuts: LeNet-5, and the small net of beginners' tutorials.

Layers with no norm behind them begin as He et al. draw them, so that what an image says reaches the head.

Shapes: N images, C channels, H W pixels, K classes.
"""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from trainer import settings as config
from trainer.errors import ConfigError
from trainer.models.layers import initialise_for_relu

LENET_SIDE = 32  # pixels; what LeNet-5 looks at
LENET_FILTER = 5  # pixels; side of its filters
CNN_HIDDEN = 4  # features of a cnn's hidden layer, times the channels of its first: 32 channels, 128 features


class LeNet5(nn.Module):
    """Two filter layers, each with a norm and a pooling, and two hidden layers before the head.

    Source: LeCun et al. 1998, "Gradient-based learning applied to document recognition", Sec. II.B, with its sizes and
    its border around smaller images. As usual since: every map of the second layer sees all of the first, ReLU
    for tanh, logits for distances to templates; and norms for the scales and biases of its pooling.
    """

    def __init__(self, *, image_size: int, channels: int, num_classes: int, width: float) -> None:
        super().__init__()
        first, second, third, fourth = (max(1, round(base * width)) for base in (6, 16, 120, 84))
        missing = max(0, LENET_SIDE - image_size)
        self.border = [missing // 2, missing - missing // 2] * 2  # left, right, top, bottom
        self.filters1 = nn.Conv2d(channels, first, LENET_FILTER, bias=False)
        self.norm1 = nn.BatchNorm2d(first)
        self.filters2 = nn.Conv2d(first, second, LENET_FILTER, bias=False)
        self.norm2 = nn.BatchNorm2d(second)
        self.hidden1 = nn.Linear(second * _lenet_pooled(_lenet_pooled(image_size + missing)) ** 2, third)
        self.hidden2 = nn.Linear(third, fourth)
        self.head = nn.Linear(fourth, num_classes)
        initialise_for_relu(self.hidden1, self.hidden2)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) normalised images to (N, K) logits."""
        features = F.pad(images, self.border)
        features = F.avg_pool2d(F.relu(self.norm1(self.filters1(features))), 2)
        features = F.avg_pool2d(F.relu(self.norm2(self.filters2(features))), 2)
        hidden = F.relu(self.hidden1(features.flatten(1)))
        logits: Tensor = self.head(F.relu(self.hidden2(hidden)))
        return logits


def _lenet_pooled(side: int) -> int:
    """Return the pixels a side behind a filter layer without a border and the pooling of its outputs."""
    return (side - LENET_FILTER + 1) // 2


class Cnn(nn.Module):
    """Filters, ReLU and pooling, a few times over; a hidden layer; the head."""

    def __init__(self, settings: config.Cnn, *, image_size: int, channels: int, num_classes: int) -> None:
        super().__init__()
        sizes = [channels, *(settings.width * 2**block for block in range(settings.blocks))]
        filters = [nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(sizes)]
        side = image_size // 2**settings.blocks
        self.filters = nn.ModuleList(filters)
        self.hidden = nn.Linear(sizes[-1] * side**2, CNN_HIDDEN * settings.width)
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(CNN_HIDDEN * settings.width, num_classes)
        initialise_for_relu(*filters, self.hidden)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) normalised images to (N, K) logits."""
        features = images
        for filters in self.filters:
            features = F.max_pool2d(F.relu(filters(features)), 2)
        hidden = F.relu(self.hidden(features.flatten(1)))
        logits: Tensor = self.head(self.dropout(hidden))
        return logits


def build_cnn(settings: config.Cnn, *, image_size: int, channels: int, num_classes: int) -> Cnn:
    """Build the small net of tutorials.

    Raises:
        ConfigError: If the image is too small to be halved so often.
    """
    smallest = 2**settings.blocks
    if image_size < smallest:
        raise ConfigError(
            f"A cnn with `model.blocks` {settings.blocks} needs images of at least {smallest} pixels, "
            f"these have {image_size}. Set `data.image_size` to {smallest} or more, or take fewer blocks."
        )
    return Cnn(settings, image_size=image_size, channels=channels, num_classes=num_classes)
