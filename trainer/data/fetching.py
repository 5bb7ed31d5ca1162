"""Bring the files of a published data set into the data folder: from archives that lie there, or from the network.

An archive is held against its published checksum before it is unpacked, in a folder of its own; what it held moves
over when everything is there. So what a broken download leaves is never taken for the data set.
"""

import gzip
import hashlib
import os
import shutil
import socket
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

from trainer.data.files import workspace
from trainer.data.images import shown
from trainer.data.published import Archive, Published
from trainer.data.splits import listed
from trainer.data.tree import entries
from trainer.errors import DataError

PATIENCE_SECONDS = 20  # for a server to answer

_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError)


def fetch(entry: Published, data_dir: Path, *, may_download: bool) -> None:
    """See to it that the files of a data set are in the data folder.

    Raises:
        DataError: If they are not there and do not come, or an archive is damaged; it says what to put where.
    """
    if _is_there(entry, data_dir):
        return
    if not may_download and not all(_at_hand(entry, archive, data_dir) for archive in entry.archives):
        raise DataError(
            f"{entry.title} is not in {shown(data_dir)}, and downloads are off. {_by_hand(entry, data_dir)}"
        )
    with workspace(data_dir, f"{entry.kind.lower()}-download") as folder:
        if _is_there(entry, data_dir):  # another process may have brought it meanwhile
            return
        unpacked = folder / "unpacked"
        (unpacked / entry.folder).mkdir(parents=True)
        for archive in entry.archives:
            packed = _at_hand(entry, archive, data_dir) or _download(entry, archive, folder, data_dir)
            _unpack_whole(packed, unpacked / entry.folder, inner=entry.inner)
        _move_into(unpacked, data_dir)
    if not _is_there(entry, data_dir):
        raise DataError(f"The archives of {entry.title} did not hold what belongs in them. {_by_hand(entry, data_dir)}")


def identity(entry: Published, data_dir: Path) -> list[str]:
    """Return what changes when a file of the data set is written anew: paths, sizes and times."""
    return [version for place in entry.needs for version in _versions(data_dir / place)]


def _is_there(entry: Published, data_dir: Path) -> bool:
    return all((data_dir / place).exists() for place in entry.needs)


def _by_hand(entry: Published, data_dir: Path) -> str:
    many = len(entry.archives) > 1
    return (
        f"It is looked for in {shown(data_dir)} as {listed(list(entry.needs))}. To bring it yourself, fetch"
        f" {listed([archive.url for archive in entry.archives])}, and put {'the files' if many else 'the file'}"
        f" into {shown(data_dir / entry.folder)} as {'they are' if many else 'it is'}."
    )


def _at_hand(entry: Published, archive: Archive, data_dir: Path) -> Path | None:
    """Return an archive that somebody has put where it belongs.

    Raises:
        DataError: If it has not the published checksum.
    """
    path = data_dir / entry.folder / archive.file_name
    if not path.is_file():
        return None
    if archive.md5 is not None and _md5(path) != archive.md5:
        raise DataError(f"{shown(path)} has not the published checksum: it is damaged. Remove it and run again.")
    return path


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _download(entry: Published, archive: Archive, folder: Path, data_dir: Path) -> Path:
    """Download into `folder`, and return the file; torchvision holds it against its checksum."""
    from trainer.libraries import import_torchvision  # takes seconds

    try:
        with patience():
            import_torchvision().datasets.utils.download_url(archive.url, folder, archive.file_name, archive.md5)
    except (OSError, RuntimeError, HTTPException) as error:
        raise DataError(
            f"{entry.title} could not be downloaded from {archive.url}: {error}. {_by_hand(entry, data_dir)}"
        ) from error
    return folder / archive.file_name


@contextmanager
def patience() -> Iterator[None]:
    """Let no server keep this process waiting; torchvision's downloads have no such argument."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _unpack_whole(packed: Path, folder: Path, *, inner: str) -> None:
    """Unpack an archive into a folder, and then those that were in it, as the pattern `inner` names them."""
    try:
        _unpack(packed, folder)
        found = sorted(folder.glob(inner)) if inner else []
        for path in found:
            _unpack(path, folder)
    except _DAMAGE as error:
        raise DataError(f"{packed.name} can't be unpacked, it is damaged ({error}): fetch it anew.") from error
    for parent in {path.parent for path in found}:
        shutil.rmtree(parent)


def _unpack(packed: Path, folder: Path) -> None:
    """Unpack by the end of the name; what torchvision reads as it is, is copied."""
    if packed.name.endswith((".tar.gz", ".tgz")):
        with tarfile.open(packed) as tape:
            tape.extractall(folder, filter="data")
    elif packed.suffix == ".zip":
        with zipfile.ZipFile(packed) as zipped:
            zipped.extractall(folder)  # noqa: S202  -- of zip files, which drops leading slashes and dots
    elif packed.suffix == ".gz":
        with gzip.open(packed) as source, (folder / packed.stem).open("wb") as target:
            shutil.copyfileobj(source, target)
    else:
        shutil.copyfile(packed, folder / packed.name)


def _move_into(folder: Path, target: Path) -> None:
    """Move what a folder holds; folders that are there already get what they lack."""
    for path in folder.iterdir():
        goal = target / path.name
        if path.is_dir() and goal.is_dir():
            _move_into(path, goal)
        else:
            path.replace(goal)


def _versions(path: Path) -> Iterator[str]:
    if not path.is_dir():
        yield _version(path, path.stat())
        return
    for entry in entries(path):
        if entry.is_dir(follow_symlinks=False):
            yield from _versions(Path(entry.path))
        else:
            yield _version(entry.path, entry.stat(follow_symlinks=False))


def _version(path: Path | str, info: os.stat_result) -> str:
    return f"{path}|{info.st_size}|{info.st_mtime_ns}"
