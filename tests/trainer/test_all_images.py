"""A job that trains on training and validation images together, and has none to score."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.trainer.job_desk import Desk, stop_after
from tests.trainer.short_jobs import CPU, open_splits, prepare_stripes, tiny_job
from trainer.batches import Images, StreamedBoth, joined
from trainer.config import Value, job_config
from trainer.data import DataSet
from trainer.errors import ConfigError
from trainer.jobfiles import PREDICTIONS, WEIGHTS
from trainer.results import Reached, Started, Stopped

ON_ALL: Mapping[str, Value] = {"training.images": "train+val"}


@pytest.fixture
def data_set(tmp_path: Path) -> DataSet:
    return prepare_stripes(tmp_path)


def both_splits(data_set: DataSet) -> tuple[Images, Images]:
    splits = open_splits(data_set)
    return splits.train, splits.val


def on_all(data_set: DataSet, directory: Path, settings: Mapping[str, Value] | None = None) -> Desk:
    return Desk(data_set, directory, tiny_job(data_set, {**ON_ALL, **(settings or {})}))


def test_two_splits_become_one_in_order(data_set: DataSet) -> None:
    train, val = both_splits(data_set)

    both = joined(train, val)

    images, labels = both.take(torch.tensor([len(train) + 1, 0, len(train) - 1, len(train)]))
    assert len(both) == data_set.num_train + data_set.num_val
    assert torch.equal(labels, torch.stack([val.labels[1], train.labels[0], train.labels[-1], val.labels[0]]))
    assert torch.equal(images[[0, 3]], val.take(torch.tensor([1, 0]))[0])
    assert torch.equal(images[[1, 2]], train.take(torch.tensor([0, len(train) - 1]))[0])


def test_two_splits_larger_than_memory_give_the_same_images(data_set: DataSet) -> None:
    train, val = both_splits(data_set)
    plain = joined(train, val)
    streamed = StreamedBoth(train.pixels, plain.labels, train.mean, train.std, more=val.pixels)
    numbers = torch.randperm(len(plain))[:16]
    streamed.announce(numbers)

    found, wanted = streamed.take(numbers), plain.take(numbers)

    assert torch.equal(found[0], wanted[0])
    assert torch.equal(found[1], wanted[1])


def test_such_a_job_takes_its_steps_on_both_splits_and_scores_nothing(data_set: DataSet, tmp_path: Path) -> None:
    desk = on_all(data_set, tmp_path / "job")

    started, reached = desk.train(2.0)

    size = desk.config.training.batch_size
    assert isinstance(started, Started)
    assert isinstance(reached, Reached)
    assert desk.checkpoint()["step"] == 2 * ((data_set.num_train + data_set.num_val) // size)
    assert reached.seen_accuracy is not None
    assert 0 <= reached.seen_accuracy <= 1
    assert not desk.has(PREDICTIONS)
    assert desk.has(WEIGHTS)


def test_what_it_learns_hangs_on_the_validation_images(
    data_set: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, other = on_all(data_set, tmp_path / "all"), on_all(data_set, tmp_path / "other")
    desk.train(1.0)

    def with_other_images(train: Images, val: Images) -> Images:
        return joined(train, replace(val, pixels=255 - val.pixels))

    monkeypatch.setattr("trainer.job.joined", with_other_images)
    other.train(1.0)

    assert any(not torch.equal(tensor, other.weights()[name]) for name, tensor in desk.weights().items())


def test_it_goes_on_from_where_it_was_stopped_as_if_it_had_not_been(data_set: DataSet, tmp_path: Path) -> None:
    whole, parts = on_all(data_set, tmp_path / "whole"), on_all(data_set, tmp_path / "parts")
    whole.train(2.0)

    stopped = parts.train(2.0, should_stop=stop_after(3))[-1]
    reached = parts.train(2.0)[-1]

    assert isinstance(stopped, Stopped)
    assert isinstance(reached, Reached)
    assert all(torch.equal(tensor, parts.weights()[name]) for name, tensor in whole.weights().items())


@pytest.mark.parametrize("model", ["logistic_regression", "random_forest"])
def test_models_without_epochs_are_fitted_on_both(data_set: DataSet, tmp_path: Path, model: str) -> None:
    desk = on_all(data_set, tmp_path / "job", {"model": model})

    reached = desk.train(2.0)[-1]

    assert isinstance(reached, Reached), reached
    assert reached.seen_accuracy is not None
    assert reached.seen_accuracy > 0.5


@pytest.mark.parametrize(
    "settings", [{"training.patience": 2}, {"training.keep": "best"}, {"schedule": "plateau"}], ids=str
)
def test_what_goes_by_scores_is_refused(settings: Mapping[str, Value]) -> None:
    with pytest.raises(ConfigError, match="leaves no images to score"):
        job_config({**ON_ALL, **settings})


def test_the_joined_images_are_on_the_device_of_the_job(data_set: DataSet) -> None:
    assert joined(*both_splits(data_set)).device == CPU
