"""A model trained once more, from its own settings, and compared with what it is.

Shapes: N images, K classes.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search.alone import run_through
from search.errors import StudyError
from search.executors import LocalExecutor
from search.interruptions import interruptions
from search.promotion.publish import versions
from search.refit import remembered_refit
from search.store import Store
from serving.export.checks import Pictures, pictures_of, probabilities_of
from serving.export.formats import torch_answer
from serving.export.source import Network, Place, Source, study_of
from trainer.config import JobConfig
from trainer.jobfiles import WEIGHTS
from trainer.orders import TrainOrder
from trainer.results import Failed, Reached, StepResult, Stopped

PLACE = "reproduced"  # folder of a trial; it stays while the training is unfinished, so that it can go on
Progress = Callable[[int, float, float], None]  # trial, epochs done, of how many


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """How a second training compares with the first."""

    is_same: bool  # every weight, bit for bit
    largest_difference: float  # of a weight
    num_images: int  # of the validation split that both were asked about
    agreement: float  # share of them that both give the same class
    accuracies: tuple[float, float]  # of the first and of the second
    other_versions: Mapping[str, tuple[str, str]]  # by library: then and now, where they are not the same


def reproduce(source: Source, place: Place, on_progress: Progress) -> Reproduction | None:
    """Train the networks of a model again, and compare.

    Args:
        source: The model.
        place: Where its study is.
        on_progress: Told after each step.

    Returns:
        None if it was asked to stop; the same again goes on from there.

    Raises:
        StudyError: If a training fails.
    """
    again: list[Network] = []
    for number, (config, _, count) in zip(source.manifest.trials, source.networks, strict=True):
        folder = Store(place.store).job(source.manifest.study, int(number)) / PLACE / config.fingerprint
        if not _trained(config, source, place, int(number), folder, on_progress):
            return None
        again.append((config, folder / WEIGHTS, count))
    found = _compared(source, again)
    for _, weights, _ in again:
        shutil.rmtree(weights.parent.parent)
    return found


def _trained(config: JobConfig, source: Source, place: Place, number: int, folder: Path, on_progress: Progress) -> bool:
    """Train one network to the epoch at which the first one ended; False if it was asked to stop."""
    epochs = _epochs(config, source, place, number)
    order = TrainOrder(config=config, data_root=source.data_set.root, directory=folder, until=epochs)
    executor = LocalExecutor(1)
    try:
        with interruptions() as interruption:
            last = run_through(
                executor,
                order,
                lambda event: on_progress(number, event.epoch, epochs) if isinstance(event, StepResult) else None,
                interruption.is_wanted,
            )
    finally:
        executor.close()
    if isinstance(last, Stopped):
        return False
    if not isinstance(last, Reached):
        why = last.message.splitlines()[0] if isinstance(last, Failed) else "its process died"
        raise StudyError(f"Trial {number} of study {source.manifest.study!r} could not be trained again: {why}")
    return True


def _epochs(config: JobConfig, source: Source, place: Place, number: int) -> float:
    if source.manifest.images == "train":
        return config.training.epochs
    _, study, _ = study_of(source.manifest.study, place)
    refit = remembered_refit(study, number)
    if refit is None:
        raise StudyError(
            f"Study {source.manifest.study!r} does not remember for how long trial {number} was trained on all images."
        )
    return refit.epochs


def _compared(source: Source, again: list[Network]) -> Reproduction:
    from trainer.export import load_together

    pictures = pictures_of(source.data_set)
    first, second = (
        _asked(
            torch_answer(load_together(networks, source.data_set, temperature=source.manifest.temperature)), pictures
        )
        for networks in (source.networks, again)
    )
    differences = [_difference(one[1], other[1]) for one, other in zip(source.networks, again, strict=True)]
    now = versions()
    return Reproduction(
        is_same=all(same for same, _ in differences),
        largest_difference=max(largest for _, largest in differences),
        num_images=len(pictures.labels),
        agreement=float((first == second).mean()),
        accuracies=(float((first == pictures.labels).mean()), float((second == pictures.labels).mean())),
        other_versions={
            name: (then, now.get(name, "unknown"))
            for name, then in source.manifest.versions.items()
            if then != now.get(name, "unknown")
        },
    )


def _asked(answer: Callable[[NDArray[np.uint8]], NDArray[np.float32]], pictures: Pictures) -> NDArray[np.int64]:
    """Return the classes (N,) that a model gives."""
    found: NDArray[np.int64] = probabilities_of(answer, pictures.checked).argmax(axis=1)
    return found


def _difference(first: Path, second: Path) -> tuple[bool, float]:
    """Return whether the tensors of two files are the same bit for bit, and by how much a number differs at most."""
    from safetensors.numpy import load_file

    one, other = load_file(first), load_file(second)
    if one.keys() != other.keys() or any(one[name].shape != other[name].shape for name in one):
        return False, float("inf")
    same = all(one[name].tobytes() == other[name].tobytes() for name in one)
    numbers = [np.abs(one[name].astype(np.float64) - other[name].astype(np.float64)) for name in one if one[name].size]
    return same, max((float(each.max()) for each in numbers), default=0.0)
