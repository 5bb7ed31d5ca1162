"""A desk that hands out orders for one job, and what its reports are compared by."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

from tests.trainer.short_jobs import CPU
from trainer.checkpoints import load_checkpoint
from trainer.config import JobConfig, Value
from trainer.data import DataSet
from trainer.job import carry_out
from trainer.jobfiles import PREDICTIONS, WEIGHTS
from trainer.orders import Order, TestOrder, TrainOrder
from trainer.results import EpochResult, Failed, JobEvent, StepResult

RICH: Mapping[str, Value] = {"training.ema": 0.9, "augment.mixup": 0.4, "augment.flip": "alternating"}


@dataclass(slots=True)
class Desk:
    """Hands out orders for one job, and keeps what it reports."""

    data_set: DataSet
    directory: Path
    config: JobConfig
    heard: list[JobEvent] = field(default_factory=list)

    def train(self, until: float = 2.0, *, should_stop: Callable[[], bool] = lambda: False) -> list[JobEvent]:
        """Train to an epoch; return the events without those of single steps."""
        order = TrainOrder(config=self.config, data_root=self.data_set.root, directory=self.directory, until=until)
        return self.carry_out(order, should_stop=should_stop)

    def test(self) -> list[JobEvent]:
        return self.carry_out(TestOrder(config=self.config, data_root=self.data_set.root, directory=self.directory))

    def carry_out(self, order: Order, *, should_stop: Callable[[], bool] = lambda: False) -> list[JobEvent]:
        self.heard = []
        carry_out(order, emit=self.heard.append, should_stop=should_stop)
        return [event for event in self.heard if not isinstance(event, StepResult)]

    def has(self, name: str) -> bool:
        return (self.directory / name).exists()

    def checkpoint(self) -> dict[str, Any]:
        found = load_checkpoint(self.directory, fingerprint=self.config.fingerprint, device=CPU)
        assert found is not None
        return found

    def weights(self) -> dict[str, torch.Tensor]:
        found: dict[str, torch.Tensor] = safetensors.torch.load_file(self.directory / WEIGHTS)
        return found

    def logits(self, name: str = PREDICTIONS) -> "np.ndarray[Any, np.dtype[np.float32]]":
        with np.load(self.directory / name) as file:
            logits: np.ndarray[Any, np.dtype[np.float32]] = file["logits"]
            return logits


def timeless(found: list[JobEvent]) -> list[EpochResult]:
    """Return the results of epochs, without what the clock wrote into them."""
    return [
        replace(event, images_per_second=0.0, epoch_seconds=0.0, eval_seconds=0.0, finished_at=0.0)
        for event in found
        if isinstance(event, EpochResult)
    ]


def assert_ends_as(desk: Desk, expected: Desk) -> None:
    """Check that the results and the weights are the same to the last bit."""
    weights = desk.weights()
    assert timeless(desk.heard) == timeless(expected.heard)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in expected.weights().items())
    assert np.array_equal(desk.logits(), expected.logits())


def stop_after(num_steps: int) -> Callable[[], bool]:
    """A question that is answered with yes after so many steps."""
    answers: Iterator[bool] = iter([False] * (num_steps - 1) + [True])
    return lambda: next(answers)


def failure(found: list[JobEvent]) -> Failed:
    last = found[-1]
    assert isinstance(last, Failed), found
    return last
