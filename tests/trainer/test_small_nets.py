"""What our own nets for small images have in common: they learn, and what they drop, they drop in training alone."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from tests.trainer.short_jobs import MODELS, Splits, advance, fresh, scores, tiny_job
from trainer.config import Value, job_config
from trainer.models import build_model

DROPS: Mapping[str, tuple[str, ...]] = {
    "resnet9": ("dropout",),
    "resnet18": ("dropout", "drop_path"),
    "resnet34": ("dropout", "drop_path"),
    "resnet50": ("dropout", "drop_path"),
    "wide_resnet": ("dropout", "drop_path"),
    "cnn": ("dropout",),
}
each_drop = pytest.mark.parametrize(("name", "drop"), [(name, drop) for name, drops in DROPS.items() for drop in drops])


def build(name: str, settings: Mapping[str, Value]) -> nn.Module:
    config = job_config({**MODELS[name], **settings})
    return build_model(config.model, image_shape=(16, 16, 3), num_classes=4, seed=0)


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@each_drop
def test_in_evaluation_nothing_is_dropped(name: str, drop: str) -> None:
    plain, dropping = build(name, {}).eval(), build(name, {f"model.{drop}": 0.5}).eval()
    images = noise(4, 3, 16, 16)

    assert plain.state_dict().keys() == dropping.state_dict().keys()
    assert torch.equal(plain(images), dropping(images))


@each_drop
def test_in_training_something_else_is_dropped_each_time(name: str, drop: str) -> None:
    model = build(name, {f"model.{drop}": 0.5}).train()
    images = noise(4, 3, 16, 16)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        assert not torch.equal(model(images), model(images))


@pytest.mark.parametrize("name", [*DROPS, "lenet5"])
def test_a_net_learns(splits: Splits, name: str) -> None:
    settings: dict[str, Value] = {"optimizer": "adamw", "optimizer.lr": 0.01, "training.epochs": 5.0}
    config = tiny_job(splits.data_set, {**MODELS[name], **settings})

    results = scores(advance(fresh(config, splits), config, splits))

    assert results[-1].train_loss < results[0].train_loss
    assert results[-1].train_accuracy > 0.4  # of four classes
