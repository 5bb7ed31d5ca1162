"""Averages of a model's weights over its training, which are scored in its place."""

from copy import deepcopy
from typing import Protocol

import torch
from torch import nn

from trainer.libraries import import_timm
from trainer.settings import Training


class Average(Protocol):
    """Weights that follow those of a model in training; timm's `ModelEmaV3` is one."""

    module: nn.Module

    def update(self, model: nn.Module, *, step: int) -> None:
        """Take the weights after a step in; steps count from 0."""
        ...


class TailAverage:
    """The equal mean of the weights after each step from one on; before it, the weights themselves.

    Running statistics of batch norms are averaged like weights, which stands for the extra pass over the images that
    the source makes.

    Source: Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization",
    arXiv:1803.05407, Algorithm 1, with a cycle of one step.
    """

    def __init__(self, model: nn.Module, *, first: int) -> None:
        self.module = deepcopy(model).eval()
        self._first = first
        for parameter in self.module.parameters():
            parameter.requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module, *, step: int) -> None:
        """Take the weights after a step in; steps count from 0."""
        share = 1 / max(1, step - self._first + 1)
        for kept, new in zip(self.module.state_dict().values(), model.state_dict().values(), strict=True):
            if kept.is_floating_point():
                kept.lerp_(new, share)
            else:
                kept.copy_(new)


def build_average(settings: Training, model: nn.Module, *, num_steps: int) -> Average | None:
    """Return what averages the weights of a job, if anything does.

    Args:
        settings: Of the job.
        model: Before its first step.
        num_steps: Of the whole job.
    """
    if settings.swa:
        return TailAverage(model, first=round(settings.swa * num_steps))
    if settings.ema:
        average: Average = import_timm().utils.ModelEmaV3(model, decay=settings.ema, use_warmup=True)
        return average
    return None
