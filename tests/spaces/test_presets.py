"""The spaces that come with autoclf: whatever they draw is a job that the trainer accepts."""

import random
from collections.abc import Callable

import pytest

from spaces import SearchSpace, Value, load_space, preset_names
from trainer.config import all_settings, flat, job_config

Draw = Callable[..., dict[str, Value]]


@pytest.fixture(scope="module", params=preset_names())
def preset(request: pytest.FixtureRequest) -> SearchSpace:
    return load_space(request.param)


def test_a_preset_is_called_as_its_file(preset: SearchSpace) -> None:
    assert preset.name == preset.file.stem


def test_200_random_configurations_of_a_preset_are_valid_jobs(preset: SearchSpace, draw: Draw) -> None:
    rng = random.Random(0)

    for _ in range(200):
        settings = preset.settings(draw(preset, rng))
        job = flat(job_config(settings))
        assert {path: job[path] for path in settings} == settings


def test_the_baselines_of_a_preset_are_valid_jobs(preset: SearchSpace, draw: Draw) -> None:
    assert preset.baselines
    for baseline in preset.baselines:
        drawn = draw(preset, random.Random(0), baseline)
        assert drawn.items() >= baseline.items()
        job_config(preset.settings(drawn))


def test_every_option_of_a_preset_is_drawn_in_200_tries(preset: SearchSpace, draw: Draw) -> None:
    rng = random.Random(1)

    seen = {name for _ in range(200) for name in draw(preset, rng)}

    assert seen == {param.name for param in preset.params}


def test_a_preset_sets_only_what_a_job_has(preset: SearchSpace) -> None:
    assert set(preset.paths()) <= set(all_settings())


def test_a_preset_leaves_the_length_of_training_to_its_rungs(preset: SearchSpace) -> None:
    assert "training.epochs" not in preset.paths()


def test_mirrored_digits_are_not_drawn() -> None:
    digits = load_space("digits")

    assert {item.path: item.value for item in digits.constants}["augment.flip"] == "none"


def test_the_folder_preset_leaves_the_source_to_the_user() -> None:
    data = load_space("folder").data

    assert (data.source, data.image_size) == (None, 64)


def test_the_first_baseline_of_cifar10_is_the_recipe_of_the_records() -> None:
    space = load_space("cifar10")

    assert space.settings(space.baselines[0]) == {
        "model": "fastnet",
        "model.width": 1.0,
        "model.depth": 2,
        "optimizer": "muon",
        "optimizer.lr": 0.24,
        "optimizer.momentum": 0.6,
        "optimizer.sgd_lr": 0.83,
        "optimizer.head_lr": 0.83,
        "optimizer.sgd_momentum": 0.85,
        "optimizer.weight_decay": 2e-3,
        "schedule": "linear",
        "schedule.warmup": 0.0,
        "schedule.floor": 0.0,
        "scoring.tta": "flip_shift",
        "training.batch_size": 1000,
        "training.ghost_batch": 64,
        "training.label_smoothing": 0.2,
        "training.grad_clip": 0.0,
        "training.ema": 0.0,
        "augment.crop_padding": 2,
        "augment.flip": "alternating",
        "augment.cutout": 0,
        "augment.color_jitter": 0.0,
        "augment.rotation": 0.0,
        "augment.mixup": 0.0,
        "augment.cutmix": 0.0,
        "augment.randaugment_ops": 0,
        "augment.randaugment_magnitude": 5.0,
    }
