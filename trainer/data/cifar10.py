"""CIFAR-10, from whichever form of it lies in the data folder, or from the network.

The official batches are pickles: torchvision holds them against the published checksums before it opens them,
and nothing else here does. Its import takes seconds, so it waits until a batch has to be read.
"""

import tarfile
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np

from trainer.data.fetching import patience
from trainer.data.files import workspace
from trainer.data.images import shown
from trainer.data.material import Material, Origin, array_part, file_identity, stored_shape
from trainer.data.npz import read_npz
from trainer.data.splits import SplitName
from trainer.data.torchvision_sets import opened
from trainer.errors import DataError

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
ARRAYS = "cifar10.npz"
BATCHES = "cifar-10-batches-py"
ARCHIVE = "cifar-10-python.tar.gz"

Download = Callable[[Path], None]


def find_cifar10(data_dir: Path, download: Download | None) -> Origin:
    """Find CIFAR-10 in `data_dir`, or put there what `download` leaves in the folder that it is given.

    Args:
        data_dir: Looked through for arrays, batches and archive, in this order.
        download: None forbids it.

    Raises:
        DataError: If it is not there and does not come; the message says what to put where.
    """
    if origin := _local(data_dir):
        return origin
    if download is None:
        raise DataError(f"CIFAR-10 is not in {shown(data_dir)}, and downloads are off. {_by_hand(data_dir)}")
    with workspace(data_dir, "cifar10-download") as folder:
        if not _local(data_dir):  # another process may have fetched it meanwhile
            _fetch(data_dir, folder, download)
    if origin := _local(data_dir):
        return origin
    raise DataError(f"The download of CIFAR-10 left nothing that can be used. {_by_hand(data_dir)}")


def download_cifar10(folder: Path) -> None:
    """Fetch the official archive and hold it against its published checksum."""
    with patience():
        _torchvision_utils().download_url(_torchvision_cifar().url, folder, ARCHIVE, _torchvision_cifar().tgz_md5)


def _local(data_dir: Path) -> Origin | None:
    """Return the first form of CIFAR-10 that lies in the folder."""
    arrays, batches, archive = (data_dir / name for name in (ARRAYS, BATCHES, ARCHIVE))
    if arrays.is_file():
        return _origin([arrays], lambda scratch, size: _read_arrays(arrays, scratch, size))
    if batches.is_dir():
        return _origin(sorted(batches.iterdir()), lambda _, size: _read_batches(data_dir, size))
    if archive.is_file():
        return _origin([archive], lambda scratch, size: _read_archive(archive, scratch, size))
    return None


def _origin(files: list[Path], read: Callable[[Path, int | None], Material]) -> Origin:
    return Origin(name="cifar10", identity=[file_identity(f) for f in files], open=read)


def _fetch(data_dir: Path, folder: Path, download: Download) -> None:
    """Download into `folder`, and move over what is complete."""
    try:
        download(folder)
    except (OSError, RuntimeError, HTTPException) as error:
        raise DataError(f"CIFAR-10 could not be downloaded: {error}. {_by_hand(data_dir)}") from error
    for path in folder.iterdir():
        path.replace(data_dir / path.name)


def _by_hand(data_dir: Path) -> str:
    return (
        f"Put the official {ARCHIVE}, or the folder {BATCHES} from it, or a {ARRAYS} with x_train, y_train,"
        f" x_test and y_test into {shown(data_dir)}. Such arrays elsewhere are used by --data npz:FILE."
    )


def _read_arrays(path: Path, scratch: Path, size: int | None) -> Material:
    found = read_npz(path, scratch, size=None)
    num_classes = len(found.class_names)
    if found.image_shape != (32, 32, 3) or num_classes != len(CLASS_NAMES) or set(found.parts) != {"train", "test"}:
        raise DataError(
            f"{shown(path)} is not CIFAR-10: it has {num_classes} classes, images of {found.image_shape} and"
            f" the splits {' and '.join(found.parts)}, where 10, (32, 32, 3), train and test belong."
            f" To use it as it is, write npz:{shown(path)}."
        )
    sized = read_npz(path, scratch, size=size) if size else found
    return Material(class_names=CLASS_NAMES, image_shape=sized.image_shape, parts=sized.parts)


def _read_archive(path: Path, scratch: Path, size: int | None) -> Material:
    if not _torchvision_utils().check_integrity(path, _torchvision_cifar().tgz_md5):
        raise DataError(f"{shown(path)} has not the published checksum: it is damaged. Remove it and run again.")
    with tarfile.open(path) as archive:
        archive.extractall(scratch, filter="data")
    return _read_batches(scratch, size)


def _read_batches(folder: Path, size: int | None) -> Material:
    """Read the official batches below `folder`, after torchvision has verified them."""
    train, test = (_verified(folder, is_train=is_train) for is_train in (True, False))
    found: Mapping[SplitName, Any] = {"train": train, "test": test}
    parts = {split: array_part(data.data, np.array(data.targets, np.int64), size=size) for split, data in found.items()}
    return Material(class_names=CLASS_NAMES, image_shape=stored_shape(train.data.shape, size), parts=parts)


def _verified(folder: Path, *, is_train: bool) -> Any:
    try:
        return opened("CIFAR10", folder, {"train": is_train})
    except RuntimeError as error:
        raise DataError(
            f"The files in {shown(folder / BATCHES)} have not the published checksums and are not opened."
            " Remove the folder and run again."
        ) from error


def _torchvision_cifar() -> Any:
    from trainer.libraries import import_torchvision

    return import_torchvision().datasets.CIFAR10


def _torchvision_utils() -> Any:
    from trainer.libraries import import_torchvision

    return import_torchvision().datasets.utils
