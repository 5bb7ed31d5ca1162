"""How many batches all workers compute at this moment, so that one may take an idle core, and none crowds a busy one.

Systems give connections to workers unevenly: without this, one worker could have all requests and one core, and another
worker's core nothing to do. Each process has a byte in a file of its own, which all others map.
"""

import mmap
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

LOOK_SECONDS = 1.0  # between two looks at which workers there are


@dataclass(slots=True)
class Lanes:
    """The batches of one worker among all."""

    folder: Path  # of all workers
    most: int  # batches of all workers together, up to which one may compute more than one
    _own: mmap.mmap = field(init=False)
    _all: dict[str, mmap.mmap] = field(default_factory=dict)  # by process
    _looked_at: float = -LOOK_SECONDS

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        path = self.folder / str(os.getpid())
        path.write_bytes(b"\0")
        self._own = _mapped(path)

    def is_free(self) -> bool:
        """Say whether one more batch than the first may begin."""
        now = time.monotonic()
        if now - self._looked_at > LOOK_SECONDS:
            self._look()
            self._looked_at = now
        return sum(each[0] for each in self._all.values()) < self.most

    def begin(self) -> None:
        """Count a batch."""
        self._own[0] += 1

    def end(self) -> None:
        """Count it no longer."""
        self._own[0] -= 1

    def _look(self) -> None:
        """Map the files of all workers that live; what dead ones left is deleted."""
        found = {}
        for path in self.folder.iterdir():
            if not _is_alive(int(path.name)):
                path.unlink(missing_ok=True)
            else:
                found[path.name] = self._all.get(path.name) or _mapped(path)
        self._all = found


def _mapped(path: Path) -> mmap.mmap:
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), 1)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
