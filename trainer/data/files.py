"""Files and folders that are whole or absent, and disks that may be full."""

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from trainer.data.images import shown
from trainer.errors import DataError

_UNFINISHED = ".building"
_LOCK = ".lock"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_RESERVE_BYTES = 16 * 2**20  # for what is small beside the pixels


def require_free(folder: Path, needed_bytes: int, *, what: str) -> None:
    """Refuse to begin what the disk cannot hold.

    Raises:
        DataError: It says how much is needed and how much is free.
    """
    free_bytes = shutil.disk_usage(folder).free
    if needed_bytes + _RESERVE_BYTES > free_bytes:
        raise DataError(
            f"There is not enough disk space to {what}: {needed_bytes + _RESERVE_BYTES:,} bytes are needed in"
            f" {shown(folder)}, {free_bytes:,} are free. Free some, or choose another cache folder."
        )


@contextmanager
def workspace(cache: Path, name: str) -> Iterator[Path]:
    """Hold the lock of `name` and lend an empty folder for the work on it, which is removed afterwards.

    What killed processes left, under this name or others, is removed first.

    Raises:
        DataError: If the cache cannot be written, or its disk is full.
    """
    with _writable(cache):
        cache.mkdir(parents=True, exist_ok=True)
        lock = FileLock(cache / (name + _LOCK)).acquire()
    with lock, _roomy(cache):
        _sweep(cache, spare=name)
        folder = cache / (name + _UNFINISHED)
        _remove(folder)
        folder.mkdir()
        try:
            yield folder
        finally:
            _remove(folder)


def publish(folder: Path, target: Path) -> None:
    """Give a finished folder its name, in one step, after its files have reached the disk."""
    for path in folder.iterdir():
        sync(path)
    sync(folder)
    damaged = folder.with_name(f"damaged-{target.name}{_UNFINISHED}")
    _remove(damaged)
    if target.exists():  # it could not be used, or nobody would have built another
        target.rename(damaged)
    folder.rename(target)
    sync(target.parent)
    _remove(damaged)


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write a mapping, indented for people."""
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="ascii")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Lend a path whose file takes the place of `path` if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield draft
        sync(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, have reached the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(cache: Path, *, spare: str) -> None:
    """Remove the unfinished work of processes that no longer hold their locks."""
    for folder in cache.glob(f"*{_UNFINISHED}"):
        name = folder.name.removesuffix(_UNFINISHED)
        if name == spare:
            continue
        try:
            with FileLock(cache / (name + _LOCK), timeout=0):
                _remove(folder)
        except Timeout:
            continue  # its owner lives


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


@contextmanager
def _writable(cache: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"Cannot write into {shown(cache)}: {error.strerror}. Choose another folder.") from error


@contextmanager
def _roomy(cache: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        free_bytes = shutil.disk_usage(cache).free
        raise DataError(
            f"The disk of {shown(cache)} took no more ({error.strerror}); {free_bytes:,} bytes are free."
            " Nothing was left behind. Free some space, or choose another cache folder, and run again."
        ) from error
