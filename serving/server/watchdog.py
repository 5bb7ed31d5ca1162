"""A thread that ends a worker which can answer no more: its supervisor starts another one."""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from serving.server.service import Holder

LOOK_SECONDS = 0.5
STUCK = 3  # times the time that a model has to answer
HOPELESS = 70  # exit code: the model does not come back
_log = logging.getLogger("autoclf.serve")


@dataclass(slots=True)
class Watchdog:
    """Looks at the model of a worker and at the process that started it."""

    holder: Holder
    _parent: int = field(default_factory=os.getppid)
    _ended: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch while the block lasts, and give what is left then a limited time."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()
        try:
            yield
        finally:
            self._ended.set()
            threading.Thread(target=_end_after, args=(self.holder.settings.stop_seconds,), daemon=True).start()

    def _watch(self) -> None:
        limit = STUCK * self.holder.settings.answer_seconds
        while not self._ended.wait(LOOK_SECONDS):
            if os.getppid() != self._parent:  # killed: nobody would stop this worker any more
                os.kill(os.getpid(), signal.SIGTERM)
                return
            now = self.holder.now
            if now is not None and now.batcher.busy_seconds > limit:
                _log.error("The model has not answered for %.0f s: this worker is replaced.", limit)
                os._exit(HOPELESS)


def _end_after(seconds: float) -> None:
    """End the process however hard: a thread in the model can't be stopped, and Python would wait for it."""
    time.sleep(seconds)
    os._exit(HOPELESS)
