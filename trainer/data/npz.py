"""Arrays of images and labels in one file of numpy, checked before they are believed.

Nothing is unpickled. Headers say what an array claims to be, and the claims are checked before memory or disk
is spent on them; pixels go through a scratch file, so that a file larger than memory can be read.
Letters: N images, H W pixels, C channels, K classes.
"""

import math
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.data.files import require_free
from trainer.data.images import Pixels, shown
from trainer.data.material import (
    Material,
    Origin,
    array_part,
    check_class_names,
    existing,
    file_identity,
    stored_shape,
)
from trainer.data.splits import SplitName
from trainer.errors import DataError

MAX_BYTES = 64 * 2**30  # of the arrays, unpacked

_FORMS = "x_train, y_train [, x_val, y_val] [, x_test, y_test] [, class_names], or images, labels [, class_names]"
_KEYS: Mapping[SplitName, tuple[str, str]] = {
    "train": ("x_train", "y_train"),
    "val": ("x_val", "y_val"),
    "test": ("x_test", "y_test"),
}
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    ValueError,
    RuntimeError,  # encrypted
    NotImplementedError,  # packed in a way that Python's zipfile lacks
)
_COPY_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Header:
    """What an array in the file claims to be."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]


def find_npz(path: Path) -> Origin:
    """Look at a file, without opening it.

    Raises:
        DataError: If there is no such file.
    """
    place = existing(path, kind="file")
    return Origin(
        name=f"npz:{place}",
        identity=[file_identity(place)],
        open=lambda scratch, size: read_npz(place, scratch, size=size),
    )


def read_npz(path: Path, scratch: Path, *, size: int | None) -> Material:
    """Check a file and unpack its images into `scratch`, where the material keeps using them.

    Raises:
        DataError: For anything that is not as it ought to be; it names the array and the remedy.
    """
    with _archive(path) as archive:
        headers = _headers(archive)
        keys = choose_keys(headers)
        _check_size(archive, [key for pair in keys.values() for key in pair], scratch)
        names = _class_names(archive, headers)
        shape = check_shapes(headers, keys)
        labels = {split: _labels(archive, y, headers[y], names) for split, (_, y) in keys.items()}
        names = names or numbered_classes(labels["train"], keys["train"][1])
        for split, (_, y) in keys.items():
            check_labels(labels[split], key=y, num_classes=len(names))
        images = {split: _unpack(archive, x, scratch) for split, (x, _) in keys.items()}
    parts = {split: array_part(images[split], labels[split], size=size) for split in keys}
    return Material(class_names=names, image_shape=stored_shape((0, *shape), size), parts=parts)


def choose_keys(headers: Mapping[str, Header]) -> dict[SplitName, tuple[str, str]]:
    """Return the arrays of images and labels of each split that the file has.

    Raises:
        DataError: If the training arrays, or one of a pair, are missing.
    """
    if "x_train" not in headers and "images" in headers and "labels" in headers:
        return {"train": ("images", "labels")}
    keys = {split: pair for split, pair in _KEYS.items() if any(key in headers for key in pair)}
    wanted = [key for pair in (_KEYS["train"], *keys.values()) for key in pair]
    missing = [key for key in dict.fromkeys(wanted) if key not in headers]
    if missing:
        raise DataError(
            f"The file has no array {' and no '.join(missing)}; it has {', '.join(headers) or 'none'}."
            f" The names are {_FORMS}."
        )
    return keys


def check_shapes(headers: Mapping[str, Header], keys: Mapping[SplitName, tuple[str, str]]) -> tuple[int, int, int]:
    """Return H, W, C, the same for all arrays of images.

    Raises:
        DataError: If a type or a shape is not as it ought to be, or images and labels differ in number.
    """
    first = keys["train"][0]
    shape = _image_shape(headers[first], first)
    for x, y in keys.values():
        if _image_shape(headers[x], x) != shape:
            raise DataError(f"{x} has images of {headers[x].shape[1:]}, {first} of {headers[first].shape[1:]}.")
        num_images, num_labels = headers[x].shape[0], _num_labels(headers[y], y)
        if num_images != num_labels:
            raise DataError(f"{x} has {num_images} images and {y} has {num_labels} labels: they must be as many.")
        if not num_images:
            raise DataError(f"{x} holds no image. Fill it, or leave {x} and {y} out.")
    return shape


def numbered_classes(labels: NDArray[np.int64], key: str) -> tuple[str, ...]:
    """Name classes by their numbers where the file gives no names."""
    highest = int(labels.max())
    if highest >= len(labels):
        raise DataError(f"{key} has a label {highest} among {len(labels)} images: number the classes from 0.")
    return tuple(map(str, range(highest + 1)))


def check_labels(labels: NDArray[np.int64], *, key: str, num_classes: int) -> None:
    """Refuse labels outside of 0 to K - 1.

    Raises:
        DataError: It quotes the first one.
    """
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if len(wrong):
        raise DataError(
            f"{key}[{wrong[0]}] is {labels[wrong[0]]}: the labels of {num_classes} classes are 0 to {num_classes - 1}."
        )


def whole_numbers(raw: NDArray[np.generic], key: str) -> NDArray[np.int64]:
    """Return labels as integers, and refuse to round.

    Raises:
        DataError: It quotes the first label that is no whole number.
    """
    if raw.dtype.kind == "f":
        wrong = np.flatnonzero(raw != np.floor(raw))  # also true of nan
        if len(wrong):
            raise DataError(f"{key}[{wrong[0]}] is {raw[wrong[0]]}: labels are whole numbers from 0.")
    if raw.dtype.kind == "i":
        return raw.astype(np.int64)
    # What lies beyond is out of every range, and stays so when it is cut to fit an int64.
    return np.minimum(np.maximum(raw.astype(np.float64), -(2.0**31)), 2.0**31).astype(np.int64)


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open the file; faults that appear while it is read are reported under its name."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except DataError as error:
        raise DataError(f"{shown(path)}: {error}") from None
    except zipfile.BadZipFile as error:
        raise DataError(
            f"{shown(path)} is no .npz file, or a damaged one ({error}). Write it with numpy.savez."
        ) from error
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            raise  # of the scratch disk; files of the archive report with their names
        raise DataError(f"{shown(path)} cannot be read: {error}") from error


def _headers(archive: zipfile.ZipFile) -> dict[str, Header]:
    names = [name for name in archive.namelist() if name.endswith(".npy")]
    return {name.removesuffix(".npy"): _header(archive, name) for name in names}


def _header(archive: zipfile.ZipFile, name: str) -> Header:
    """Read what an array claims to be, and hold it against the bytes that are there."""
    with archive.open(name) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise DataError(f"{name} has named fields; an array of plain numbers is needed.")
        read = np.lib.format.read_array_header_1_0
        shape, _, dtype = (read if version == (1, 0) else np.lib.format.read_array_header_2_0)(stream)
        claimed = stream.tell() + math.prod(shape) * dtype.itemsize
    if not dtype.hasobject and claimed != archive.getinfo(name).file_size:
        raise DataError(f"{name} claims {claimed} bytes and has {archive.getinfo(name).file_size}: it is damaged.")
    return Header(shape, dtype)


def _check_size(archive: zipfile.ZipFile, keys: list[str], scratch: Path) -> None:
    size = sum(archive.getinfo(f"{key}.npy").file_size for key in keys)
    if size > MAX_BYTES:
        raise DataError(
            f"Its arrays unpack to {size / 2**30:.0f} GiB; at most {MAX_BYTES >> 30} GiB are taken."
            " Write the images smaller, or as files: folder:DIR."
        )
    require_free(scratch, size, what="unpack it")


def _image_shape(header: Header, key: str) -> tuple[int, int, int]:
    if header.dtype != np.uint8:
        raise DataError(f"{key} has type {header.dtype}: pixels are uint8, 0 to 255.{_as_bytes(header)}")
    shape = (*header.shape, 1) if len(header.shape) == 3 else header.shape
    if len(shape) != 4 or shape[3] not in (1, 3) or not all(shape[1:]):
        raise DataError(
            f"{key} has shape {header.shape}: it must be (N, H, W), (N, H, W, 1) or (N, H, W, 3)."
            f"{_channels_first(header)}"
        )
    return shape[1], shape[2], shape[3]


def _as_bytes(header: Header) -> str:
    if header.dtype.hasobject:
        return " Images of different sizes do not make an array: save them as files, folder:DIR."
    return " Save (x * 255).round().astype('uint8') of floats from 0 to 1." if header.dtype.kind == "f" else ""


def _channels_first(header: Header) -> str:
    is_so = len(header.shape) == 4 and header.shape[1] in (1, 3)
    return " The channels come last: save x.transpose(0, 2, 3, 1)." if is_so else ""


def _num_labels(header: Header, key: str) -> int:
    if header.dtype.kind not in "iufb":
        kind = "Python objects" if header.dtype.hasobject else f"type {header.dtype}"
        raise DataError(f"{key} has {kind}: number the classes from 0, and name them in class_names.")
    if len(header.shape) != 1 and header.shape[1:] != (1,):
        raise DataError(
            f"{key} has shape {header.shape}: it must be (N,), one label an image. Save y.argmax(1) of one-hot rows."
        )
    return header.shape[0]


def _read(archive: zipfile.ZipFile, key: str) -> NDArray[np.generic]:
    with archive.open(f"{key}.npy") as stream:
        values: NDArray[np.generic] = np.lib.format.read_array(stream, allow_pickle=False)
        return values


def _labels(archive: zipfile.ZipFile, key: str, header: Header, names: tuple[str, ...]) -> NDArray[np.int64]:
    labels = whole_numbers(_read(archive, key).reshape(header.shape[0]), key)
    check_labels(labels, key=key, num_classes=len(names) or 2**31)
    return labels


def _class_names(archive: zipfile.ZipFile, headers: Mapping[str, Header]) -> tuple[str, ...]:
    """Return the names that the file gives, or none."""
    if "class_names" not in headers:
        return ()
    header = headers["class_names"]
    if header.dtype.kind not in "U" or len(header.shape) != 1:
        raise DataError("class_names must be a list of text: save numpy.array(['cat', 'dog']).")
    return check_class_names([str(name) for name in _read(archive, "class_names")])


def _unpack(archive: zipfile.ZipFile, key: str, scratch: Path) -> Pixels:
    """Copy an array to a file and map it; the copy checks the checksum that the archive holds."""
    place = scratch / f"{key}.npy"
    with archive.open(f"{key}.npy") as packed, place.open("wb") as unpacked:
        shutil.copyfileobj(packed, unpacked, _COPY_BYTES)
    images: Pixels = np.load(place, mmap_mode="r", allow_pickle=False)
    return images if images.ndim == 4 else images[..., np.newaxis]
