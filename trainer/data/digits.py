"""The handwritten digits that ship with scikit-learn: 1,797 grey images of 8 by 8 pixels."""

from importlib.metadata import version
from pathlib import Path

import numpy as np

from trainer.data.material import Material, Origin, array_part, stored_shape

_WHITE = 16  # the brightest value of a pixel


def find_digits() -> Origin:
    """Return the digits; they are always there."""
    return Origin(name="digits", identity=[version("scikit-learn")], open=_read)


def _read(_scratch: Path, size: int | None) -> Material:
    from sklearn.datasets import load_digits  # takes a second, and only this source needs it

    found = load_digits()
    images = np.rint(found.images[..., np.newaxis] * (255 / _WHITE)).astype(np.uint8)
    return Material(
        class_names=tuple(str(name) for name in found.target_names),
        image_shape=stored_shape(images.shape, size),
        parts={"train": array_part(images, found.target.astype(np.int64), size=size)},
    )
