"""Running statistics of batch norms that neither portions of a batch nor an early look can mislead."""

import math
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True, slots=True)
class BatchNorms:
    """The batch norms of a model in training, with the share that each new portion of a batch has in its averages."""

    layers: tuple[tuple[nn.BatchNorm2d, float], ...]
    are_blank: bool = True  # at the first step: their averages start from arbitrary values, not from learnt ones

    def count(self, num_portions: int) -> None:
        """Prepare for the next portion, after so many in all.

        Where the averages start from arbitrary values, the n-th portion gets the weight m / (1 - (1 - m)^n), which
        makes them the mean of what was seen, recent portions first: the bias correction of Adam (Kingma & Ba, 2015,
        section 3). Without it a model scored after a dozen steps is judged by its initial statistics.
        """
        for layer, momentum in self.layers:
            layer.momentum = momentum / (1 - (1 - momentum) ** (num_portions + 1)) if self.are_blank else momentum

    def are_settled(self, num_portions: int) -> bool:
        """Say whether all portions after so many get the same weight, to the last bit."""
        least = min((momentum for _, momentum in self.layers), default=1.0)
        return not self.are_blank or 1 - (1 - least) ** (num_portions + 1) == 1


def batch_norms_of(model: nn.Module, *, portions: int, are_blank: bool = True) -> BatchNorms:
    """Collect the batch norms that are in training; a batch's portions together count as much as the whole batch would.

    Args:
        model: With the momenta of its makers.
        portions: Of a batch.
        are_blank: Whether their averages have seen nothing yet; those of published weights have.
    """
    norms = (module for module in model.modules() if isinstance(module, nn.BatchNorm2d) and module.training)
    layers = ((norm, norm.momentum) for norm in norms)
    return BatchNorms(
        tuple((layer, 1 - (1 - momentum) ** (1 / portions)) for layer, momentum in layers if momentum is not None),
        are_blank=are_blank,
    )


def in_halves(norms: BatchNorms) -> BatchNorms:
    """Return what weighs portions so that two of them together count as much as one did."""
    layers = ((layer, 1 - math.sqrt(1 - momentum)) for layer, momentum in norms.layers)
    return BatchNorms(tuple(layers), are_blank=norms.are_blank)


def portions_of(batch_size: int, micro_batch: int) -> int:
    """Return in how many portions a batch goes through the model."""
    return math.ceil(batch_size / micro_batch)
