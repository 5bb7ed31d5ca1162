"""What every kind of source comes down to before it is written: labels, and a way to get pixels.

Letters: N images, H W pixels, C channels.
"""

from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trainer.data.images import BadImage, Pixels, fit_pixels, shown
from trainer.data.splits import SplitName
from trainer.errors import DataError, did_you_mean

Fill = Callable[[NDArray[np.int64], Pixels], list[BadImage]]
Thumbnails = Callable[[NDArray[np.int64]], Pixels]


@dataclass(frozen=True, slots=True)
class Part:
    """The images that a source gives for one split."""

    labels: NDArray[np.int64]  # (N,)
    fill: Fill  # writes the images of these numbers into an array (n, H, W, C); threads call it
    groups: Sequence[str] | None = None  # N names; images of one group stay in one split
    paths: Sequence[str] | None = None  # N names of files, as `BadImage` has them; None for arrays
    thumbnails: Thumbnails | None = None  # of whole images; None where what is stored is the whole image


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """A source, opened."""

    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]  # H, W, C as they will be stored
    parts: Mapping[SplitName, Part]  # `train` always; the others where the source gives them
    unfit: tuple[BadImage, ...] = ()  # known to be unusable before anything is decoded


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A source that was found.

    Attributes:
        name: The source as it is written on the command line, with its absolute path.
        identity: Changes whenever the content may have changed; compared, never shown.
        open: Takes a folder for scratch files that outlive the material, and the size of the images to make.
    """

    name: str
    identity: Sequence[str]
    open: Callable[[Path, int | None], Material]


def without(material: Material, bad: Collection[BadImage]) -> Material:
    """Leave the files out that cannot be used."""
    names = {str(image.path) for image in bad}
    parts = {split: _part_without(part, names) for split, part in material.parts.items()}
    return replace(material, parts=parts, unfit=())


def _part_without(part: Part, names: Container[str]) -> Part:
    if part.paths is None:
        return part
    thumbnails = part.thumbnails
    kept = np.array([number for number, path in enumerate(part.paths) if path not in names], dtype=np.int64)
    return Part(
        labels=part.labels[kept],
        fill=lambda numbers, out: part.fill(kept[numbers], out),
        groups=None if part.groups is None else [part.groups[number] for number in kept],
        paths=[part.paths[number] for number in kept],
        thumbnails=None if thumbnails is None else lambda numbers: thumbnails(kept[numbers]),
    )


def array_part(images: Pixels, labels: NDArray[np.int64], *, size: int | None) -> Part:
    """Make a part of images in memory or a memory map, (N, H, W, C); `size` None keeps H and W."""

    def fill(numbers: NDArray[np.int64], out: Pixels) -> list[BadImage]:
        if size is None or images.shape[1:3] == (size, size):
            out[...] = images[numbers]
        else:
            for row, number in enumerate(numbers):
                out[row] = fit_pixels(images[number], size)
        return []

    return Part(labels, fill)


def stored_shape(shape: tuple[int, ...], size: int | None) -> tuple[int, int, int]:
    """Return H, W, C of images (N, H, W, C) after resizing."""
    _, height, width, channels = shape
    return (height, width, channels) if size is None else (size, size, channels)


def check_class_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names if each can be printed and told from the others.

    Raises:
        DataError: It quotes the names at fault.
    """
    for name in names:
        if not name.strip() or not name.isprintable():
            raise DataError(f"Class name {name!r} cannot be printed: rename it.")
    seen: dict[str, str] = {}
    for name in names:
        if twin := seen.get(name.casefold()):
            raise DataError(f"Class names {twin!r} and {name!r} differ in nothing but case: rename one, or merge them.")
        seen[name.casefold()] = name
    return tuple(names)


_FORMS = {"file": "npz:FILE", "folder": "folder:DIR", "table": "csv:FILE"}


def existing(path: Path, *, kind: Literal["file", "folder", "table"]) -> Path:
    """Return the real path of a file or folder.

    Raises:
        DataError: If there is none; it names the nearest one that is there.
    """
    try:
        if path.is_dir() if kind == "folder" else path.is_file():
            return path.resolve()
        fault = f"is not a {kind}: write {_FORMS[kind]}" if path.exists() else "does not exist"
        beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    except (OSError, ValueError) as error:  # a name too long, or with a zero byte in it
        raise DataError(f"The {kind} {shown(path)} cannot be looked for: {error}.") from error
    raise DataError(f"The {kind} {shown(path)} {fault}.{did_you_mean(path.name, beside)}")


def file_identity(path: Path) -> str:
    """Return what changes when a file is written anew: its path, size and time."""
    info = path.stat()
    return f"{path.resolve()}|{info.st_size}|{info.st_mtime_ns}"
