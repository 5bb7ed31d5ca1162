"""Layers that several networks of our own share.

Shapes: N images, C channels, H W pixels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.libraries import import_timm


class SqueezeExcite(nn.Module):
    """Scale each channel by a gate in (0, 1) that is worked out from the means of all channels.

    Biases begin at nothing: a batch norm's outputs are nothing on average, so that each hidden unit answers to about
    half of the images.

    Source: Hu et al. 2018, arXiv:1709.01507, Eq. 2 to 4.
    """

    def __init__(self, channels: int, *, reduction: int) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)
        initialise_for_relu(self.squeeze, self.excite)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        means = features.mean(dim=(2, 3))
        gates = torch.sigmoid(self.excite(F.relu(self.squeeze(means))))
        return features * gates[:, :, None, None]


def path_droppers(drop_path: float, num_blocks: int) -> list[nn.Module]:
    """Return a layer for the branch of each block that in training leaves it out for some images.

    Args:
        drop_path: Share of the images for which the last block's is left out; the first one's share of it is
            1 / `num_blocks`, and between them it grows by equal steps.
        num_blocks: Of the network.

    Source: Huang et al. 2016, arXiv:1603.09382, Eq. 4; by image, as timm does it, and what is kept is scaled up in
    training instead of scaled down afterwards.
    """
    if not drop_path:
        return [nn.Identity() for _ in range(num_blocks)]
    kind = import_timm().layers.DropPath
    return [kind(drop_path * (number + 1) / num_blocks) for number in range(num_blocks)]


def thinned(features: Tensor, stride: int) -> Tensor:
    """Keep each `stride`-th row and column of (N, C, H, W), for a 1 x 1 layer of stride 1 behind it.

    A 1 x 1 layer of stride 2 on 3 to 7 channels corrupts memory in torch's backward pass without AVX-512.
    """
    return features[:, :, ::stride, ::stride]


def initialise_for_relu(*layers: nn.Conv2d | nn.Linear) -> None:
    """Draw weights that keep the size of a signal from one ReLU to the next; biases begin at nothing.

    It matters where no norm stands behind a layer, which would undo any scale.

    Source: He et al. 2015, "Delving deep into rectifiers", arXiv:1502.01852, Eq. 10.
    """
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
