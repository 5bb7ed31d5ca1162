"""An alias of the registry, followed: what it points at is fetched, tried, and put into service."""

import logging
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from search.errors import StudyError
from search.promotion.registry import Registry, Version
from serving.fetching import version_of
from serving.predictor import load_predictor
from serving.reference import Registered
from serving.server.pointer import InService, point_at

POLL_SECONDS = 3.0
AGAIN_SECONDS = 60.0  # after which a version that was refused is tried once more: its files may have come late
_log = logging.getLogger("autoclf.serve")


@dataclass(slots=True, kw_only=True)
class Follower:
    """Keeps the package that a pointer names the one that a name in the registry means."""

    registry: Registry
    model: Registered
    place: Path  # packages are fetched into folders of it
    pointer: Path
    now: Version | None = None
    _refused: dict[str, float] = field(default_factory=dict)  # when, by number, as `time.monotonic` gives it
    _ended: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> InService:
        """Put what the name means now into service.

        Raises:
            StudyError: If there is nothing, or it is not sound.
        """
        version = version_of(self.registry, self.model)
        package = self._fetched(version)
        point_at(self.pointer, package)
        self.now = version
        return package

    @contextmanager
    def following(self) -> Iterator[None]:
        """Follow the name while the block lasts, on a thread; a version names itself for ever."""
        if self.model.version is None:
            threading.Thread(target=self._follow, name="follower", daemon=True).start()
        try:
            yield
        finally:
            self._ended.set()

    def look(self) -> None:
        """Look once whether the name means another version, and put that into service if it is sound."""
        assert self.now is not None
        try:
            version = version_of(self.registry, self.model)
        except Exception as error:  # noqa: BLE001  -- the registry may be away, and the model goes on
            _log.warning("%s can't be looked up, so version %s goes on: %s", self.model, self.now.number, error)
            return
        if version.number == self.now.number or self._was_refused(version.number):
            return
        try:
            package = self._fetched(version)
        except StudyError as error:
            self._refused[version.number] = time.monotonic()
            _log.error("Version %s is refused, and version %s goes on: %s", version.number, self.now.number, error)
            return
        point_at(self.pointer, package)
        _log.info("%s is version %s now, in place of version %s.", self.model, version.number, self.now.number)
        self.now = version

    def _follow(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            self.look()

    def _was_refused(self, number: str) -> bool:
        return time.monotonic() - self._refused.get(number, -AGAIN_SECONDS) < AGAIN_SECONDS

    def _fetched(self, version: Version) -> InService:
        """Fetch a version and try it; what is not sound leaves nothing behind."""
        place = self.place / version.number
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        try:
            folder = self.registry.download(version, place)
            load_predictor(folder, name=str(self.model), threads=1)
        except Exception:
            shutil.rmtree(place, ignore_errors=True)
            raise
        return InService(str(folder), str(self.model), version.number)
