"""The parts of a model without epochs that are fitted, as layers.

Shapes: N images, D features, P components, K classes, S support vectors.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

Arrays = Mapping[str, NDArray[Any]]  # by the name of the tensor that takes them


class Fitted(nn.Module):
    """A part whose tensors get their shapes when they are fitted or loaded."""

    def take(self, arrays: Arrays) -> None:
        """Set tensors to what was fitted, in their own types and on their own device."""
        for name, array in arrays.items():
            tensor = getattr(self, name)
            tensor.data = torch.as_tensor(np.ascontiguousarray(array), dtype=tensor.dtype, device=tensor.device)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        """Make room for tensors of any shape before torch compares shapes."""
        for name, tensor in (*self._parameters.items(), *self._buffers.items()):
            if tensor is not None and prefix + name in state_dict:
                tensor.data = tensor.data.new_empty(state_dict[prefix + name].shape)
        super()._load_from_state_dict(state_dict, prefix, *rest)


def fixed(tensor: Tensor) -> nn.Parameter:
    """Return a tensor that counts among a model's parameters and has no gradient."""
    return nn.Parameter(tensor, requires_grad=False)


class Scale(Fitted):
    """Subtracts a mean from every feature and divides it by a deviation."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.mean = fixed(torch.zeros(num_features))
        self.std = fixed(torch.ones(num_features))

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, D) to (N, D)."""
        return (features - self.mean) / self.std


class Components(Fitted):
    """The principal components of features."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.weight = fixed(torch.zeros(1, num_features))  # (P, D)
        self.bias = fixed(torch.zeros(1))  # (P,)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, D) to (N, P)."""
        return F.linear(features, self.weight, self.bias)


class LinearScores(Fitted):
    """A weighted sum of features for each class."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.weight = fixed(torch.zeros(num_classes, num_features))
        self.bias = fixed(torch.zeros(num_classes))

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, D) to (N, K) logits."""
        return F.linear(features, self.weight, self.bias)


class KernelScores(Fitted):
    """A weighted sum of similarities to support vectors for each class: exp(-gamma * squared distance)."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.vectors = fixed(torch.zeros(1, num_features))  # (S, D)
        self.weight = fixed(torch.zeros(num_classes, 1))  # (K, S)
        self.bias = fixed(torch.zeros(num_classes))
        self.gamma = fixed(torch.ones(()))

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, D) to (N, K) logits."""
        norms = features.square().sum(dim=1, keepdim=True) + self.vectors.square().sum(dim=1)
        distances = (norms - 2 * F.linear(features, self.vectors)).clamp(min=0)
        return F.linear(torch.exp(-self.gamma * distances), self.weight, self.bias)
