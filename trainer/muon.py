"""Muon, in the precision that the processor computes well.

The versions in torch and timm orthogonalise in bfloat16 whatever the processor; where it has no bfloat16
arithmetic that is several hundred times slower than float32. They also lack the projection of filters.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic, from the source of `orthogonalise`
ITERATIONS = 3  # enough for filters; from the CIFAR-10 recipe


def orthogonalise(matrix: Tensor, *, iterations: int = ITERATIONS) -> Tensor:
    """Bring the singular values of a matrix near 1 by Newton-Schulz iterations.

    Args:
        matrix: (rows, columns), float; not modified. Computed in its own dtype.
        iterations: Steps of the quintic.

    Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks".
    """
    a, b, c = COEFFICIENTS
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if is_tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(iterations):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if is_tall else x


class Muon(torch.optim.Optimizer):
    """Nesterov momentum whose step is orthogonalised; filters are flattened to matrices.

    With `project`, a parameter is brought to norm √rows before each step: a batch norm behind a filter makes its
    length meaningless, and a fixed length keeps the rate meaningful (from the author's CIFAR-10 recipe).
    """

    def __init__(
        self, params: Iterable[Tensor], *, lr: float, momentum: float, project: bool, dtype: torch.dtype
    ) -> None:
        self._project = project
        self._dtype = dtype
        super().__init__(params, {"lr": lr, "momentum": momentum})

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy needs; of itself, an optimizer would copy its parameters and their state alone."""
        return super().__getstate__() | {"_project": self._project, "_dtype": self._dtype}

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        assert closure is None, "Muon has no use for a closure"
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, lr=group["lr"], momentum=group["momentum"])

    def _update(self, parameter: Tensor, *, lr: float, momentum: float) -> None:
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        buffer = state["momentum_buffer"]
        assert parameter.grad is not None
        buffer.mul_(momentum).add_(parameter.grad)
        direction = parameter.grad.add(buffer, alpha=momentum)
        if self._project:
            parameter.mul_(len(parameter) ** 0.5 / (parameter.norm() + 1e-12))
        matrix = orthogonalise(direction.reshape(len(direction), -1).to(self._dtype))
        parameter.add_(matrix.reshape_as(parameter).to(parameter.dtype), alpha=-lr)
