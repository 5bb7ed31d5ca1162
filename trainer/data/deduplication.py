"""What becomes of copies while a data set is prepared: counted, or left out.

Letters: N images, H W pixels, C channels.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from trainer.data.copies import (
    LEAST_SIDE,
    MOST_COMPARED,
    Place,
    alike,
    num_leaks,
    same,
    spare,
    thumbnail_of,
    without_empty_classes,
)
from trainer.data.filling import in_parallel
from trainer.data.images import Pixels, portions
from trainer.data.material import Material
from trainer.data.splits import SPLITS, Selection, SplitName, listed
from trainer.data.store import images_file
from trainer.errors import DataError

Duplicates = Literal["keep", "exact", "near"]
T = TypeVar("T")
Row = TypeVar("Row", bound=np.generic)
Labels = Mapping[SplitName, NDArray[np.int64]]

_CHUNK_BYTES = 2**22


@dataclass(frozen=True, slots=True, kw_only=True)
class Treated:
    """The splits after copies were treated."""

    labels: Labels  # of the images that are left
    num_leaks: int  # groups of exact copies that still stand in more than one split
    num_dropped: int  # images that were left out


def treat_copies(
    folder: Path,
    material: Material,
    splits: Mapping[SplitName, Selection],
    *,
    digests: Mapping[SplitName, Sequence[bytes]],
    duplicates: Duplicates,
) -> Treated:
    """Count the copies among the images that were written, and leave them out if that is asked for.

    Args:
        folder: Has the file of images of each split; those with copies that go are written anew.
        material: The source.
        splits: Which of its images were written, in order.
        digests: Of their pixels.
        duplicates: `exact` leaves copies to the last pixel out; `near` those that look the same in another split, too.

    Raises:
        DataError: If a class would have no training image left, or look-alikes can't be told from copies.
    """
    labels = {split: material.parts[splits[split].part].labels[splits[split].numbers] for split in SPLITS}
    images = {split: np.load(folder / images_file(split), mmap_mode="r", allow_pickle=False) for split in SPLITS}
    places = [Place(split, n, int(label)) for split in SPLITS for n, label in enumerate(labels[split])]
    keys = (key for split in SPLITS for key in digests[split])
    groups = [[places[position] for position in group] for group in same(keys)]
    if duplicates == "keep":
        return Treated(labels=labels, num_leaks=num_leaks(groups), num_dropped=0)
    going = spare(groups, within_splits=True)
    if duplicates == "near":
        going |= spare(_near_groups(images, places, material, splits), within_splits=False)
    if lost := without_empty_classes(going, labels):
        names = listed([repr(material.class_names[label]) for label in lost])
        raise DataError(f"Without copies, class {names} has no training image left: leave it out, or keep copies.")
    kept = {split: _kept(len(labels[split]), {n for where, n in going if where == split}) for split in SPLITS}
    for split in SPLITS:
        if len(kept[split]) < len(labels[split]):
            _keep_rows(folder / images_file(split), images[split], kept[split])
    left = {split: labels[split][kept[split]] for split in SPLITS}
    return Treated(labels=left, num_leaks=0, num_dropped=len(going))


def _near_groups(
    images: Mapping[SplitName, Pixels],
    places: Sequence[Place],
    material: Material,
    splits: Mapping[SplitName, Selection],
) -> list[list[Place]]:
    if min(images["train"].shape[1:3]) < LEAST_SIDE:
        raise DataError(
            f"Images below {LEAST_SIDE} pixels a side look too much alike to find near copies: "
            "write `duplicates: exact`."
        )
    small: list[Pixels] = []
    for split in SPLITS:
        part, numbers = material.parts[splits[split].part], splits[split].numbers
        if part.thumbnails is None:
            small += _each(images[split], lambda some: list(map(thumbnail_of, some)))
        else:
            small += _each(numbers, part.thumbnails)
    found = alike(np.stack(small))
    if found is None:
        raise DataError(
            f"Near copies can't be told: there are more than {MOST_COMPARED:,} images, or very many that look alike. "
            "Write `duplicates: exact`."
        )
    return [[places[position] for position in group] for group in found]


def _each(rows: NDArray[Row], work: Callable[[NDArray[Row]], Iterable[T]]) -> list[T]:
    """Return what is made of every row, by several threads that take some at once."""
    runs = list(portions(len(rows), rows.shape[1:], num_bytes=_CHUNK_BYTES))
    found = in_parallel(lambda run: work(rows[run.start : run.stop]), runs, weigh=len, on_progress=None)
    return [one for some in found for one in some]


def _kept(number: int, going: set[int]) -> NDArray[np.int64]:
    return np.array([row for row in range(number) if row not in going], dtype=np.int64)


def _keep_rows(path: Path, images: Pixels, rows: NDArray[np.int64]) -> None:
    """Write a file of images anew with some of its rows; not through a map, which a full disk would kill."""
    draft = path.with_suffix(".kept")
    with draft.open("wb") as file:
        shape = (len(rows), *images.shape[1:])
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        for run in portions(len(rows), images.shape[1:], num_bytes=_CHUNK_BYTES):
            file.write(np.ascontiguousarray(images[rows[run.start : run.stop]]).data)
    draft.replace(path)
