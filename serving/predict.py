"""Answers for many files: some are decoded while others go through the graph, and a bad one stops nobody.

Shapes: H W pixels, C channels, K classes.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from serving.predictor import Predictor
from trainer.data.filling import num_processors
from trainer.data.images import BadImage, Pixels, decode_as, quiet_pillow

BATCHES_AHEAD = 2  # that are decoded meanwhile: memory stays the same however many files there are


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says of an image, most probable first."""

    path: Path
    labels: tuple[str, ...]
    confidences: tuple[float, ...]  # calibrated probabilities


def predict_files(
    predictor: Predictor, paths: Sequence[Path], *, top_k: int = 1, batch_size: int = 64
) -> Iterator[Answer | BadImage]:
    """Yield an answer a file, in their order; what can't be decoded is told in its place."""
    shape = predictor.manifest.image_shape
    with quiet_pillow(), ThreadPoolExecutor(max(2, num_processors())) as pool:
        ahead: deque[tuple[Sequence[Path], list[Future[Pixels | BadImage]]]] = deque()
        for start in range(0, len(paths), batch_size):
            some = paths[start : start + batch_size]
            ahead.append((some, [pool.submit(decode_as, shape, path) for path in some]))
            if len(ahead) > BATCHES_AHEAD:
                yield from _answered(predictor, *ahead.popleft(), top_k)
        while ahead:
            yield from _answered(predictor, *ahead.popleft(), top_k)


def ranked(
    probabilities: NDArray[np.float32], names: Sequence[str], top_k: int
) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Return the names of the most probable classes, and their probabilities; of equals, the first in the model."""
    order = np.argsort(-probabilities, kind="stable")[:top_k].tolist()
    return tuple(names[k] for k in order), tuple(float(probabilities[k]) for k in order)


def _answered(
    predictor: Predictor, paths: Sequence[Path], decoding: Sequence["Future[Pixels | BadImage]"], top_k: int
) -> Iterator[Answer | BadImage]:
    found = [future.result() for future in decoding]
    images = [image for image in found if not isinstance(image, BadImage)]
    rows = iter(predictor.probabilities(np.stack(images)) if images else ())
    for path, image in zip(paths, found, strict=True):
        if isinstance(image, BadImage):
            yield image
        else:
            yield Answer(path, *ranked(next(rows), predictor.manifest.class_names, top_k))
