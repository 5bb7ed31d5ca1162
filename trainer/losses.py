"""What training makes small, for soft targets and classes of unequal size.

Shapes: N images, K classes.
"""

from dataclasses import dataclass
from typing import assert_never

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.settings import AnyLoss, Bce, CrossEntropy, Focal, LogitAdjusted


@dataclass(frozen=True, slots=True)
class Criterion:
    """A loss with what it knows of the training images."""

    settings: AnyLoss
    class_weights: Tensor | None  # (K,), whose mean over the training images is 1; None where all are 1
    log_shares: Tensor  # (K,) natural logarithm of each class's share of the training images

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the losses of a batch, summed over its images.

        Args:
            logits: (N, K), float32.
            targets: (N, K), rows sum to 1. An image that is mixed of two counts as much as they would.
        """
        if self.class_weights is None and isinstance(self.settings, CrossEntropy):
            return F.cross_entropy(logits, targets, reduction="sum")
        losses = self._by_image(logits, targets)
        return losses.sum() if self.class_weights is None else losses @ (targets @ self.class_weights)

    def _by_image(self, logits: Tensor, targets: Tensor) -> Tensor:
        match self.settings:
            case CrossEntropy():
                return F.cross_entropy(logits, targets, reduction="none")
            case Bce():  # Wightman et al. 2021, arXiv:2110.00476
                return F.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(dim=1)
            case Focal(gamma=gamma):  # Lin et al. 2017, arXiv:1708.02002, eq. 4, for a softmax
                log_probabilities = F.log_softmax(logits, dim=1)
                missing = -torch.expm1(log_probabilities)
                return -(targets * missing.clamp(min=0) ** gamma * log_probabilities).sum(dim=1)
            case LogitAdjusted(tau=tau):  # Menon et al. 2020, arXiv:2007.07314, eq. 10
                return F.cross_entropy(logits + tau * self.log_shares, targets, reduction="none")
            case _:
                assert_never(self.settings)


def build_criterion(settings: AnyLoss, labels: Tensor, *, num_classes: int) -> Criterion:
    """Build the loss of a job.

    Args:
        settings: Which one.
        labels: (N,) of the training images, on any device, where the result is too.
        num_classes: K; a class without images counts as if it had one.
    """
    counts = labels.bincount(minlength=num_classes).clamp(min=1).float()
    weights = {"none": None, "balanced": 1 / counts, "effective": _effective(counts, settings.beta)}[
        settings.class_weights
    ]
    if weights is not None:
        weights = weights * counts.sum() / (weights * counts).sum()
    return Criterion(settings, weights, (counts / counts.sum()).log())


def _effective(counts: Tensor, beta: float) -> Tensor:
    """Weigh classes by their effective number of images: Cui et al. 2019, arXiv:1901.05555, eq. 3."""
    return (1 - beta) / (1 - beta ** counts.double()).float()
