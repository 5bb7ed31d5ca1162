"""Test-time augmentation: an image is shown in several views, and the logits are averaged.

Shapes: N images, C channels, H W pixels, K classes.
"""

from typing import assert_never

import torch.nn.functional as F
from torch import Tensor, nn

from trainer.settings import Scoring

SHIFT = 1  # pixels


class OverViews(nn.Module):
    """A network that answers for the mean of several views of an image."""

    def __init__(self, network: nn.Module, scoring: Scoring) -> None:
        super().__init__()
        self.network = network
        self.scoring = scoring

    def forward(self, images: Tensor) -> Tensor:
        """Return the (N, K) logits of (N, C, H, W) images, normalised, averaged over their views."""
        match self.scoring.tta:
            case "none":
                return self._logits(images)
            case "flip":
                return self._over_flips(images)
            case "flip_shift":  # Jordan 2024, arXiv:2404.00498, section 3.5: half the weight on the image in place
                height, width = images.shape[-2:]
                padded = F.pad(images, (SHIFT,) * 4, mode="reflect")
                corners = (padded[..., :height, :width], padded[..., 2 * SHIFT :, 2 * SHIFT :])
                shifted = (self._over_flips(corners[0]) + self._over_flips(corners[1])) / 2
                return (self._over_flips(images) + shifted) / 2
            case _:
                assert_never(self.scoring.tta)

    def _over_flips(self, images: Tensor) -> Tensor:
        return (self._logits(images) + self._logits(images.flip(-1))) / 2

    def _logits(self, images: Tensor) -> Tensor:
        found: Tensor = self.network(images)
        return found


def with_views(network: nn.Module, scoring: Scoring) -> nn.Module:
    """Return what is scored: the network itself where one view is enough."""
    return network if scoring.tta == "none" else OverViews(network, scoring)
