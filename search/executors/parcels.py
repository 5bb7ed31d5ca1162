"""Files on their way between a driver and machines that see none of its directories; no Ray behind it.

A job's directory goes to the machine when the job begins, as far as the job goes on from it, and what the job leaves
comes back before the event that speaks of it. A data set goes there once.
"""

import os
import shutil
import stat
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from trainer.files import write_bytes
from trainer.jobfiles import CHECKPOINT, PREDICTIONS, PREVIOUS_CHECKPOINT, SAMPLES, TEST_PREDICTIONS, WEIGHTS

BROUGHT = (CHECKPOINT, PREVIOUS_CHECKPOINT)  # to a job that goes on
LEFT = (SAMPLES, CHECKPOINT, PREDICTIONS, TEST_PREDICTIONS, WEIGHTS)  # by a job
PLACE = ".place"  # file in a job's directory by which a machine knows that it sees the driver's own
CHUNK_BYTES = 2**26

List = Callable[[str], list[tuple[str, int]]]  # from a folder of the driver to its files: names and bytes
Read = Callable[[str, str, int], bytes]  # a chunk of a file: folder, name, from which byte on


@dataclass(slots=True)
class Depot:
    """What machines ask their driver for: files, and whether a job shall stop."""

    _stopped: set[int] = field(default_factory=set)

    def stop(self, job: int) -> None:
        """Let a job stop as soon as it asks."""
        self._stopped.add(job)

    def begin(self, job: int) -> None:
        """Let a job run that may have been stopped before."""
        self._stopped.discard(job)

    def is_stopped(self, job: int) -> bool:
        """Say whether a job shall stop."""
        return job in self._stopped

    def files(self, folder: str) -> list[tuple[str, int]]:
        """Return names and bytes of the files of a folder, none if it is missing."""
        place = Path(folder)
        found = sorted(path for path in place.iterdir() if path.is_file()) if place.is_dir() else []
        return [(path.name, path.stat().st_size) for path in found]

    def read(self, folder: str, name: str, start: int) -> bytes:
        """Return a chunk of a file."""
        with (Path(folder) / name).open("rb") as file:
            file.seek(start)
            return file.read(CHUNK_BYTES)


def is_drivers_own(directory: Path, token: str) -> bool:
    """Say whether a job's directory as this machine sees it is the driver's own."""
    try:
        return (directory / PLACE).read_text() == token
    except OSError:
        return False


def fetch(names: Callable[[str], bool], folder: Path, target: Path, files: List, read: Read) -> None:
    """Copy the files of a driver's folder that are wanted."""
    target.mkdir(parents=True, exist_ok=True)
    for name, size in files(str(folder)):
        if names(name):
            with (target / name).open("wb") as file:
                for start in range(0, size, CHUNK_BYTES):
                    file.write(read(str(folder), name, start))


def data_on_this_machine(root: Path, cache: Path, files: List, read: Read) -> Path:
    """Return where the prepared data set of a driver lies here; it is fetched once, while others wait.

    Args:
        root: Where it lies on the driver's machine; here, too, if directories are shared.
        cache: Of this machine.
        files: Asks the driver.
        read: Likewise.
    """
    if root.is_dir():
        return root
    target = cache / root.name
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if not target.is_dir():
            for torn in cache.glob(f".{root.name}.*"):  # whoever was at it was killed
                shutil.rmtree(torn, ignore_errors=True)
            arriving = Path(tempfile.mkdtemp(dir=cache, prefix=f".{root.name}."))
            try:
                fetch(lambda name: not name.startswith("."), root, arriving, files, read)
                arriving.rename(target)
            except BaseException:
                shutil.rmtree(arriving, ignore_errors=True)
                raise
    return target


def own_folder() -> Path:
    """Return the folder of this user in this machine's place for temporary files; it is made where it is missing.

    Raises:
        PermissionError: If it is another user's, who could put anything into it.
    """
    folder = Path(tempfile.gettempdir()) / f"autoclf-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise PermissionError(f"{folder} is no folder of this user's. Delete it, or set TMPDIR to another place.")
    return folder


@contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """Make a directory for a job within a folder, for as long as the block lasts; what killed ones left goes first."""
    folder.mkdir(exist_ok=True)
    for lock in folder.glob("*.lock"):
        with suppress(Timeout), FileLock(lock, timeout=0):  # else its job runs
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink(missing_ok=True)
    own = folder / uuid.uuid4().hex
    with FileLock(f"{own}.lock"):
        own.mkdir()
        try:
            yield own
        finally:
            shutil.rmtree(own, ignore_errors=True)
            Path(f"{own}.lock").unlink(missing_ok=True)


@dataclass(slots=True)
class Outgoing:
    """What a job has left in its directory since somebody looked last."""

    directory: Path
    _seen: dict[str, tuple[int, int]] = field(default_factory=dict)  # by name: time and size

    def changed(self) -> Iterator[tuple[str, bytes]]:
        """Yield names and contents of the files that are new."""
        for name in LEFT:
            path = self.directory / name
            try:
                status = path.stat()
                known = (status.st_mtime_ns, status.st_size)
                if self._seen.get(name) != known:
                    content = path.read_bytes()
                    self._seen[name] = known
                    yield name, content
            except FileNotFoundError:
                continue

    def ignore_present(self) -> None:
        """Take what is there for known."""
        for _ in self.changed():
            pass


def receive(directory: Path, name: str, content: bytes) -> None:
    """Put a file that a job has left into its directory; a checkpoint moves the one before it aside.

    Raises:
        ValueError: If it is none that a job leaves.
    """
    if name not in LEFT:
        raise ValueError(f"A job leaves no {name!r}.")
    directory.mkdir(parents=True, exist_ok=True)
    if name == CHECKPOINT and (directory / CHECKPOINT).exists():
        (directory / CHECKPOINT).replace(directory / PREVIOUS_CHECKPOINT)
    write_bytes(directory / name, content)
