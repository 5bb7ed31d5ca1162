"""A job in two processes, beside the same job in one."""

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.trainer.short_jobs import CPU, prepare_stripes, tiny_job
from trainer.checkpoints import load_checkpoint
from trainer.config import JobConfig, Value
from trainer.data import DataSet
from trainer.job import carry_out
from trainer.launch import as_record, from_file
from trainer.orders import TrainOrder
from trainer.results import EpochResult, Failed, JobEvent, Reached, Started, Stopped
from trainer.team import ALONE, Team

VIT: dict[str, Value] = {"model": "vit", "model.dim": 64, "model.depth": 1, "training.epochs": 3.0}


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    return prepare_stripes(tmp_path_factory.mktemp("data"))


def train_order(data_set: DataSet, directory: Path, settings: dict[str, Value], until: float = 3.0) -> TrainOrder:
    config = tiny_job(data_set, settings)
    return TrainOrder(config=config, data_root=data_set.root, directory=directory, until=until)


def events_of(order: TrainOrder) -> list[JobEvent]:
    found: list[JobEvent] = []
    carry_out(order, emit=found.append, should_stop=lambda: False)
    return found


def results_of(events: list[JobEvent]) -> list[EpochResult]:
    return [event for event in events if isinstance(event, EpochResult)]


def weights_in(directory: Path, config: JobConfig) -> dict[str, torch.Tensor]:
    content = load_checkpoint(directory, fingerprint=config.fingerprint, device=CPU)
    assert content is not None
    weights: dict[str, torch.Tensor] = content["model"]
    return weights


@given(num=st.integers(0, 50), size=st.integers(1, 8))
def test_shares_are_the_whole_in_order(num: int, size: int) -> None:
    numbers = torch.arange(num)

    parts = [Team(rank, size).share(numbers) for rank in range(size)]

    assert torch.equal(torch.cat(parts), numbers)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_alone_nothing_changes() -> None:
    rows = torch.randn(3, 2)

    assert ALONE.gathered(rows, 3) is rows
    assert ALONE.added(rows) == (rows,)
    assert ALONE.agrees(True, CPU)
    assert not ALONE.agrees(False, CPU)
    assert ALONE.leads


def test_an_order_survives_being_written_down(data_set: DataSet, tmp_path: Path) -> None:
    order = train_order(data_set, tmp_path / "job", {"runtime.processes": 2})
    (tmp_path / "order.json").write_text(json.dumps(as_record(order)))

    assert from_file(tmp_path / "order.json") == order


@pytest.mark.slow
def test_two_processes_train_as_one_does(data_set: DataSet, tmp_path: Path) -> None:
    one = train_order(data_set, tmp_path / "one", VIT)
    two = train_order(data_set, tmp_path / "two", VIT | {"runtime.processes": 2})

    alone, together = events_of(one), events_of(two)

    assert isinstance(together[0], Started)
    assert isinstance(together[-1], Reached)
    for expected, found in zip(results_of(alone), results_of(together), strict=True):
        assert found.train_loss == pytest.approx(expected.train_loss, rel=1e-4)
        assert found.train_accuracy == expected.train_accuracy
        assert found.val_loss == pytest.approx(expected.val_loss, rel=1e-4)
        assert found.val_accuracy == expected.val_accuracy
        assert found.val_images == expected.val_images
    expected_weights = weights_in(one.directory, one.config)
    for name, tensor in weights_in(two.directory, two.config).items():
        torch.testing.assert_close(tensor, expected_weights[name], rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_batch_norms_of_two_processes_are_those_of_portions(data_set: DataSet, tmp_path: Path) -> None:
    portions: dict[str, Value] = {"model": "resnet9", "model.width": 4, "runtime.micro_batch": 8}
    one = train_order(data_set, tmp_path / "one", portions, until=1.0)
    two = train_order(data_set, tmp_path / "two", portions | {"runtime.processes": 2}, until=1.0)

    (alone,), (together,) = results_of(events_of(one)), results_of(events_of(two))

    assert together.train_loss == pytest.approx(alone.train_loss, rel=1e-4)
    assert together.val_loss == pytest.approx(alone.val_loss, rel=0.2)  # statistics are those of the first's images


@pytest.mark.slow
@pytest.mark.thorough
def test_a_team_that_is_stopped_leaves_a_checkpoint_and_goes_on(data_set: DataSet, tmp_path: Path) -> None:
    settings = VIT | {"runtime.processes": 2, "training.epochs": 400.0}
    order = train_order(data_set, tmp_path / "job", settings, until=400.0)
    begun, found = threading.Event(), list[JobEvent]()

    def note(event: JobEvent) -> None:
        found.append(event)
        if isinstance(event, EpochResult):
            begun.set()

    carry_out(order, emit=note, should_stop=begun.is_set)

    stopped = found[-1]
    assert isinstance(stopped, Stopped)
    assert 1 <= stopped.epoch < 400
    until = float(int(stopped.epoch) + 1)
    again = events_of(replace(order, until=until))
    started = next(event for event in again if isinstance(event, Started))
    assert started.epoch == stopped.epoch
    assert isinstance(again[-1], Reached)


@pytest.mark.slow
def test_a_team_that_fails_says_why_once(data_set: DataSet, tmp_path: Path) -> None:
    settings = VIT | {"runtime.processes": 2, "optimizer.lr": 1e36, "schedule": "constant"}
    begin = time.monotonic()

    found = events_of(train_order(data_set, tmp_path / "job", settings))

    assert isinstance(found[-1], Failed)
    assert found[-1].reason == "nan_loss"
    assert sum(isinstance(event, Failed) for event in found) == 1
    assert time.monotonic() - begin < 60
