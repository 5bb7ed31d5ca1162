"""One driver a study: a lock on this machine, a heartbeat in the database for the others."""

import os
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from search.errors import StorageBusyError, StudyError
from search.study import Study

BEAT_SECONDS = 10.0
GRACE_SECONDS = 90.0  # without a beat, after which a driver seems dead
WATCHED_SECONDS = 2.5 * BEAT_SECONDS  # that one which seems dead is watched for a beat: clocks of two machines differ
ATTRIBUTE = "autoclf.driver"
LOOKS = 25  # while a driver is watched


class Lease:
    """The right to drive a study, for as long as the `with` block lasts.

    The lock is the system's, so it goes with the process, however that ends. A heartbeat that can't be written is
    tried again: a locked database costs no lease.

    Raises:
        StudyError: On entering, if another driver has the study.
    """

    def __init__(self, study: Study, directory: Path, *, watched_seconds: float = WATCHED_SECONDS) -> None:
        self._study = study
        self._watched = watched_seconds
        self._owner = uuid.uuid4().hex
        self._lock = FileLock(directory / "driver.lock")
        self.is_lost = False  # to another driver, who took this one for dead
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="lease", daemon=True)

    def __enter__(self) -> Self:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise StudyError(
                f"Study {self._study.name!r} is being searched by another process on this machine. "
                f"Wait for it, or search under another name with --study."
            ) from None
        other = self._study.attributes.get(ATTRIBUTE)
        if other and other["host"] != socket.gethostname() and self._is_alive(other):
            self._lock.release()
            raise StudyError(
                f"Study {self._study.name!r} is being searched on {other['host']} (process {other['pid']}). "
                f"If that machine is gone, try again in {GRACE_SECONDS:.0f} s."
            )
        self._write()
        self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._heart.join()
        if not self.is_lost:
            with suppress(StorageBusyError):  # it runs out by itself
                self._study.remember(ATTRIBUTE, None)
        self._lock.release()

    def _is_alive(self, other: Mapping[str, Any]) -> bool:
        """Say whether a driver on another machine is alive: by its beat, or if that is old, by whether it goes on.

        The clock of that machine may go wrong by any time, and so may this one's.
        """
        if 0 <= time.time() - other["beat"] < GRACE_SECONDS:
            return True
        until = time.monotonic() + self._watched
        while time.monotonic() < until:
            time.sleep(self._watched / LOOKS)
            if self._study.attributes.get(ATTRIBUTE) != other:
                return True
        return False

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            with suppress(StorageBusyError):
                owner = self._study.attributes.get(ATTRIBUTE) or {}
                if owner.get("id", self._owner) != self._owner:
                    self.is_lost = True  # this driver slept for so long that another took over
                    return
                self._write()

    def _write(self) -> None:
        beat = {"id": self._owner, "host": socket.gethostname(), "pid": os.getpid(), "beat": time.time()}
        self._study.remember(ATTRIBUTE, beat)
