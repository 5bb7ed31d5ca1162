"""Whether a worker that says nothing is at work or hangs."""

import time
from dataclasses import dataclass, field

import psutil

LEAST_SHARE = 0.02  # of a processor; less is what a sleeping process's own threads take, those of Ray half a percent
LEAST_WORK = 0.02  # seconds of a processor: two ticks of its clock


@dataclass(slots=True)
class Silence:
    """How long a process has neither spoken nor computed; one that somebody has stopped does not count as silent."""

    pid: int
    _since: float = field(default_factory=time.monotonic)
    _looked_at: float = field(default_factory=time.monotonic)
    _work: float = 0.0  # seconds of a processor, at the last look

    def broken(self) -> None:
        """Note that the process has spoken."""
        self._since = self._looked_at = time.monotonic()
        self._work = self._work_so_far()

    def seconds(self) -> float:
        """Return how long the silence lasts; nothing for a process that is gone, stopped or has computed since.

        It has computed if it was at work between this look and the last: what little sleeping threads do, adds up.
        """
        now, work = time.monotonic(), self._work_so_far()
        if work - self._work >= max(LEAST_WORK, LEAST_SHARE * (now - self._looked_at)) or self._is_stopped():
            self._since = now
        self._looked_at, self._work = now, work
        return now - self._since

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
