"""Averages of a model's weights over its training, which are scored in its place."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Protocol

import torch
from torch import nn

from trainer.libraries import import_timm
from trainer.settings import Training

POWER = 8  # of a step's number, nearly, is its weight in a preview


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


class Preview:
    """A mean of the weights in which the latest count most, up to the last step: then it is the weights themselves.

    In the middle of a schedule the weights jump about the place that a falling rate would let them settle in, the more
    the higher the rate. Their mean lies near it, so configurations of different rates can be compared before their
    schedules end. The n-th step weighs n (n + 1) ... (n + 7): half of all weight lies on the last 7 % of the steps.

    Source: polynomial-decay averaging, Shamir and Zhang 2013, "Stochastic Gradient Descent for Non-smooth
    Optimization", arXiv:1212.1824, section 4; that a mean stands for a lower rate: Sandler et al. 2023,
    arXiv:2301.02312.
    """

    def __init__(self, model: nn.Module, *, num_steps: int) -> None:
        self.module = deepcopy(model).eval()
        self._last = num_steps - 1
        kept, new = (dict(_changing(net)) for net in (self.module, model))
        self._kept = list(kept.values())
        self._new = [new[name] for name in kept]
        for parameter in self.module.parameters():
            parameter.requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module, *, step: int) -> None:
        """Take the weights after a step in; steps count from 0."""
        if step == self._last:
            self.module.load_state_dict(model.state_dict())
        else:
            torch._foreach_lerp_(self._kept, self._new, (POWER + 1) / (POWER + 1 + step))


def _changing(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield what training changes: parameters that are not frozen, and running statistics."""
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            yield name, parameter.detach()
    for name, buffer in model.named_buffers():
        if buffer.is_floating_point():
            yield name, buffer


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
    if settings.preview == "mean":
        return Preview(model, num_steps=num_steps)
    return None
