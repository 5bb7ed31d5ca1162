"""Jobs and images so small that training takes milliseconds; the same on every machine."""

import io
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import trainer
from trainer.batches import Images, load_images
from trainer.classical.fit import fit
from trainer.config import VARIANTS, JobConfig, Value, job_config
from trainer.data import DataSet, open_split, prepare
from trainer.loop import Scored, train
from trainer.results import EpochResult, StepResult
from trainer.settings import Classical
from trainer.state import TrainState, begin, restore, to_checkpoint

ROOT = Path(trainer.__file__).parent.parent
CPU = torch.device("cpu")
SIDE = 16  # pixels
NUM_CLASSES = 4
TINY: Mapping[str, Value] = {
    "model": "fastnet",
    "model.width": 0.1,
    "model.depth": 1,
    "training.epochs": 2.0,
    "training.batch_size": 16,
}
MODELS: Mapping[str, Mapping[str, Value]] = {  # small ones of every kind
    "fastnet": {"model": "fastnet", "model.width": 0.1},
    "resnet9": {"model": "resnet9", "model.width": 4},
    "resnet18": {"model": "resnet18", "model.width": 8},
    "resnet34": {"model": "resnet34", "model.width": 4, "model.squeeze": 2},
    "resnet50": {"model": "resnet50", "model.width": 4},
    "wide_resnet": {"model": "wide_resnet", "model.blocks": 1, "model.width": 1},
    "lenet5": {"model": "lenet5", "model.width": 0.5},
    "cnn": {"model": "cnn", "model.width": 8},
    "convnext": {"model": "convnext", "model.patch": 1},
    "vit": {"model": "vit", "model.dim": 32, "model.depth": 2},
    "timm": {"model": "timm", "model.name": "test_efficientnet"},
    "torchvision": {"model": "torchvision", "model.name": "shufflenet_v2_x0_5"},
    "logistic_regression": {"model": "logistic_regression", "model.hog_cell": 4, "model.pca": 0.9},
    "svm": {"model": "svm", "model.hog_cell": 4, "model.pca": 20},
    "random_forest": {"model": "random_forest", "model.hog_cell": 4, "model.trees": 10},
}
NETWORKS: Mapping[str, Mapping[str, Value]] = {  # those that are trained in steps
    name: settings for name, settings in MODELS.items() if not issubclass(VARIANTS["model"][name], Classical)
}


@dataclass(frozen=True, slots=True)
class Splits:
    """A data set with the two splits that training may see."""

    data_set: DataSet
    train: Images
    val: Images


def striped_images(num_images: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Make images of stripes whose direction and tint tell the class, under noise; no random numbers."""
    labels = np.arange(num_images) % NUM_CLASSES
    number, y, x, channel = np.ogrid[:num_images, :SIDE, :SIDE, :3]
    angle = np.pi * (number % NUM_CLASSES) / NUM_CLASSES
    stripes = np.sin(1.3 * (x * np.cos(angle) + y * np.sin(angle)) + 0.7 * number)
    tint = np.cos(angle * 2 + 2 * np.pi * channel / 3)
    noise = (number * 7919 + y * 104_729 + x * 1_299_709 + channel * 15_485_863) * 2_654_435_761 % 1009 / 504.5
    return (128 + 40 * stripes + 10 * tint + 45 * (noise - 1)).astype(np.uint8), labels


def prepare_stripes(place: Path, *, num_images: int = 96) -> DataSet:
    """Prepare the striped images: two thirds to train on, one sixth each to validate and to test."""
    images, labels = striped_images(num_images)
    place.mkdir(parents=True, exist_ok=True)
    np.savez(place / "stripes.npz", images=images, labels=labels)
    return prepare(
        f"npz:{place / 'stripes.npz'}",
        cache=place / "cache",
        data_dir=place,
        val_fraction=0.2,
        test_fraction=1 / 6,
    )


def open_splits(data_set: DataSet) -> Splits:
    parts = (load_images(open_split(data_set, split), data_set.moments, CPU) for split in ("train", "val"))
    return Splits(data_set, *parts)


def tiny_job(data_set: DataSet, settings: Mapping[str, Value] | None = None) -> JobConfig:
    """Make a job of two epochs of four steps; settings that name another model begin from its defaults."""
    settings = settings or {}
    base = {k: v for k, v in TINY.items() if "model" not in settings or not k.startswith("model")}
    return job_config({"data": data_set.fingerprint, **base, **settings})


def fresh(config: JobConfig, splits: Splits) -> TrainState:
    return begin(config, splits.data_set, splits.train)


def advance(
    state: TrainState, config: JobConfig, splits: Splits, *, until: float | None = None
) -> list[StepResult | Scored]:
    """Train to the end, or to the epoch `until`."""
    goal = config.training.epochs if until is None else until
    go_on = fit if isinstance(config.model, Classical) else train
    return list(go_on(state, config, train_images=splits.train, val_images=splits.val, until=goal))


def scores(results: list[StepResult | Scored]) -> list[EpochResult]:
    return [result.result for result in results if isinstance(result, Scored)]


def reopened(state: TrainState, config: JobConfig, splits: Splits) -> TrainState:
    """Return what another process would go on with: a fresh state, restored from the bytes of this one."""
    buffer = io.BytesIO()
    torch.save(to_checkpoint(state), buffer)
    buffer.seek(0)
    other = fresh(config, splits)
    restore(other, torch.load(buffer, weights_only=True))
    return other


def assert_goes_on_exactly(config: JobConfig, splits: Splits) -> TrainState:
    """Train to the end at once, and in two processes; return the state at the end, which is one to the last bit."""
    whole, part = fresh(config, splits), fresh(config, splits)
    advance(whole, config, splits)

    advance(part, config, splits, until=0.75)
    resumed = reopened(part, config, splits)
    advance(resumed, config, splits)

    expected, found = tensors_of(whole), tensors_of(resumed)
    assert found.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[path]) for path, tensor in found.items())
    return whole


def tensors_of(state: TrainState) -> dict[str, Tensor]:
    """Return every tensor of a state under a name: weights, averages, momenta."""
    found = dict(_tensors(to_checkpoint(state), "state"))
    return {name: tensor for name, tensor in found.items() if not name.endswith("stretch.seconds")}


def _tensors(content: Any, name: str) -> list[tuple[str, Tensor]]:
    if isinstance(content, Tensor):
        return [(name, content)]
    if isinstance(content, Mapping):
        return [pair for key, value in content.items() for pair in _tensors(value, f"{name}.{key}")]
    if isinstance(content, list | tuple):
        return [pair for place, value in enumerate(content) for pair in _tensors(value, f"{name}.{place}")]
    return []


@contextmanager
def limited_file_size(num_bytes: int) -> Iterator[None]:
    """Let the disk seem full for files longer than this; Python ignores the signal that comes with it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def run_python(code: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run code in a process of its own, which finds the packages under test."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
