"""A random forest as a layer: all its trees are walked down at once.

Shapes: N images, D features, T trees, M nodes of all trees together, K classes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.classical.parts import Arrays, Fitted, fixed

LEAST = 1e-4  # probability of a class that no leaf has seen; its logarithm stays finite


class Forest(Fitted):
    """Trees as arrays of nodes; a leaf is its own child, so that short branches wait for the long ones."""

    feature: Tensor  # (M,) int64: which one decides
    below: Tensor  # (M, 2) int64: where to go if it is at most the threshold, and if it is above
    roots: Tensor  # (T,) int64

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.threshold = fixed(torch.zeros(1))  # (M,)
        self.shares = fixed(torch.full((1, num_classes), 1 / num_classes))  # (M, K): of the classes, weights counted
        self.register_buffer("feature", torch.zeros(1, dtype=torch.int64))
        self.register_buffer("below", torch.zeros((1, 2), dtype=torch.int64))
        self.register_buffer("roots", torch.zeros(1, dtype=torch.int64))
        self.depth = 0

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, D) to (N, K) logits: the logarithm of the mean share over the trees, `LEAST` at least."""
        nodes = self.roots.expand(features.shape[0], -1)
        below = self.below.flatten()
        for _ in range(self.depth):
            values = features.gather(1, self.feature[nodes])
            nodes = below[2 * nodes + (values > self.threshold[nodes]).long()]
        return self.shares[nodes].mean(dim=1).clamp(min=LEAST).log()

    def take(self, arrays: Arrays) -> None:
        """Set the nodes to those of `arrays_of`."""
        super().take(arrays)
        self.depth = _depth(self.roots, self.below)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self.depth = _depth(self.roots, self.below)


def _depth(roots: Tensor, below: Tensor) -> int:
    """Return the steps from the roots to the farthest leaf."""
    is_inner = below[:, 0] != torch.arange(len(below), device=below.device)
    nodes, steps = roots[is_inner[roots]], 0
    while len(nodes):
        nodes = below[nodes].flatten()
        nodes, steps = nodes[is_inner[nodes]], steps + 1
    return steps


def arrays_of(forest: Any) -> Arrays:
    """Return the tensors of a fitted `RandomForestClassifier` that knows the classes 0 to K - 1."""
    trees = [one.tree_ for one in forest.estimators_]
    counts = [tree.node_count for tree in trees]
    roots = np.cumsum([0, *counts[:-1]])
    return {
        "roots": roots,
        "feature": np.concatenate([np.maximum(tree.feature, 0) for tree in trees]),  # -2 at leaves
        "below": np.concatenate([_children(tree) + root for tree, root in zip(trees, roots, strict=True)]),
        "threshold": _rounded_down(np.concatenate([tree.threshold for tree in trees])),
        "shares": np.concatenate([tree.value[:, 0] for tree in trees]),
    }


def _children(tree: Any) -> NDArray[np.int64]:
    """Return the (M, 2) children of one tree's nodes, counted from its root."""
    both = np.stack([tree.children_left, tree.children_right], axis=1)
    return np.where(both < 0, np.arange(len(both))[:, None], both)


def _rounded_down(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest float32 that is no larger: for a float32 feature, `at most` then means the same as before."""
    near = thresholds.astype(np.float32)
    return np.where(near > thresholds, np.nextafter(near, np.float32(-np.inf)), near)
