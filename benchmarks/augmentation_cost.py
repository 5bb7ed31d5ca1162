"""What each augmentation costs beside a training step: milliseconds a batch, and the share of a ResNet-18 step.

    python -m benchmarks.augmentation_cost [--side 32] [--repeats 15]

Times batches of 128 images on two threads, channels last, as the training loop hands them over; each augmentation
alone, and every shipped space at its strongest. The step is one of ResNet-18 (width 64) on the same images without
augmentation, in the precision that is fastest here.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spaces import Choice, Domain, SearchSpace, load_space, preset_names
from trainer.batches import load_splits
from trainer.config import job_config
from trainer.data import DataSet, prepare
from trainer.devices import fastest_precision
from trainer.loop import take_step
from trainer.samples import augmented
from trainer.seeds import generator
from trainer.settings import Augment
from trainer.state import begin

BATCH, CLASSES, THREADS = 128, 10, 2
STEPS = 3  # timed, after one that is not
CPU = torch.device("cpu")
SECTION = "augment."
ALONE = {
    "flip": Augment(flip="random"),
    "vertical_flip": Augment(vertical_flip=True),
    "quarter_turns": Augment(quarter_turns=True),
    "crop_padding": Augment(crop_padding=4),
    "crop_scale": Augment(crop_scale=0.4),
    "rotation": Augment(rotation=15),
    "shear": Augment(shear=15),
    "all warps but elastic": Augment(crop_scale=0.4, shear=15, scale=0.3, rotation=15, translate=0.1),
    "elastic": Augment(elastic=30.0),
    "all warps": Augment(crop_scale=0.4, shear=15, scale=0.3, rotation=15, translate=0.1, elastic=30.0),
    "color_jitter": Augment(color_jitter=0.4),
    "grey": Augment(grey=0.2),
    "blur, chance 0.5": Augment(blur=0.5),
    "randaugment, 2 operations": Augment(randaugment_ops=2),
    "trivialaugment": Augment(policy="trivialaugment"),
    "autoaugment_cifar10": Augment(policy="autoaugment_cifar10"),
    "autoaugment_svhn": Augment(policy="autoaugment_svhn"),
    "autoaugment_imagenet": Augment(policy="autoaugment_imagenet"),
    "augmix": Augment(augmix=3),
    "cutout": Augment(cutout=8),
    "erasing, chance 0.25": Augment(erasing=0.25),
    "mixup": Augment(mixup=0.4),
    "cutmix": Augment(cutmix=1.0),
}


def strongest(space: SearchSpace) -> Augment:
    """Return the augmentations of a space, each at the end of its range that is further from leaving it out."""
    params = [param for param in space.params if param.path.startswith(SECTION)]
    drawn = {param.path: _furthest(param.domain, param.path) for param in params}
    fixed = {item.path: item.value for item in space.constants if item.path.startswith(SECTION)}
    return job_config(fixed | drawn).augment


def _furthest(domain: Domain, path: str) -> Any:
    default = getattr(Augment(), path.removeprefix(SECTION))
    ends = domain.options if isinstance(domain, Choice) else (domain.low, domain.high)
    if isinstance(default, str):
        return ends[-1]
    return max(ends, key=lambda end: (abs(float(end) - default), end))


def milliseconds(change: Callable[[], object], *, repeats: int) -> float:
    """Return the median time of a call, after one that is not timed."""
    seconds = []
    for _ in range(1 + repeats):
        start = time.perf_counter()
        change()
        seconds.append(time.perf_counter() - start)
    return 1000 * statistics.median(seconds[1:])


def cost(images: Tensor, settings: Augment, *, repeats: int) -> float:
    """Return the milliseconds of augmenting and mixing one batch."""
    rng, indices = generator(CPU, 0, "cost"), torch.arange(len(images))
    return milliseconds(lambda: augmented(images, settings, rng=rng, epoch=0, indices=indices), repeats=repeats)


def step_milliseconds(data_set: DataSet) -> float:
    """Return the median time of a training step without augmentation."""
    config = job_config(
        {
            "data": data_set.fingerprint,
            "model": "resnet18",
            "training.batch_size": BATCH,
            "runtime.precision": fastest_precision(CPU),
            "runtime.threads": THREADS,
        }
    )
    images, _ = load_splits(data_set, data_set.moments, CPU)
    state = begin(config, data_set, images)
    return milliseconds(lambda: take_step(state, config, images, torch.arange(BATCH)), repeats=STEPS)


def noise(place: Path, side: int) -> DataSet:
    """Prepare images of noise: what they show changes no time."""
    rng = np.random.default_rng(0)
    num_images = 2 * BATCH
    pixels = rng.integers(0, 256, (num_images, side, side, 3), dtype=np.uint8)
    np.savez(place / "noise.npz", images=pixels, labels=np.arange(num_images) % CLASSES)
    return prepare(
        f"npz:{place / 'noise.npz'}", cache=place / "cache", data_dir=place, val_fraction=0.1, test_fraction=0.1
    )


def rows() -> Iterator[tuple[str, Augment]]:
    """Yield what is timed, by name."""
    yield from ALONE.items()
    for name in preset_names():
        settings = strongest(load_space(name))
        if settings != Augment():
            yield f"space {name} at its strongest", settings


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=32, help="pixels")
    parser.add_argument("--repeats", type=int, default=15, help="timed batches of each augmentation")
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as place:
        data_set = noise(Path(place), options.side)
        step = step_milliseconds(data_set)
        images, _ = load_splits(data_set, data_set.moments, CPU)[0].take(torch.arange(BATCH))
    print(f"torch {torch.__version__}, {THREADS} threads, {options.side} pixels")
    print(f"a ResNet-18 step of {BATCH} images in {fastest_precision(CPU)}: {step:.0f} ms")
    for name, settings in rows():
        found = cost(images, settings, repeats=options.repeats)
        print(f"{name:<32} {found:7.2f} ms {100 * found / step:6.2f} %", flush=True)


if __name__ == "__main__":
    main()
