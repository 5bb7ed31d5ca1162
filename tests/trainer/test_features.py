"""Training the head of a frozen network on features that all jobs share."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainer.job_desk import Desk, assert_ends_as, failure, stop_after
from tests.trainer.short_jobs import limited_file_size, open_splits, prepare_stripes, tiny_job
from trainer.batches import Images
from trainer.config import JobConfig, Value, job_config
from trainer.data import DataSet
from trainer.features import FOLDER, has_fixed_features, on_features
from trainer.models import build_model
from trainer.results import EpochResult, Reached, Stopped, Tested
from trainer.settings import Timm, TorchVision
from trainer.transfer import freeze, shares_of


@pytest.fixture
def data_set(tmp_path: Path) -> DataSet:
    return prepare_stripes(tmp_path)


def head_job(data_set: DataSet, weights: str, **settings: Value) -> JobConfig:
    """Train the head alone, for two epochs; `__` stands for the dot in a setting's path."""
    base: dict[str, Value] = {
        "model": "timm",
        "model.name": "test_resnet",
        "model.weights": weights,
        "transfer.train": "head",
        "optimizer.lr": 0.01,
    }
    return tiny_job(data_set, base | {name.replace("__", "."): value for name, value in settings.items()})


def feature_files(data_set: DataSet) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (data_set.root / FOLDER).rglob("*.npy")}


def enlarged(images: Images) -> Images:
    return replace(images, pixels=images.pixels.repeat_interleave(4, 1).repeat_interleave(4, 2))


def results(desk: Desk) -> list[EpochResult]:
    return [event for event in desk.heard if isinstance(event, EpochResult)]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, True),
        ({"transfer__train": "auto"}, True),  # of 64 images
        ({"augment__randaugment_magnitude": 9.0}, True),  # of no operations
        ({"transfer__cache_features": False}, False),
        ({"transfer__train": "blocks"}, False),
        ({"augment__flip": "random"}, True),
        ({"scoring__tta": "flip"}, True),
        ({"scoring__tta": "flip_shift"}, False),
        ({"augment__crop_padding": 1}, False),
        ({"augment__mixup": 0.1}, False),
        ({"augment__elastic_sigma": 2.0}, True),  # of no deformation
        ({"augment__elastic": 2.0}, False),
        ({"augment__vertical_flip": True}, False),
        ({"augment__crop_scale": 0.9}, False),
        ({"augment__policy": "trivialaugment"}, False),
        ({"model__dropout": 0.1}, False),
        ({"model__drop_path": 0.1}, False),
        ({"model__weights": ""}, False),
    ],
)
def test_features_are_fixed_where_nothing_before_the_head_changes(
    data_set: DataSet, weights: str, settings: dict[str, Value], expected: bool
) -> None:
    config = head_job(data_set, weights, **settings)

    assert has_fixed_features(config, num_train=64) is expected


def test_an_own_network_has_none(data_set: DataSet) -> None:
    assert not has_fixed_features(job_config({"transfer.train": "head"}), num_train=64)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"augment__flip": "random"},
        {"augment__flip": "alternating", "training__ema": 0.9},
        {"scoring__tta": "flip"},
        {"augment__flip": "random", "scoring__tta": "flip", "training__label_smoothing": 0.1},
    ],
    ids=str,
)
def test_a_job_on_features_ends_as_the_same_job_on_images(
    data_set: DataSet, weights: str, tmp_path: Path, settings: dict[str, Value]
) -> None:
    uncached = head_job(data_set, weights, transfer__cache_features=False, **settings)
    on_images = Desk(data_set, tmp_path / "images", uncached)
    cached = Desk(data_set, tmp_path / "features", head_job(data_set, weights, **settings))

    on_images.train()
    assert not (data_set.root / FOLDER).exists()
    cached.train()

    assert len(feature_files(data_set)) == 2
    for here, there in zip(results(cached), results(on_images), strict=True):
        assert here.train_loss == pytest.approx(there.train_loss, abs=1e-4)
        assert here.val_loss == pytest.approx(there.val_loss, abs=1e-4)
    assert np.allclose(cached.logits(), on_images.logits(), atol=1e-3)
    weights_there = on_images.weights()
    assert all(torch.allclose(tensor, weights_there[name], atol=1e-4) for name, tensor in cached.weights().items())


def test_a_job_on_the_features_of_both_splits_ends_as_the_same_job_on_their_images(
    data_set: DataSet, weights: str, tmp_path: Path
) -> None:
    config = head_job(data_set, weights, training__images="train+val")
    cached = Desk(data_set, tmp_path / "features", config)
    on_images = Desk(
        data_set, tmp_path / "images", replace(config, transfer=replace(config.transfer, cache_features=False))
    )

    on_images.train()
    cached.train()

    assert len(feature_files(data_set)) == 2
    weights_there = on_images.weights()
    assert all(torch.allclose(tensor, weights_there[name], atol=1e-4) for name, tensor in cached.weights().items())


def test_the_whole_network_is_scored_on_the_test_images(data_set: DataSet, weights: str, tmp_path: Path) -> None:
    desk = Desk(data_set, tmp_path / "job", head_job(data_set, weights))
    desk.train()

    (tested,) = desk.test()

    assert isinstance(tested, Tested)
    assert len(feature_files(data_set)) == 2  # of train and val; nothing is kept of the test images


def test_jobs_share_their_features(data_set: DataSet, weights: str, tmp_path: Path) -> None:
    Desk(data_set, tmp_path / "first", head_job(data_set, weights)).train()
    before = feature_files(data_set)

    second = Desk(data_set, tmp_path / "second", head_job(data_set, weights, optimizer__lr=0.5, seed=3))
    *_, last = second.train()

    assert isinstance(last, Reached)
    assert feature_files(data_set) == before


def test_other_weights_have_other_features(data_set: DataSet, weights: str, tmp_path: Path) -> None:
    other = build_model(Timm(name="test_resnet"), image_shape=(32, 32, 3), num_classes=1000, seed=6)
    torch.save(other.state_dict(), tmp_path / "b.pth")
    for number, file in enumerate((weights, f"file:{tmp_path / 'b.pth'}")):
        Desk(data_set, tmp_path / str(number), head_job(data_set, file)).train()

    assert len(feature_files(data_set)) == 4


def test_a_job_on_features_goes_on_from_its_checkpoint_bit_for_bit(
    data_set: DataSet, weights: str, tmp_path: Path
) -> None:
    config = head_job(data_set, weights, training__ema=0.9)
    whole, halved = (Desk(data_set, tmp_path / name, config) for name in ("whole", "halved"))
    whole.train()

    *_, last = halved.train(should_stop=stop_after(3))
    assert isinstance(last, Stopped)
    halved.train()

    assert_ends_as(halved, whole)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY damaged"])
def test_damaged_features_are_made_again(data_set: DataSet, weights: str, tmp_path: Path, content: bytes) -> None:
    config = head_job(data_set, weights)
    first, second = (Desk(data_set, tmp_path / name, config) for name in ("first", "second"))
    first.train()
    for path in feature_files(data_set):
        path.write_bytes(content)

    second.train()

    assert_ends_as(second, first)


def test_a_full_disk_is_told_and_leaves_nothing(data_set: DataSet, weights: str, tmp_path: Path) -> None:
    desk = Desk(data_set, tmp_path / "job", head_job(data_set, weights))

    with limited_file_size(10_000):
        told = failure(desk.train())

    assert told.reason == "bad_data"
    assert "disk" in told.message
    assert not feature_files(data_set)


def test_a_network_that_pools_after_its_last_layer_is_shown_the_images(data_set: DataSet, weights: str) -> None:
    splits = open_splits(data_set)
    config = head_job(data_set, weights)
    squeezenet = build_model(TorchVision(name="squeezenet1_1"), image_shape=(32, 32, 3), num_classes=4, seed=0)
    freeze(squeezenet, shares_of(squeezenet, config.transfer, num_train=64))

    assert on_features(squeezenet, config, data_set, (enlarged(splits.train), enlarged(splits.val))) is None
    assert squeezenet.training


@pytest.mark.parametrize("name", ["test_vit", "test_efficientnet"])
def test_progress_counts_the_images_of_both_splits(data_set: DataSet, weights: str, name: str) -> None:
    splits = open_splits(data_set)
    model = build_model(Timm(name=name), image_shape=(32, 32, 3), num_classes=4, seed=0)
    told: list[tuple[int, int]] = []

    found = on_features(
        model,
        head_job(data_set, weights),
        data_set,
        (splits.train, splits.val),
        on_progress=lambda done, total: told.append((done, total)),
    )

    assert found is not None
    assert told == [(64, 80), (80, 80)]
    with torch.inference_mode():
        expected = model.eval()(next(splits.val.portions(16))[0])
        again = found[1].logits(model, found[1].values)
    assert torch.allclose(expected, again, atol=1e-4)
