"""Whether a worker that says nothing is at work or hangs."""

import time
from dataclasses import dataclass, field

import psutil

LEAST_WORK = 0.5  # seconds of a processor; less is what a sleeping process's own threads take


@dataclass(slots=True)
class Silence:
    """How long a process has neither spoken nor computed; one that somebody has stopped does not count as silent."""

    pid: int
    _since: float = field(default_factory=time.monotonic)
    _work: float = 0.0  # seconds of a processor, when the silence began

    def broken(self) -> None:
        """Note that the process has spoken."""
        self._since, self._work = time.monotonic(), self._work_so_far()

    def seconds(self) -> float:
        """Return how long the silence lasts; nothing for a process that is gone, stopped or has computed since."""
        work = self._work_so_far()
        if work - self._work >= LEAST_WORK or self._is_stopped():
            self._since, self._work = time.monotonic(), work
        return time.monotonic() - self._since

    def _work_so_far(self) -> float:
        try:
            used = psutil.Process(self.pid).cpu_times()
        except psutil.Error:
            return float("inf")  # gone; its pipe will tell
        return float(used.user + used.system)

    def _is_stopped(self) -> bool:
        try:
            return bool(psutil.Process(self.pid).status() == psutil.STATUS_STOPPED)
        except psutil.Error:
            return True
