"""Advice names settings that the job has."""

import pytest

from search.remedies import (
    CAPACITY,
    NOT_AS_SHOWN,
    OF_CLASSICAL,
    REGULARISERS,
    hardens_training,
    more_capacity,
    named,
    regularisers,
)
from trainer.config import Value, all_settings, flat, job_config
from trainer.settings import MODELS


@pytest.mark.parametrize("model", MODELS)
def test_each_network_has_settings_that_make_it_larger(model: str) -> None:
    config = job_config({"model": model})

    assert more_capacity(config)
    assert set(more_capacity(config)) <= flat(config).keys()


def test_every_setting_that_is_named_exists() -> None:
    by_model = (path for paths in (*CAPACITY.values(), *OF_CLASSICAL.values()) for path in paths)
    named_ones = {*REGULARISERS, *NOT_AS_SHOWN, *by_model}

    assert named_ones <= set(all_settings())
    assert CAPACITY.keys() == MODELS.keys()


def test_of_a_network_with_learnt_weights_more_may_be_trained() -> None:
    config = job_config({"model": "timm", "model.name": "resnet18", "model.pretrained": True})

    assert more_capacity(config)[:2] == ("transfer.train", "transfer.blocks")


def test_regularisers_are_told_apart_by_whether_they_are_on() -> None:
    config = job_config({"augment.mixup": 0.2, "augment.flip": "random", "optimizer.weight_decay": 0.0})

    on, off = regularisers(config, on=True), regularisers(config, on=False)

    assert on == ("augment.mixup", "augment.flip")
    assert {"augment.cutmix", "training.label_smoothing", "optimizer.weight_decay"} <= set(off)
    assert "model.dropout" not in off, "the fast net has none"
    assert not set(on) & set(off)


@pytest.mark.parametrize("model", ["logistic_regression", "svm", "random_forest"])
def test_a_model_without_epochs_is_held_back_by_settings_of_its_own(model: str) -> None:
    config = job_config({"model": model, "augment.mixup": 0.2})

    assert regularisers(config, on=True) == ()
    assert set(regularisers(config, on=False)) <= flat(config).keys()
    assert not hardens_training(config)


@pytest.mark.parametrize(
    ("settings", "hardens"),
    [
        ({}, False),
        ({"augment.flip": "random", "optimizer.weight_decay": 0.1}, False),
        ({"augment.mixup": 0.2}, True),
        ({"augment.crop_padding": 2}, True),
        ({"training.label_smoothing": 0.1}, False),
        ({"training.ema": 0.99}, True),
        ({"scoring.tta": "flip"}, True),
        ({"training.balance": 0.5}, True),
        ({"loss.class_weights": "balanced"}, True),
        ({"model": "timm", "model.dropout": 0.2}, True),
    ],
)
def test_what_lowers_the_training_accuracy_is_known(settings: dict[str, Value], hardens: bool) -> None:
    assert hardens_training(job_config(settings)) is hardens


@pytest.mark.parametrize(
    ("paths", "written"),
    [(["a"], "`a`"), (["a", "b"], "`a` or `b`"), (["a", "b", "c", "d"], "`a`, `b` or `c`")],
)
def test_settings_are_named_as_in_a_sentence(paths: list[str], written: str) -> None:
    assert named(paths) == written
