"""Whether an export answers as the model does, on real images, and how large and how fast it is.

Shapes: N images, H W pixels, C channels, K classes.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from serving.export.formats import Answer, Images
from trainer.data import DataSet, open_split

EXACT = 1e-3  # largest difference of a probability in a format that changes nothing
PORTION = 64  # images at once
MOST_CALIBRATION = 512  # validation images that show the ranges of activations
MOST_CHECKED = 5000  # validation images that both are asked about
SECONDS, TURNS = 0.5, (5, 100)  # that a latency is measured for, and how often at least and at most
BATCHES = (1, 32)  # images whose latency is measured


@dataclass(frozen=True, slots=True)
class Measured:
    """A form of a model."""

    name: str
    size: int  # bytes
    milliseconds: tuple[float, ...]  # medians, of batches of `BATCHES` images
    accuracy: float  # on the images that were checked


@dataclass(frozen=True, slots=True)
class Comparison:
    """An export beside the model that it was made of."""

    before: Measured
    after: Measured
    num_images: int
    difference: float  # the largest of a probability
    agreement: float  # share of the images that both give the same class

    @property
    def lost(self) -> float:
        """Return the accuracy that was lost: less than 0 where some was won."""
        return self.before.accuracy - self.after.accuracy


@dataclass(frozen=True, slots=True)
class Pictures:
    """Validation images, in two parts that share none."""

    calibration: Images
    checked: Images
    labels: NDArray[np.int64]  # of those that are checked


def pictures_of(data_set: DataSet) -> Pictures:
    """Return images for calibration, at most half of all, and others to check on."""
    split = open_split(data_set, "val")
    order = np.random.default_rng(0).permutation(len(split.labels))
    number = min(MOST_CALIBRATION, len(order) // 2)
    chosen, others = np.sort(order[:number]), np.sort(order[number : number + MOST_CHECKED])
    return Pictures(np.array(split.images[chosen]), np.array(split.images[others]), np.array(split.labels[others]))


def compare(before: tuple[str, Answer, int], after: tuple[str, Answer, int], pictures: Pictures) -> Comparison:
    """Ask two forms of a model about the same images, and time both.

    Args:
        before: Name, what answers, and bytes of the model.
        after: Those of the export.
        pictures: What they are asked.
    """
    found = [probabilities_of(answer, pictures.checked) for _, answer, _ in (before, after)]
    measured = [
        Measured(name, size, _latencies(answer, pictures.checked), _accuracy(probabilities, pictures.labels))
        for (name, answer, size), probabilities in zip((before, after), found, strict=True)
    ]
    first, second = found
    return Comparison(
        before=measured[0],
        after=measured[1],
        num_images=len(pictures.labels),
        difference=float(np.abs(first - second).max()),
        agreement=float((first.argmax(axis=1) == second.argmax(axis=1)).mean()),
    )


def size_of(paths: Sequence[Path]) -> int:
    """Return the bytes of files together."""
    return sum(path.stat().st_size for path in paths)


def probabilities_of(answer: Answer, images: Images) -> NDArray[np.float32]:
    """Return the probabilities (N, K) of images, which are asked for in portions."""
    return np.concatenate([answer(images[start : start + PORTION]) for start in range(0, len(images), PORTION)])


def _accuracy(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    return float((probabilities.argmax(axis=1) == labels).mean())


def _latencies(answer: Answer, images: Images) -> tuple[float, ...]:
    return tuple(_median_ms(answer, np.resize(images, (size, *images.shape[1:]))) for size in BATCHES)


def _median_ms(answer: Answer, images: Images) -> float:
    answer(images)
    took: list[float] = []
    least, most = TURNS
    until = time.perf_counter() + SECONDS
    while len(took) < least or (len(took) < most and time.perf_counter() < until):
        began = time.perf_counter()
        answer(images)
        took.append(time.perf_counter() - began)
    return 1000 * float(np.median(took))
