"""Test-time augmentation: an image is shown in several views, and the logits are averaged.

Shapes: N images, C channels, H W pixels, K classes.
"""

from collections.abc import Iterator
from typing import assert_never

import torch
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
        total = torch.zeros(())
        for weight, view in weighted_views(images, self.scoring):
            total = total + weight * self.network(view)
        return total


class ViewsAtOnce(nn.Module):
    """The same in one pass over a batch of all views: the graph of an export holds the network once."""

    def __init__(self, network: nn.Module, scoring: Scoring) -> None:
        super().__init__()
        self.network = network
        self.scoring = scoring

    def forward(self, images: Tensor) -> Tensor:
        """Return the (N, K) logits of (N, C, H, W) images, normalised, averaged over their views."""
        weights, views = zip(*weighted_views(images, self.scoring), strict=True)
        logits = self.network(torch.cat(views)).unflatten(0, (len(views), -1))
        found: Tensor = (logits * torch.tensor(weights).view(-1, 1, 1)).sum(dim=0)
        return found


def weighted_views(images: Tensor, scoring: Scoring) -> Iterator[tuple[float, Tensor]]:
    """Yield views of (N, C, H, W) images with the weights of their logits, which add up to 1."""
    match scoring.tta:
        case "none":
            yield 1.0, images
        case "flip":
            yield from _flips(images, 1.0)
        case "flip_shift":  # Jordan 2024, arXiv:2404.00498, section 3.5: half the weight on the image in place
            height, width = images.shape[-2:]
            padded = F.pad(images, (SHIFT,) * 4, mode="reflect")
            yield from _flips(images, 0.5)
            yield from _flips(padded[..., :height, :width], 0.25)
            yield from _flips(padded[..., 2 * SHIFT :, 2 * SHIFT :], 0.25)
        case _:
            assert_never(scoring.tta)


def _flips(images: Tensor, weight: float) -> Iterator[tuple[float, Tensor]]:
    yield weight / 2, images
    yield weight / 2, images.flip(-1)


def with_views(network: nn.Module, scoring: Scoring, *, at_once: bool = False) -> nn.Module:
    """Return what is scored: the network itself where one view is enough.

    Args:
        network: Takes (N, C, H, W), gives (N, K).
        scoring: Which views.
        at_once: All views of a batch together: more memory, and a graph that holds the network once.
    """
    if scoring.tta == "none":
        return network
    return ViewsAtOnce(network, scoring) if at_once else OverViews(network, scoring)
