"""Published data sets as torchvision's classes find them: arrays, or lists of files that are decoded here.

Its classes read the lists and labels that come with a set; no image goes through them, as they open files unguarded.
Pickles and MATLAB files are held against their published checksums, by its classes, before they are opened.
Letters: N images, H W pixels, C channels.
"""

import csv
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.data.fetching import fetch, identity
from trainer.data.images import Pixels, shown
from trainer.data.material import Material, Origin, array_part, check_class_names, stored_shape
from trainer.data.published import Published
from trainer.data.splits import SPLITS, SplitName, listed
from trainer.data.tree import DEFAULT_SIZE, Findings, ImageFile, Tree, check_tree, look_at, tree_material
from trainer.errors import DataError

# What torchvision's classes raise on files that are not as published.
_DAMAGE = (OSError, ValueError, RuntimeError, AssertionError, LookupError, TypeError, EOFError, csv.Error)


@dataclass(frozen=True, slots=True)
class _Part:
    """What torchvision knows of one split."""

    images: Any  # an array, or paths
    labels: NDArray[np.int64]  # from 0
    class_names: tuple[str, ...]


def find_published(entry: Published, data_dir: Path, *, may_download: bool) -> Origin:
    """Find a data set in `data_dir`, or bring it there; none of its files is opened.

    Raises:
        DataError: If it is not there and does not come; the message says what to put where.
    """
    fetch(entry, data_dir, may_download=may_download)
    root = data_dir.resolve()
    return Origin(
        name=entry.name,
        identity=[entry.kind, *entry.class_names, *identity(entry, root)],
        open=lambda _, size: _material(entry, root, size),
    )


def list_files(entry: Published, data_dir: Path) -> Tree:
    """List the image files of a data set that has come; none is opened.

    Raises:
        DataError: If its lists are damaged.
    """
    root = data_dir.resolve()
    found = Findings(root)
    parts = _parts(entry, root)
    names = parts["train"].class_names
    files = [file for split, part in parts.items() for file in _image_files(entry, split, part, found)]
    order = {name: number for number, name in enumerate(names)}
    used = {file.class_name for file in files}
    return Tree(
        root=root,
        class_names=names,
        splits=tuple(split for split in SPLITS if split in parts),
        files=tuple(sorted(files, key=lambda f: (SPLITS.index(f.split), order[f.class_name], f.path))),
        empty=tuple(name for name in names if name not in used),
        unfit=tuple(found.unfit),
        formats=entry.formats,
    )


def opened(
    kind: str, folder: Path, arguments: Mapping[str, object], attributes: Mapping[str, Any] | None = None
) -> Any:
    """Return an object of one of torchvision's classes for what lies in `folder`; nothing is downloaded.

    Args:
        kind: Name of the class.
        folder: As its `root`.
        arguments: For the class.
        attributes: Stand in place of the class's own, such as checksums.

    Raises:
        RuntimeError: If files are missing or have not the published checksums.
    """
    from trainer.libraries import import_torchvision  # takes seconds

    published = getattr(import_torchvision().datasets, kind)
    own = type(kind, (published,), dict(attributes or {}))  # of the same name, which is that of a folder for some
    with warnings.catch_warnings():
        # The official pickles are older than numpy's present notion of a data type.
        warnings.simplefilter("ignore", np.exceptions.VisibleDeprecationWarning)
        return own(str(folder), **arguments)


def _material(entry: Published, root: Path, size: int | None) -> Material:
    if entry.form == "files":
        tree = list_files(entry, root)
        check_tree(tree)
        return tree_material(tree, size or entry.image_size or DEFAULT_SIZE)
    parts = _parts(entry, root)
    arrays = {split: _pixels(entry, root, part) for split, part in parts.items()}
    return Material(
        class_names=parts["train"].class_names,
        image_shape=stored_shape(arrays["train"].shape, size),
        parts={split: array_part(arrays[split], part.labels, size=size) for split, part in parts.items()},
    )


def _parts(entry: Published, root: Path) -> dict[SplitName, _Part]:
    """Return what torchvision knows of each split that is given.

    Raises:
        DataError: If files are damaged, or splits have different classes.
    """
    parts = {split: _part(entry, root, arguments) for split, arguments in entry.parts.items()}
    names = parts["train"].class_names
    for split, part in parts.items():
        if part.class_names != names or not _fit(part.labels, len(part.images), len(names)):
            raise _damaged(entry, root, f"the labels of {split} do not fit")
    return parts


def _part(entry: Published, root: Path, arguments: Mapping[str, object]) -> _Part:
    try:
        found = opened(entry.kind, root, arguments, entry.attributes)
        images, labels = entry.kept.images(found), np.asarray(entry.kept.labels(found))
        names = entry.class_names or entry.kept.classes(found)
    except _DAMAGE as error:
        raise _damaged(entry, root, type(error).__name__) from error
    numbers = labels if labels.ndim == 1 else labels[:, 0]
    return _Part(images, numbers.astype(np.int64) - entry.first_label, _readable(names))


def _damaged(entry: Published, root: Path, why: str) -> DataError:
    return DataError(
        f"The files of {entry.title} in {shown(root)} are damaged, or not the published ones ({why}):"
        f" {listed(list(entry.needs))}. Remove them and run again."
    )


def _readable(names: Sequence[str]) -> tuple[str, ...]:
    return check_class_names([name.replace("_", " ") for name in names])


def _fit(labels: NDArray[np.int64], num_images: int, num_classes: int) -> bool:
    return 0 < len(labels) == num_images and labels.min() >= 0 and labels.max() < num_classes


def _pixels(entry: Published, root: Path, part: _Part) -> Pixels:
    """Return (N, H, W, C), a view where that suffices."""
    images: Pixels = np.asarray(part.images)
    if images.ndim == 3:
        images = images[..., np.newaxis]
    elif images.shape[1] == 3:
        images = images.transpose(0, 2, 3, 1)
    if images.shape[1:3] != (entry.image_size, entry.image_size) or images.dtype != np.uint8:
        raise _damaged(entry, root, f"images of {images.shape[1:]}")
    return images.swapaxes(1, 2) if entry.is_turned else images


def _image_files(entry: Published, split: SplitName, part: _Part, found: Findings) -> Iterator[ImageFile]:
    """Yield the files of one split that can be opened; the others are noted."""
    for place, label in zip(part.images, part.labels.tolist(), strict=True):
        image = look_at(str(place).removeprefix(f"{found.root}/"), found)
        if image is not None:
            yield ImageFile(image.path, split, part.class_names[label], image.version, _group(entry, image.path))


def _group(entry: Published, path: str) -> str:
    match = re.search(entry.group, path) if entry.group else None
    return match[0] if match else ""
