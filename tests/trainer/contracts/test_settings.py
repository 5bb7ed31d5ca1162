"""What each augmentation and each other setting of training keeps: it trains, learns, goes on exactly."""

from collections.abc import Mapping
from dataclasses import fields

import pytest
import torch

from tests.trainer.short_jobs import (
    Splits,
    advance,
    assert_goes_on_exactly,
    fresh,
    scores,
    tiny_job,
)
from trainer.config import JobConfig, Value
from trainer.samples import augmented
from trainer.seeds import generator
from trainer.settings import Augment, Training

AUGMENT: Mapping[str, tuple[Value, ...]] = {  # with what it is a detail of, where it is one
    "crop_padding": (2,),
    "flip": ("random", "alternating"),
    "cutout": (6,),
    "color_jitter": (0.4,),
    "rotation": (15.0,),
    "mixup": (0.4,),
    "cutmix": (1.0,),
    "randaugment_ops": (2,),
    "randaugment_magnitude": (9.0,),
    "vertical_flip": (True,),
    "quarter_turns": (True,),
    "crop_scale": (0.5,),
    "shear": (15.0,),
    "translate": (0.2,),
    "scale": (0.3,),
    "elastic": (20.0,),
    "elastic_sigma": (2.0,),
    "grey": (0.5,),
    "blur": (0.5,),
    "policy": ("trivialaugment", "autoaugment_cifar10", "autoaugment_svhn", "autoaugment_imagenet"),
    "augmix": (3.0,),
    "erasing": (0.5,),
}
DETAILS: Mapping[str, Mapping[str, Value]] = {
    "augment.randaugment_magnitude": {"augment.randaugment_ops": 2},
    "augment.elastic_sigma": {"augment.elastic": 20.0},
    "training.full_size_at": {"training.start_size": 0.5},
    "training.watch": {"training.keep": "best"},
}
TRAINING: Mapping[str, tuple[Value, ...]] = {
    "epochs": (1.5,),
    "batch_size": (7, 1000),
    "ghost_batch": (8,),
    "label_smoothing": (0.2,),
    "balance": (1.0,),
    "grad_clip": (0.5,),
    "adaptive_clip": (0.01,),
    "ema": (0.5,),
    "swa": (0.5,),
    "preview": ("weights",),
    "start_size": (0.5,),
    "full_size_at": (1.0,),
    "watch": ("loss", "balanced_accuracy", "f1_macro"),
    "patience": (1,),
    "keep": ("best",),
}
CASES = [
    *((f"augment.{name}", value) for name, values in AUGMENT.items() for value in values),
    *((f"training.{name}", value) for name, values in TRAINING.items() for value in values),
]
EVERY = pytest.mark.parametrize(("path", "value"), CASES)


def job(splits: Splits, path: str, value: Value, **more: Value) -> JobConfig:
    named = {key.replace("__", "."): other for key, other in more.items()}
    return tiny_job(splits.data_set, {**named, **DETAILS.get(path, {}), path: value})


def test_every_setting_is_held_to_this() -> None:
    assert list(AUGMENT) == [item.name for item in fields(Augment)]
    elsewhere = ["images"]  # such a job scores nothing: tests/trainer/test_all_images.py
    assert [*TRAINING, *elsewhere] == [item.name for item in fields(Training)]


@EVERY
def test_it_goes_on_from_a_checkpoint_to_the_last_bit(splits: Splits, path: str, value: Value) -> None:
    assert_goes_on_exactly(job(splits, path, value), splits)


@EVERY
def test_it_learns(splits: Splits, path: str, value: Value) -> None:
    settings: dict[str, Value] = {"training__epochs": 8.0, "optimizer": "adamw", "optimizer__lr": 0.01}
    config = job(splits, path, value, **settings)

    results = scores(advance(fresh(config, splits), config, splits))

    assert results[-1].train_loss < results[0].train_loss


@pytest.mark.parametrize(("path", "value"), [case for case in CASES if case[0].startswith("augment.")])
def test_an_augmentation_changes_images_and_keeps_their_form(splits: Splits, path: str, value: Value) -> None:
    rng, numbers = generator(torch.device("cpu"), 0, "test"), torch.arange(len(splits.train))
    plain, _ = splits.train.take(numbers)

    found = augmented(plain, job(splits, path, value).augment, rng=rng, epoch=0, indices=numbers)

    assert found.shape == plain.shape
    assert found.dtype == plain.dtype
    assert found.min() >= 0
    assert found.max() <= 1
    assert not torch.equal(found, plain)
