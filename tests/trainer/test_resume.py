"""A job that stops and goes on in another process ends as one that never stopped, bit for bit."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from tests.trainer.short_jobs import MODELS, NETWORKS, Splits, advance, fresh, reopened, scores, tensors_of, tiny_job
from trainer.config import VARIANTS, JobConfig, Value
from trainer.loop import train
from trainer.results import EpochResult
from trainer.state import TrainState

EVERYTHING: Mapping[str, Value] = {
    "optimizer": "muon",
    "model.depth": 2,
    "training.ema": 0.9,
    "training.label_smoothing": 0.1,
    "training.grad_clip": 1.0,
    "augment.flip": "alternating",
    "augment.crop_padding": 2,
    "augment.cutout": 4,
    "augment.mixup": 0.4,
    "augment.cutmix": 1.0,
    "augment.randaugment_ops": 1,
    "runtime.micro_batch": 12,
}
CLOCKS = ("images_per_second", "epoch_seconds", "eval_seconds", "finished_at")


@dataclass(frozen=True, slots=True)
class Ending:
    """What a job leaves: every tensor of its state, and its results without those of the clock."""

    tensors: dict[str, Tensor]
    results: list[dict[str, float]]


def ending(state: TrainState, results: list[EpochResult]) -> Ending:
    names = [name for name in EpochResult.__dataclass_fields__ if name not in CLOCKS]
    return Ending(tensors_of(state), [{name: getattr(r, name) for name in names} for r in results])


def straight(config: JobConfig, splits: Splits) -> Ending:
    state = fresh(config, splits)
    return ending(state, scores(advance(state, config, splits)))


def interrupted(config: JobConfig, splits: Splits, *, at_step: int) -> Ending:
    """Train to a step, and go on with a state that was made anew from the bytes of the first."""
    state = fresh(config, splits)
    before = []
    goal = config.training.epochs
    for found in train(state, config, train_images=splits.train, val_images=splits.val, until=goal):
        before.append(found)
        if state.step == at_step:
            break
    other = reopened(state, config, splits)
    return ending(other, scores(before) + scores(advance(other, config, splits)))


def assert_same(found: Ending, expected: Ending) -> None:
    assert found.tensors.keys() == expected.tensors.keys()
    different = [name for name, tensor in found.tensors.items() if not tensor.equal(expected.tensors[name])]
    assert different == []
    assert found.results == expected.results


@pytest.fixture(scope="module")
def undisturbed(splits: Splits) -> Ending:
    torch.set_num_threads(1)
    return straight(tiny_job(splits.data_set, EVERYTHING), splits)


@pytest.mark.parametrize("at_step", range(1, 8))
def test_a_job_may_stop_at_any_step(splits: Splits, undisturbed: Ending, at_step: int) -> None:
    config = tiny_job(splits.data_set, EVERYTHING)

    assert_same(interrupted(config, splits, at_step=at_step), undisturbed)


def test_a_job_may_stop_at_every_step(splits: Splits, undisturbed: Ending) -> None:
    config = tiny_job(splits.data_set, EVERYTHING)
    state = fresh(config, splits)
    results: list[EpochResult] = []

    while state.step < 8:
        training = train(state, config, train_images=splits.train, val_images=splits.val, until=2.0)
        results += scores([next(training)])
        state = reopened(state, config, splits)

    assert_same(ending(state, results), undisturbed)


def test_two_epochs_and_two_more_are_four(splits: Splits) -> None:
    config = tiny_job(splits.data_set, {**EVERYTHING, "training.epochs": 4.0})
    state = fresh(config, splits)

    first = scores(advance(state, config, splits, until=2.0))
    other = reopened(state, config, splits)
    found = ending(other, first + scores(advance(other, config, splits)))

    assert_same(found, straight(config, splits))


@pytest.mark.parametrize("optimizer", list(VARIANTS["optimizer"]))
def test_any_optimizer_goes_on_as_if_nothing_had_been(splits: Splits, optimizer: str) -> None:
    config = tiny_job(splits.data_set, {"optimizer": optimizer, "training.epochs": 1.0})

    assert_same(interrupted(config, splits, at_step=3), straight(config, splits))


@pytest.mark.parametrize(
    "model", [pytest.param(name, marks=pytest.mark.slow) if name == "convnext" else name for name in NETWORKS]
)
def test_any_model_goes_on_as_if_nothing_had_been(splits: Splits, model: str) -> None:
    config = tiny_job(splits.data_set, {**MODELS[model], "training.epochs": 0.5, "training.ema": 0.5})

    assert_same(interrupted(config, splits, at_step=1), straight(config, splits))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_any_precision_goes_on_as_if_nothing_had_been(splits: Splits, precision: str) -> None:
    config = tiny_job(splits.data_set, {"runtime.precision": precision, "training.epochs": 1.0})

    assert_same(interrupted(config, splits, at_step=3), straight(config, splits))


@pytest.mark.parametrize(
    ("model", "drops"),
    [
        ("vit", ["drop_path"]),
        ("resnet9", ["dropout"]),
        ("resnet34", ["dropout", "drop_path"]),
        ("resnet50", ["dropout", "drop_path"]),
        ("wide_resnet", ["dropout", "drop_path"]),
        ("cnn", ["dropout"]),
    ],
)
def test_a_network_that_drops_goes_on_as_if_nothing_had_been(splits: Splits, model: str, drops: list[str]) -> None:
    shares: dict[str, Value] = {f"model.{drop}": 0.5 for drop in drops}
    config = tiny_job(splits.data_set, {**MODELS[model], **shares, "training.epochs": 1.0})

    assert_same(interrupted(config, splits, at_step=3), straight(config, splits))
