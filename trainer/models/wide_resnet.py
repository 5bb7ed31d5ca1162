"""Wide residual nets.

Source: Zagoruyko and Komodakis 2016, arXiv:1605.07146, Table 1 and Sec. 2.4. A stage of n blocks, three times, makes
6n + 4 layers: its WRN-(6n+4)-k.

Filters begin as He et al. draw them: no norm stands between the last layer of a block and the sum, so its scale is
the weight that the block has there.

Shapes: N images, C channels, H W pixels, K classes.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from trainer import settings as config
from trainer.models.layers import initialise_for_relu, path_droppers, thinned

STEM = 16  # channels
STAGES = (16, 32, 64)  # channels of each, before they are widened


class WideResNet(nn.Module):
    """A filter layer, three stages of pre-activated blocks, and a norm before the head."""

    def __init__(self, settings: config.WideResNet, *, channels: int, num_classes: int) -> None:
        super().__init__()
        drops = iter(path_droppers(settings.drop_path, len(STAGES) * settings.blocks))
        self.stem = nn.Conv2d(channels, STEM, 3, padding=1, bias=False)
        size = STEM
        blocks: list[nn.Module] = []
        for stage, narrow in enumerate(STAGES):
            wide = narrow * settings.width
            for number in range(settings.blocks):
                stride = 2 if stage > 0 and number == 0 else 1
                blocks.append(_Block(size, wide, stride=stride, dropout=settings.dropout, drop=next(drops)))
                size = wide
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.BatchNorm2d(size)
        self.head = nn.Linear(size, num_classes)
        initialise_for_relu(*(layer for layer in self.modules() if isinstance(layer, nn.Conv2d)))

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) normalised images to (N, K) logits."""
        features = F.relu(self.norm(self.blocks(self.stem(images))))
        logits: Tensor = self.head(features.mean(dim=(2, 3)))
        return logits


class _Block(nn.Module):
    """Two 3 x 3 layers, each behind a norm and a ReLU, beside a shortcut; it is projected where the shape changes."""

    def __init__(self, channels_in: int, channels: int, *, stride: int, dropout: float, drop: nn.Module) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels_in)
        self.filters1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.dropout = nn.Dropout(dropout)
        self.filters2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.drop = drop
        self.stride = stride
        self.projection: nn.Conv2d | None = None
        if stride != 1 or channels_in != channels:
            self.projection = nn.Conv2d(channels_in, channels, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        active = F.relu(self.norm1(features))
        inner = F.relu(self.norm2(self.filters1(active)))
        branch: Tensor = self.drop(self.filters2(self.dropout(inner)))
        shortcut: Tensor = features if self.projection is None else self.projection(thinned(active, self.stride))
        return shortcut + branch
