"""A prepared data set on disk: what is written, and how it is read back.

It is a folder with `meta.json` and, for each split, `SPLIT_images.npy` (N, H, W, C) of uint8 and
`SPLIT_labels.npy` (N,) of int64. The test split has a door of its own: `locked`.
Letters: N images, H W pixels, C channels.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trainer.data.files import write_json
from trainer.data.images import Pixels, portions, shown
from trainer.data.splits import SPLITS, SplitName
from trainer.errors import DataError

SCHEMA = 3  # of the folder; another number is prepared anew
META = "meta.json"

_CHUNK_BYTES = 2**24


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean and standard deviation of each channel, in [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(slots=True)
class _Sums:
    """Exact sums over each channel of images."""

    num_pixels: int  # of a channel, in all
    total: NDArray[np.int64]  # (C,)
    squares: NDArray[np.int64]  # (C,)

    @classmethod
    def of(cls, images: Pixels) -> "_Sums":
        """Return the sums of images that are yet to be added."""
        channels = images.shape[-1]
        return cls(images.size // channels, np.zeros(channels, dtype=np.int64), np.zeros(channels, dtype=np.int64))

    def add(self, chunk: Pixels) -> None:
        """Add images (n, H, W, C)."""
        flat = chunk.reshape(len(chunk), -1)  # numpy adds long rows ten times faster than short ones
        self.total += _folded(flat, len(self.total))
        self.squares += _folded(np.square(flat, dtype=np.uint16), len(self.total))

    def moments(self) -> Moments:
        """Return the moments of all images, once they are added."""
        mean = self.total / self.num_pixels / 255
        variance = np.maximum(self.squares / self.num_pixels / 255**2 - mean**2, 0)  # rounding may go below
        return Moments(tuple(mean.tolist()), tuple(np.sqrt(variance).tolist()))


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """A prepared data set: what a job has to know of it, and where its pixels lie."""

    root: Path
    source: str  # as it is written on the command line, with its absolute path
    fingerprint: str  # 16 hexadecimal digits of pixels, labels, class names and who is in which split
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]  # H, W, C
    num_train: int
    num_val: int
    num_test: int
    mean: tuple[float, ...]  # of each channel of the training images, in [0, 1]
    std: tuple[float, ...]  # likewise; 0 where a channel is the same everywhere
    skipped: tuple[str, ...] = ()  # files that were left out, each with its reason
    num_leaks: int = 0  # groups of exact copies that stand in more than one split
    num_dropped: int = 0  # copies that were left out

    @property
    def moments(self) -> Moments:
        """Mean and standard deviation of the training images."""
        return Moments(self.mean, self.std)


@dataclass(frozen=True, slots=True)
class Split:
    """The images of one split; processes that open it share its pages, and a write stays in the process."""

    images: Pixels  # (N, H, W, C), a memory map
    labels: NDArray[np.int64]  # (N,)


def load_data_set(root: Path) -> DataSet:
    """Read the description of a prepared data set and check that its files are whole.

    Raises:
        DataError: If it is missing, damaged, or of another version.
    """
    try:
        meta: dict[str, Any] = json.loads((root / META).read_text(encoding="ascii"))
        if meta["schema"] != SCHEMA:
            raise DataError(f"{shown(root)} has layout {meta['schema']!r}, not {SCHEMA}: prepare it again.")
        _check_files(root, meta["files"])
        return _data_set(root, meta)
    except OSError as error:
        raise DataError(
            f"No prepared data set in {shown(root)}: {shown(str(error.filename))}: {error.strerror}."
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{shown(root / META)} is damaged: remove the folder and prepare it again.") from error


def open_split(data_set: DataSet, split: Literal["train", "val"]) -> Split:
    """Map the training or the validation images; no image is read yet.

    Raises:
        DataError: For any other name; the test split is for the end of a search.
    """
    if split not in ("train", "val"):
        raise DataError(f"Split {split!r} is not open to a search. Open 'train' or 'val'.")
    return read_split(data_set, split)


def absent_classes(data_set: DataSet, split: Literal["train", "val"]) -> tuple[str, ...]:
    """Return the names of the classes of which a split holds no image."""
    present = set(open_split(data_set, split).labels.tolist())
    return tuple(name for number, name in enumerate(data_set.class_names) if number not in present)


def read_split(data_set: DataSet, split: SplitName) -> Split:
    """Map any split; only this package calls it."""
    # Copied on write: torch takes the pages without complaint, and a stray write never reaches the file.
    images = np.load(data_set.root / images_file(split), mmap_mode="c", allow_pickle=False)
    return Split(images, np.load(data_set.root / labels_file(split), allow_pickle=False).astype(np.int64))


def images_file(split: SplitName) -> str:
    """Return the name of the file of pixels."""
    return f"{split}_images.npy"


def labels_file(split: SplitName) -> str:
    """Return the name of the file of labels."""
    return f"{split}_labels.npy"


def write_labels(root: Path, split: SplitName, labels: NDArray[np.int64]) -> None:
    """Write the labels of one split, in the same bytes on every machine."""
    np.save(root / labels_file(split), labels.astype("<i8"), allow_pickle=False)


def describe(
    root: Path,
    *,
    source: str,
    class_names: tuple[str, ...],
    skipped: Sequence[str] = (),
    num_leaks: int = 0,
    num_dropped: int = 0,
) -> None:
    """Write the description of a folder whose pixels and labels are written."""
    splits = {split: _mapped(root, images_file(split)) for split in SPLITS}
    sums = _Sums.of(splits["train"])
    fingerprint = _read_through(root, class_names, sums)
    found = sums.moments()
    files = [name for split in SPLITS for name in (images_file(split), labels_file(split))]
    meta = {
        "schema": SCHEMA,
        "source": source,
        "fingerprint": fingerprint,
        "class_names": class_names,
        "image_shape": splits["train"].shape[1:],
        "num_images": {split: len(images) for split, images in splits.items()},
        "mean": found.mean,
        "std": found.std,
        "skipped": list(skipped),
        "num_leaks": num_leaks,
        "num_dropped": num_dropped,
        "files": {name: (root / name).stat().st_size for name in files},
    }
    write_json(root / META, meta)


def _folded(rows: NDArray[np.unsignedinteger[Any]], channels: int) -> NDArray[np.int64]:
    """Add up each channel; 32 bits hold the sums of 1,024 squares of bytes."""
    columns: NDArray[np.uint32] = rows.sum(axis=0, dtype=np.uint32)
    channel_sums: NDArray[np.int64] = columns.reshape(-1, channels).sum(axis=0, dtype=np.int64)
    return channel_sums


def _read_through(root: Path, class_names: tuple[str, ...], sums: _Sums) -> str:
    """Add the training images to `sums`, and return the fingerprint: both in one reading of the pixels.

    It is 16 hexadecimal digits that change with any pixel, label, name or change of split.
    """
    digest = hashlib.blake2b(json.dumps(class_names).encode(), digest_size=8)
    for split in SPLITS:
        images, labels = _mapped(root, images_file(split)), _mapped(root, labels_file(split))
        digest.update(f"{split}{images.shape}".encode())
        digest.update(labels.data)
        for chunk in _chunks(images):
            digest.update(chunk.data)
            if split == "train":
                sums.add(chunk)
    return digest.hexdigest()


def _chunks(images: Pixels) -> Iterator[Pixels]:
    """Yield runs of images that fit into memory."""
    for some in portions(len(images), images.shape[1:], num_bytes=_CHUNK_BYTES):
        yield images[some.start : some.stop]


def _mapped(root: Path, name: str) -> NDArray[Any]:
    array: NDArray[Any] = np.load(root / name, mmap_mode="r", allow_pickle=False)
    return array


def _check_files(root: Path, sizes: dict[str, int]) -> None:
    for name, size in sizes.items():
        found = (root / name).stat().st_size
        if found != size:
            raise DataError(
                f"{shown(root / name)} has {found:,} bytes and not {size:,}: remove the folder and prepare it again."
            )


def _data_set(root: Path, meta: dict[str, Any]) -> DataSet:
    height, width, channels = meta["image_shape"]
    counts = meta["num_images"]
    return DataSet(
        root=root,
        source=str(meta["source"]),
        fingerprint=str(meta["fingerprint"]),
        class_names=tuple(meta["class_names"]),
        image_shape=(int(height), int(width), int(channels)),
        num_train=int(counts["train"]),
        num_val=int(counts["val"]),
        num_test=int(counts["test"]),
        mean=tuple(meta["mean"]),
        std=tuple(meta["std"]),
        skipped=tuple(map(str, meta["skipped"])),
        num_leaks=int(meta["num_leaks"]),
        num_dropped=int(meta["num_dropped"]),
    )
