"""Tables of speed: networks against the tutorials' loop, sizes of portions, threads against jobs, memory.

    python -m benchmarks.networks --data-dir DIR [--photographs FOLDER --weights FILE]

Images per second are of training steps, augmentation included; both loops see the same images, at the same size and in
batches of the same size. They take turns, and the best of two turns counts: other work on the machine only takes away.
With photographs (a folder with one sub-folder a class) and weights of timm's `tf_efficientnet_lite0` there are rows for
training a network further: all of it, its head alone, and its head alone on features that are shared by all trials.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from autoclf.options import user_cache
from benchmarks.jobs import Run, planned, run_job
from benchmarks.tutorial_loop import BATCH, Pictures, train_epochs
from search.executors.local import LocalExecutor
from search.plan import num_cores
from trainer.batches import load_images
from trainer.config import JobConfig, Value, job_config
from trainer.data import DataSet, open_split, prepare
from trainer.lengths import steps_in_epoch
from trainer.libraries import import_torchvision
from trainer.models import build_model, input_moments
from trainer.orders import TrainOrder
from trainer.results import EpochResult, Failed
from trainer.transfer import row_of

LEAST_STEPS, ENOUGH_SECONDS, TURNS = 6, 12, 2  # of a timed run: the first steps, which also set things up, hardly count
EPOCHS, HEAD_EPOCHS = 2, 10  # of photographs, the last of which is timed; features are too fast for two
SMALL: dict[str, dict[str, Value]] = {  # networks for small images
    "lenet5": {"model": "lenet5"},
    "fastnet": {"model": "fastnet"},
    "resnet18": {"model": "resnet18"},
    "vit": {"model": "vit"},
}
PORTIONS = (16, 32, 64, 128, 256)
SIDE, LARGER = 224, 256  # pixels
LARGE_BATCH = 32


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=Path("data"))
    parser.add_argument("--photographs", type=Path, help="a folder with one sub-folder a class")
    parser.add_argument("--weights", type=Path, help="of tf_efficientnet_lite0")
    asked = parser.parse_args()
    torch.set_num_threads(num_cores())
    data_set = prepare("cifar10", cache=user_cache(), data_dir=asked.data_dir)
    print(
        "| network | tutorials' loop, images/s | ours, images/s | times | memory of a job, MiB |\n|---|---|---|---|---|"
    )
    for name, settings in SMALL.items():
        config = planned(_config(data_set, settings), data_set)
        steps = _steps(config, data_set)
        turns = [(_tutorial_rate(config, data_set, steps), run_job(config, data_set, steps)) for _ in range(TURNS)]
        _print_row(name, turns)
    if asked.photographs and asked.weights:
        _print_transfer(asked.photographs, asked.weights, asked.data_dir)
    _print_portions(data_set)
    _print_threads(data_set)


def _print_row(name: str, turns: Sequence[tuple[float, Run]]) -> None:
    """Print the best of the tutorials' rates beside the best of ours."""
    tutorial, ours = max(rate for rate, _ in turns), max(run.images_per_second for _, run in turns)
    memory = max(run.peak_mib for _, run in turns)
    print(f"| {name} | {tutorial:,.0f} | {ours:,.0f} | {ours / tutorial:.2f} | {memory:,.0f} |", flush=True)


def _config(data_set: DataSet, settings: dict[str, Value], *, batch: int = BATCH, padding: int = 4) -> JobConfig:
    common: dict[str, Value] = {
        "data": data_set.fingerprint,
        "optimizer": "sgd",
        "schedule": "onecycle",
        "augment.crop_padding": padding,
        "augment.flip": "random",
        "training.batch_size": batch,
        "training.epochs": 10.0,
        "runtime.threads": num_cores(),
    }
    return job_config(common | settings)


def _steps(config: JobConfig, data_set: DataSet) -> int:
    """Return how many steps fill the time, one epoch at most."""
    rate = run_job(config, data_set, LEAST_STEPS).images_per_second
    enough = int(ENOUGH_SECONDS * rate / config.training.batch_size)
    return min(max(LEAST_STEPS, enough), steps_in_epoch(config, data_set.num_train))


def _tutorial_rate(config: JobConfig, data_set: DataSet, steps: int) -> float:
    """Return the best rate of an epoch of so many batches, loader and transforms included, the first left out."""
    images = load_images(open_split(data_set, "train"), data_set.moments, torch.device("cpu"))
    few = replace(images, pixels=images.pixels[: BATCH * steps], labels=images.labels[: BATCH * steps])
    model = build_model(config.model, image_shape=data_set.image_shape, num_classes=10, seed=0)
    seconds = list(train_epochs(model, Pictures(few, is_training=True), epochs=3, lr=0.01))
    return BATCH * steps / min(seconds[1:])


def _print_transfer(photographs: Path, weights: Path, data_dir: Path) -> None:
    """Print the rows of a network with learnt weights, trained as a whole and with its head alone."""
    source = f"folder:{photographs}"
    data_set = prepare(source, cache=user_cache(), data_dir=data_dir, image_size=SIDE)
    model: dict[str, Value] = {
        "model": "timm",
        "model.name": "tf_efficientnet_lite0",
        "model.pretrained": True,
        "model.weights": f"file:{weights.absolute()}",
    }
    head: dict[str, Value] = {"transfer.train": "head"}
    ways: dict[str, tuple[dict[str, Value], int, int]] = {
        "EfficientNet-Lite0, all of it": ({"transfer.train": "all"}, 16, EPOCHS),
        "its head": (head | {"transfer.cache_features": False}, 16, EPOCHS),
        "its head, features shared": (head, 0, HEAD_EPOCHS),
    }
    for name, (settings, padding, epochs) in ways.items():
        config = _config(data_set, model | settings, batch=LARGE_BATCH, padding=padding)
        tutorial = _tutorial_transfer(config, data_set, photographs, only_head=settings["transfer.train"] == "head")
        steps = epochs * steps_in_epoch(config, data_set.num_train)
        _print_row(name, [(tutorial, run_job(planned(config, data_set), data_set, steps))])


def _tutorial_transfer(config: JobConfig, data_set: DataSet, photographs: Path, *, only_head: bool) -> float:
    """Return the rate of the transfer-learning tutorial: files decoded in each epoch, the body without gradients."""
    vision = import_torchvision()
    moments = input_moments(config.model, data_set)
    moves = [
        vision.transforms.Resize(LARGER),
        vision.transforms.RandomCrop(SIDE),
        vision.transforms.RandomHorizontalFlip(),
    ]
    steps = [*moves, vision.transforms.ToTensor(), vision.transforms.Normalize(moments.mean, moments.std)]
    folder: Any = vision.datasets.ImageFolder(str(photographs), transform=vision.transforms.Compose(steps))
    few = torch.utils.data.Subset(folder, list(range(min(len(folder), LARGE_BATCH * LEAST_STEPS))))
    model = build_model(
        config.model, image_shape=data_set.image_shape, num_classes=len(data_set.class_names), seed=0, with_weights=True
    )
    if only_head:
        _freeze_body(model)
    seconds = list(train_epochs(model, few, epochs=2, lr=0.01, batch=LARGE_BATCH))
    return len(few) // LARGE_BATCH * LARGE_BATCH / min(seconds)


def _freeze_body(model: nn.Module) -> None:
    head = set(row_of(model)[-1])
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in head)


def _print_portions(data_set: DataSet) -> None:
    """Print how the speed and the memory of ResNet-18 hang on the images that go through it at once."""
    print("\n| images at once | ResNet-18, images/s | memory of a job, MiB |\n|---|---|---|")
    config = planned(_config(data_set, SMALL["resnet18"], batch=max(PORTIONS)), data_set)
    for portion in PORTIONS:
        run = run_job(replace(config, runtime=replace(config.runtime, micro_batch=portion)), data_set, steps=3)
        print(f"| {portion} | {run.images_per_second:,.1f} | {run.peak_mib:,.0f} |", flush=True)


def _print_threads(data_set: DataSet) -> None:
    """Print one job with all threads beside as many jobs with one thread each."""
    cores = num_cores()
    print("\n| network | one job, all threads, images/s | a job a thread, images/s of all |\n|---|---|---|")
    for name in ("lenet5", "resnet18", "vit"):
        config = planned(_config(data_set, SMALL[name]), data_set)
        steps = _steps(config, data_set)
        alone = _rate_of(config, data_set, steps, num_jobs=1)
        on_one = replace(config, runtime=replace(config.runtime, threads=1))
        beside = _rate_of(on_one, data_set, steps, num_jobs=cores)
        print(f"| {name} | {alone:,.0f} | {beside:,.0f} |", flush=True)


def _rate_of(config: JobConfig, data_set: DataSet, steps: int, *, num_jobs: int) -> float:
    """Return the images per second of equal jobs side by side, added up."""
    until = steps / steps_in_epoch(config, data_set.num_train)
    executor, rates = LocalExecutor(num_jobs), []
    with tempfile.TemporaryDirectory() as place:
        for job in range(num_jobs):
            directory = Path(place) / str(job)
            executor.start(job, TrainOrder(config=config, data_root=data_set.root, directory=directory, until=until))
        while executor.free_slots < num_jobs:
            for event in executor.events(timeout_seconds=1.0):
                assert not isinstance(event.what, Failed), event.what
                if isinstance(event.what, EpochResult):
                    rates.append(event.what.images_per_second)
    return sum(rates)


if __name__ == "__main__":
    main()
