"""`make bench`: our training loop against the tutorials' on the same network, and against what the processor can do.

    python -m benchmarks.training_speed [--steps 8] [--compare-accuracy]

Prints images per second of both loops on ResNet-18 in one run, their ratio, and for ResNet-18 and the fast net the
share of the attainable matrix rate (2048 x 2048) that training reaches. Ours is measured as a search runs it: a job in
a worker process, with the portions that were measured before. With `--compare-accuracy` both loops also train a
narrow ResNet-18 for the same epochs on the same images, a pair a seed: narrow, because the mean of a few pairs says
more than one pair of the wide network in the same time.
"""

import argparse
import statistics
from dataclasses import replace
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from autoclf.options import user_cache
from benchmarks.jobs import our_rate, planned
from benchmarks.tutorial_loop import BATCH, Pictures, accuracy, train_epochs
from search.plan import num_cores
from trainer.batches import Images, load_images
from trainer.config import JobConfig, job_config
from trainer.data import DataSet, open_split, prepare
from trainer.devices import DTYPES, fastest_precision, matmul_rate
from trainer.loop import Scored, train
from trainer.models import build_model
from trainer.state import begin

SEEDS = (0, 1, 2)
FEW_IMAGES = 10_000  # of the comparison of accuracies
FEW_EPOCHS = 8
NARROW = 16  # channels of the first layer; 64 is usual
ROUNDS = 2  # of both loops by turns; the best of each counts
RATE_SIZE = 2048  # rows of the matrices whose product sets the attainable rate


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=8, help="timed steps of each loop")
    parser.add_argument("--compare-accuracy", action="store_true", help="train both to an accuracy, too")
    parser.add_argument("--data-dir", type=Path, default=Path("data"))
    options = parser.parse_args()
    torch.set_num_threads(num_cores())
    data_set = prepare("cifar10", cache=user_cache(), data_dir=options.data_dir)
    images = load_images(open_split(data_set, "train"), data_set.moments, torch.device("cpu"))
    precision = fastest_precision(torch.device("cpu"))
    attainable = matmul_rate(DTYPES[precision], size=RATE_SIZE)
    print(f"{num_cores()} threads, torch {torch.__version__}, {precision}: {attainable:.0f} GFLOP/s attainable")
    fastnet, resnet = (planned(_config(name, data_set), data_set) for name in ("fastnet", "resnet18"))
    _print_share("fastnet", our_rate(fastnet, data_set, options.steps), fastnet, data_set, attainable)
    ours, tutorial = 0.0, 0.0
    for _ in range(ROUNDS):
        ours = max(ours, our_rate(resnet, data_set, options.steps))
        tutorial = max(tutorial, _tutorial_rate(data_set, images, options.steps))
    _print_share("resnet18", ours, resnet, data_set, attainable)
    print(f"resnet18 in the tutorials' loop: {tutorial:.1f} images/s; ours is {ours / tutorial:.2f} times as fast")
    if options.compare_accuracy:
        _compare_accuracy(planned(_config("resnet18", data_set, width=NARROW), data_set), data_set, images)


def _print_share(name: str, rate: float, config: JobConfig, data_set: DataSet, attainable: float) -> None:
    share = rate * _gflop_per_image(config, data_set) / attainable
    portion = config.runtime.micro_batch
    print(f"{name}: {rate:.1f} images/s, {100 * share:.0f} % of the attainable rate (portions of {portion})")


def _config(model: str, data_set: DataSet, **settings: int) -> JobConfig:
    return job_config(
        {
            "data": data_set.fingerprint,
            "model": model,
            **{f"model.{name}": value for name, value in settings.items()},
            "optimizer": "sgd",
            "schedule": "onecycle",
            "augment.crop_padding": 4,
            "augment.flip": "random",
            "training.batch_size": BATCH,
            "training.epochs": float(FEW_EPOCHS),
            "runtime.threads": num_cores(),
        }
    )


def _tutorial_rate(data_set: DataSet, images: Images, steps: int) -> float:
    """Return the best rate of an epoch of a few batches, loader and transforms included, the first left out."""
    settings = _config("resnet18", data_set).model
    model = build_model(settings, image_shape=data_set.image_shape, num_classes=10, seed=0)
    seconds = list(train_epochs(model, Pictures(_first(images, BATCH * steps), is_training=True), epochs=3, lr=0.1))
    return BATCH * steps / min(seconds[1:])


def _gflop_per_image(config: JobConfig, data_set: DataSet) -> float:
    """Count the multiplications and additions of a training step's matrix work."""
    model = build_model(config.model, image_shape=data_set.image_shape, num_classes=10, seed=0)
    height, width, channels = data_set.image_shape
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(2, channels, height, width)).sum().backward()
    return float(counter.get_total_flops() / 2 / 1e9)


def _compare_accuracy(config: JobConfig, data_set: DataSet, images: Images) -> None:
    """Train both loops on the same few images for the same epochs; print the accuracies and their mean difference."""
    val = load_images(open_split(data_set, "val"), data_set.moments, torch.device("cpu"))
    few = _first(images, FEW_IMAGES)
    print(f"resnet18 of width {NARROW}, {FEW_EPOCHS} epochs of {FEW_IMAGES} images, validation on {len(val)}:")
    differences = []
    for seed in SEEDS:
        seeded = replace(config, seed=seed)
        tutorial, ours = _tutorial_accuracy(seeded, data_set, few, val), _our_accuracy(seeded, data_set, few, val)
        differences.append(ours - tutorial)
        print(f"seed {seed}: ours {100 * ours:.1f} %, tutorial {100 * tutorial:.1f} %", flush=True)
    error = statistics.stdev(differences) / len(differences) ** 0.5
    print(f"ours - tutorial: {100 * statistics.mean(differences):+.2f} ± {100 * error:.2f} points (standard error)")


def _first(images: Images, number: int) -> Images:
    return replace(images, pixels=images.pixels[:number], labels=images.labels[:number])


def _our_accuracy(config: JobConfig, data_set: DataSet, images: Images, val: Images) -> float:
    state = begin(config, data_set, images)
    *_, last = train(state, config, train_images=images, val_images=val, until=FEW_EPOCHS)
    assert isinstance(last, Scored), "a training ends with a score"
    return last.result.val_accuracy


def _tutorial_accuracy(config: JobConfig, data_set: DataSet, images: Images, val: Images) -> float:
    torch.manual_seed(config.seed)
    model = build_model(config.model, image_shape=data_set.image_shape, num_classes=10, seed=config.seed)
    for _ in train_epochs(model, Pictures(images, is_training=True), epochs=FEW_EPOCHS, lr=config.optimizer.lr):
        pass
    return accuracy(model, val)


if __name__ == "__main__":
    main()
