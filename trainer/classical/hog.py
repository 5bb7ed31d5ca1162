"""Histograms of oriented gradients, as a layer.

Source: Dalal & Triggs 2005, "Histograms of Oriented Gradients for Human Detection", section 6: centred differences
without smoothing, the strongest colour channel, unsigned directions, blocks of 2 x 2 cells that overlap, L2-Hys. Votes
are not shared between neighbouring cells and directions; in that they follow `skimage.feature.hog`, which the tests
compare with.

Shapes: N images, C channels, H W pixels, R x S cells, O directions.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK = 2  # cells a side; fewer where the image has fewer
EPSILON = 1e-5  # beside the norm of a block
HIGHEST = 0.2  # share of its block's norm that one number may have


class Hog(nn.Module):
    """Describes an image by the directions of its edges; nothing in it is fitted."""

    def __init__(self, *, cell: int, orientations: int) -> None:
        super().__init__()
        self.cell = cell
        angles = [math.pi * number / orientations for number in range(1, orientations)]
        self.bounds = [(math.cos(angle), math.sin(angle)) for angle in angles]  # between neighbouring directions

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) images to (N, `num_features`) features; pixels beyond the last whole cell do not count."""
        across, down = _gradients(images)
        return _blocks(self._histograms(across, down)).flatten(1)

    def num_features(self, height: int, width: int) -> int:
        """Return how many features an image of this size has."""
        cells = (height // self.cell, width // self.cell)
        blocks = [count - min(BLOCK, *cells) + 1 for count in cells]
        return math.prod(blocks) * min(BLOCK, *cells) ** 2 * (len(self.bounds) + 1)

    def _histograms(self, across: Tensor, down: Tensor) -> Tensor:
        """Return (N, R, S, O): mean magnitude of the gradients of each direction, cell by cell."""
        is_turned = (down < 0) | ((down == 0) & (across < 0))  # unsigned: opposite directions are one
        across, down = torch.where(is_turned, -across, across), torch.where(is_turned, -down, down)
        votes, left = [], (across.square() + down.square()).sqrt()
        for cosine, sine in self.bounds:  # an angle from a bound on has a sine of the difference that is not negative
            beyond = torch.where(down * cosine >= across * sine, left, torch.zeros_like(left))
            votes.append(F.avg_pool2d(left - beyond, self.cell))
            left = beyond
        votes.append(F.avg_pool2d(left, self.cell))
        return torch.cat(votes, dim=1).permute(0, 2, 3, 1)


def _gradients(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the differences to the right and down, (N, 1, H, W) each, of the channel in which they are largest.

    On the border, where a neighbour is missing, they are 0.
    """
    across = F.pad(images[:, :, :, 2:] - images[:, :, :, :-2], (1, 1, 0, 0))
    down = F.pad(images[:, :, 2:] - images[:, :, :-2], (0, 0, 1, 1))
    strongest = (across.square() + down.square()).argmax(dim=1, keepdim=True)
    return across.gather(1, strongest), down.gather(1, strongest)


def _blocks(cells: Tensor) -> Tensor:
    """Return the (N, R', S', B * B * O) normalised blocks of (N, R, S, O) histograms."""
    side = min(BLOCK, *cells.shape[1:3])
    rows, columns = (count - side + 1 for count in cells.shape[1:3])
    corners = [cells[:, r : r + rows, s : s + columns] for r in range(side) for s in range(side)]
    limited = _unit(torch.cat(corners, dim=3)).clamp(max=HIGHEST)
    return _unit(limited)


def _unit(blocks: Tensor) -> Tensor:
    """Return v / sqrt(|v|^2 + e^2), in a form that exporters keep: they take a bare e^2, below 1e-8, for 0."""
    length = EPSILON * (1 + (blocks / EPSILON).square().sum(dim=3, keepdim=True)).sqrt()
    return blocks / length
