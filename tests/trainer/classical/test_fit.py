"""The job of a model without epochs, from its fit to the graph that is promoted."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from tests.trainer.job_desk import Desk, assert_ends_as, failure, stop_after, timeless
from tests.trainer.short_jobs import (
    MODELS,
    NETWORKS,
    Splits,
    advance,
    fresh,
    open_splits,
    scores,
    striped_images,
    tiny_job,
)
from trainer import results as events  # whose Tested would be taken for a test case
from trainer.batches import Images
from trainer.classical.model import ClassicalModel
from trainer.classical.parts import KernelScores
from trainer.config import Value
from trainer.data import DataSet, open_split, prepare
from trainer.errors import ConfigError
from trainer.export import INPUT, export_onnx, load_servable
from trainer.jobfiles import CHECKPOINT, PREDICTIONS, WEIGHTS
from trainer.loop import predict_split
from trainer.measure import measure
from trainer.models import build_model
from trainer.orders import MeasureOrder
from trainer.results import EpochResult, Reached, Started, StepResult, Stopped
from trainer.settings import Scoring, Svm

NAMES = [name for name in MODELS if name not in NETWORKS]
each_model = pytest.mark.parametrize("name", NAMES)


def desk_of(data_set: DataSet, place: Path, name: str, **more: Value) -> Desk:
    changes = {path.replace("__", "."): value for path, value in more.items()}
    return Desk(data_set, place / "job", tiny_job(data_set, {**MODELS[name], **changes}))


def model_of(desk: Desk) -> ClassicalModel:
    """The model of a job's weights."""
    model = load_servable(desk.config, desk.data_set, desk.directory / WEIGHTS).model
    assert isinstance(model, ClassicalModel)
    return model


@each_model
def test_a_job_is_fitted_once_and_reports_at_the_epoch_that_it_was_sent_to(
    stripes: DataSet, tmp_path: Path, name: str
) -> None:
    desk = desk_of(stripes, tmp_path, name)

    found = desk.train(2.0)

    assert [type(event) for event in found] == [Started, EpochResult, Reached]
    result, end = found[1:]
    assert isinstance(result, EpochResult)
    assert isinstance(end, Reached)
    assert (result.epoch, end.epoch, result.step) == (2.0, 2.0, 8)
    assert result.val_accuracy > 0.6  # of four classes
    assert result.train_accuracy >= result.val_accuracy - 0.1
    assert result.is_sound()
    assert end.num_parameters > 1000
    assert sorted(path.name for path in desk.directory.iterdir()) == [CHECKPOINT, PREDICTIONS, WEIGHTS]


@each_model
def test_a_result_tells_how_many_images_were_fitted_on(stripes: DataSet, tmp_path: Path, name: str) -> None:
    result = desk_of(stripes, tmp_path, name).train(1.0)[1]

    assert isinstance(result, EpochResult)
    assert result.metrics()["train/images"] == 64
    assert result.metrics()["lr"] == 0


@each_model
def test_at_a_later_rung_nothing_is_fitted_again(stripes: DataSet, tmp_path: Path, name: str) -> None:
    desk = desk_of(stripes, tmp_path, name)
    desk.train(1.0)
    weights = desk.weights()

    found = desk.train(2.0)

    assert not [event for event in desk.heard if isinstance(event, StepResult)]
    first, second = timeless(found)
    assert second == replace(first, epoch=2.0, step=8)
    assert [event.epoch_seconds for event in found if isinstance(event, EpochResult)][1] == 0
    assert all(torch.equal(tensor, weights[path]) for path, tensor in desk.weights().items())


@each_model
def test_the_first_part_of_an_epoch_is_a_rung_like_others(stripes: DataSet, tmp_path: Path, name: str) -> None:
    desk = desk_of(stripes, tmp_path, name)

    found = timeless([*desk.train(0.25), *desk.train(1.0)])

    assert [(result.epoch, result.step) for result in found] == [(0.25, 1), (0.25, 1), (1.0, 4)]


@each_model
def test_a_fit_that_was_stopped_between_stages_begins_anew(stripes: DataSet, tmp_path: Path, name: str) -> None:
    undisturbed = desk_of(stripes, tmp_path / "other", name)
    undisturbed.train()
    desk = desk_of(stripes, tmp_path, name)

    stopped = desk.train(should_stop=stop_after(2))

    assert isinstance(stopped[-1], Stopped)
    assert stopped[-1].epoch == 0
    assert not list(desk.directory.iterdir())
    desk.train()
    assert_ends_as(desk, undisturbed)


@each_model
def test_a_job_that_is_there_already_says_so_again(stripes: DataSet, tmp_path: Path, name: str) -> None:
    desk = desk_of(stripes, tmp_path, name)
    first = desk.train()
    logits = desk.logits()
    (desk.directory / PREDICTIONS).unlink()

    found = desk.train()

    assert [type(event) for event in found] == [Started, EpochResult, Reached]
    assert found[1] == first[1]
    assert np.array_equal(desk.logits(), logits)


@each_model
def test_a_fitted_job_is_scored_on_the_test_split(stripes: DataSet, tmp_path: Path, name: str) -> None:
    desk = desk_of(stripes, tmp_path, name)
    desk.train()

    (tested,) = desk.test()

    assert isinstance(tested, events.Tested)
    assert tested.evaluation.accuracy > 0.6


@pytest.mark.parametrize(
    "name", [n if n == "random_forest" else pytest.param(n, marks=pytest.mark.slow) for n in NAMES]
)
def test_an_exported_model_gives_the_same_probabilities(stripes: DataSet, tmp_path: Path, name: str) -> None:
    desk = desk_of(stripes, tmp_path, name)
    desk.train()
    servable = load_servable(desk.config, stripes, desk.directory / WEIGHTS)

    export_onnx(servable, stripes, tmp_path / "model.onnx")

    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    images = np.array(open_split(stripes, "val").images)
    for some in (images, images[:1], np.zeros_like(images), np.full_like(images, 255)):
        with torch.inference_mode():
            expected = servable(torch.from_numpy(some)).numpy()
        np.testing.assert_allclose(session.run(None, {INPUT: some})[0], expected, atol=1e-5)


@each_model
def test_low_precision_is_left_to_networks(splits: Splits, name: str) -> None:
    config = tiny_job(splits.data_set, MODELS[name])
    state = fresh(config, splits)
    advance(state, config, splits)
    low = replace(config, runtime=replace(config.runtime, precision="bfloat16"))

    assert torch.equal(predict_split(state, low, splits.val), predict_split(state, config, splits.val))


@each_model
def test_what_belongs_to_training_in_steps_does_not_count(stripes: DataSet, tmp_path: Path, name: str) -> None:
    plain = desk_of(stripes, tmp_path / "plain", name)
    changes: Mapping[str, Value] = {
        "augment__flip": "random",
        "augment__mixup": 0.4,
        "training__ema": 0.9,
        "training__balance": 1.0,
        "training__label_smoothing": 0.2,
        "optimizer": "lion",
    }
    desk = desk_of(stripes, tmp_path, name, **changes)

    plain.train()
    desk.train()

    assert_ends_as(desk, plain)


@each_model
def test_class_weights_count(splits: Splits, name: str) -> None:
    is_kept = (splits.train.labels != 0) | (torch.arange(len(splits.train)) < 24)
    few = Images(splits.train.pixels[is_kept], splits.train.labels[is_kept], splits.train.mean, splits.train.std)
    uneven = Splits(splits.data_set, few, splits.val)

    found = []
    for weights in ("none", "balanced"):
        config = tiny_job(splits.data_set, {**MODELS[name], "loss.class_weights": weights})
        state = fresh(config, uneven)
        advance(state, config, uneven)
        found.append(predict_split(state, config, splits.val)[:, 0].mean())

    assert found[1] > found[0], "the rare class is named more often"


def test_a_kernel_is_fitted_on_no_more_images_than_it_may_be(splits: Splits) -> None:
    twice = Images(
        splits.train.pixels.repeat(4, 1, 1, 1), splits.train.labels.repeat(4), splits.val.mean, splits.val.std
    )
    many = Splits(splits.data_set, twice, splits.val)
    config = tiny_job(splits.data_set, {**MODELS["svm"], "model.max_images": 100})
    state = fresh(config, many)

    (result,) = scores(advance(state, config, many, until=1.0))

    assert result.train_images == 100
    assert isinstance(state.model, ClassicalModel)
    assert isinstance(state.model.head, KernelScores)
    assert len(state.model.head.vectors) <= 100


def test_what_grows_no_faster_than_its_images_is_fitted_on_all_of_them(splits: Splits) -> None:
    twice = Images(
        splits.train.pixels.repeat(4, 1, 1, 1), splits.train.labels.repeat(4), splits.val.mean, splits.val.std
    )
    many = Splits(splits.data_set, twice, splits.val)
    config = tiny_job(splits.data_set, {**MODELS["svm"], "model.kernel": "linear", "model.max_images": 100})

    (result,) = scores(advance(fresh(config, many), config, many, until=1.0))

    assert result.train_images == 256


@each_model
def test_small_portions_describe_images_as_large_ones_do(splits: Splits, name: str) -> None:
    config = tiny_job(splits.data_set, MODELS[name])
    small = replace(config, runtime=replace(config.runtime, micro_batch=5))
    whole, parts = fresh(config, splits), fresh(small, splits)
    advance(whole, config, splits)

    found = advance(parts, small, splits)

    assert len([item for item in found if isinstance(item, StepResult)]) >= 64 // 5
    torch.testing.assert_close(predict_split(parts, config, splits.val), predict_split(whole, config, splits.val))


def test_views_are_averaged_over_as_those_of_networks_are(stripes: DataSet, tmp_path: Path) -> None:
    desk = desk_of(stripes, tmp_path, "svm", scoring__tta="flip")

    desk.train()

    splits, model = open_splits(stripes), model_of(replace(desk, config=replace(desk.config, scoring=Scoring())))
    (images, _) = next(splits.val.portions(16))
    with torch.inference_mode():
        expected = (model(images) + model(images.flip(-1))) / 2
    np.testing.assert_allclose(desk.logits(), expected, atol=1e-4)


def test_pixels_that_never_change_do_no_harm(tmp_path: Path) -> None:
    images, labels = striped_images(96)
    images[:, :2] = 7
    np.savez(tmp_path / "framed.npz", images=images, labels=labels)
    framed = prepare(f"npz:{tmp_path / 'framed.npz'}", cache=tmp_path, data_dir=tmp_path)
    desk = desk_of(framed, tmp_path, "logistic_regression", model__features="pixels")

    desk.train()

    assert all(tensor.isfinite().all() for tensor in desk.weights().values())


def test_nothing_of_a_model_without_epochs_is_timed(stripes: DataSet) -> None:
    configs = tuple(tiny_job(stripes, MODELS[name]) for name in NAMES)
    order = MeasureOrder(configs=configs, data_root=stripes.root, device="cpu", num_cores=2, threads=None)

    found = measure(order)

    assert found.micro_batches == dict.fromkeys(NAMES, 500)
    assert found.images_per_second == {}
    assert (found.threads, found.workers) == (1, 2)


def test_networks_beside_models_without_epochs_are_timed(stripes: DataSet) -> None:
    configs = tuple(tiny_job(stripes, MODELS[name]) for name in ("svm", "fastnet"))
    order = MeasureOrder(configs=configs, data_root=stripes.root, device="cpu", num_cores=2, threads=1)

    found = measure(order)

    assert found.micro_batches.keys() == {"svm", "fastnet"}
    assert found.images_per_second.keys() == {"fastnet"}


def test_a_model_that_cannot_take_the_images_is_told_before_the_first_trial(stripes: DataSet) -> None:
    config = tiny_job(stripes, {"model": "svm", "model.hog_cell": 32})
    order = MeasureOrder(configs=(config,), data_root=stripes.root, device="cpu", num_cores=2, threads=1)

    with pytest.raises(ConfigError, match=r"`model\.hog_cell` is 32, these images have 16 pixels"):
        measure(order)


def test_a_cell_larger_than_the_images_is_refused_with_the_way_out(stripes: DataSet, tmp_path: Path) -> None:
    failed = failure(desk_of(stripes, tmp_path, "svm", model__hog_cell=17).train())

    assert failed.reason == "bad_config"
    assert failed.message == (
        "`model.hog_cell` is 17, these images have 16 pixels. Take a smaller cell, or `model.features: pixels`."
    )


def test_pixels_have_no_cells() -> None:
    build_model(Svm(features="pixels", hog_cell=200), image_shape=(8, 8, 1), num_classes=2, seed=0)
