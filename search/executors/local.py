"""Jobs as processes of this machine, forked from a server that has torch loaded.

The server never computes: it holds no threads and no CUDA context that a fork could break.
"""

import json
import multiprocessing
import os
import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess

from search.executors.base import Event, Gone, arrived
from search.executors.silence import Silence
from trainer.orders import Order
from trainer.results import from_record

WORKER = "search.executors.worker"
FITTING = "trainer.classical.preload"
PATIENCE_SECONDS = 300.0  # that a worker may neither speak nor compute
LOOKS_WITHIN_PATIENCE = 10
# The C library would give each large tensor back to the system and fetch fresh pages for the next one, which costs a
# training step on a processor up to a fifth of its time. Large pages save a little more. Other systems ignore this.
ALLOCATOR = ":".join(
    f"glibc.malloc.{name}={value}"
    for name, value in (("mmap_threshold", 2**30), ("trim_threshold", 2**31 - 1), ("hugetlb", 1))
)


def load_server(*, fits: bool = False) -> None:
    """Start the server that workers are forked from; it loads torch while the caller does something else.

    Args:
        fits: Whether models without epochs are among what it will work on; then it loads what they are fitted with.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload([WORKER, *([FITTING] if fits else [])])
    with _environment("GLIBC_TUNABLES", ALLOCATOR):
        forkserver.ensure_running()


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set a variable for the processes started in the block, unless the user has set it."""
    if name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]


class LocalExecutor:
    """One process a job, at most `num_slots` at once; one that hangs is killed."""

    def __init__(self, num_slots: int, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._num_slots = num_slots
        self._patience = patience_seconds
        self._context = multiprocessing.get_context("forkserver")
        self._events: queue.Queue[Event] = queue.Queue()
        self._running: dict[int, tuple[ForkServerProcess, Connection]] = {}

    @property
    def num_slots(self) -> int:
        """Return how many jobs run at once."""
        return self._num_slots

    @property
    def free_slots(self) -> int:
        """Return how many more jobs may be started now."""
        return self._num_slots - len(self._running)

    def start(self, job: int, order: Order) -> None:
        """Fork a process for a job."""
        assert job not in self._running, f"job {job} runs already"
        load_server()
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(order, theirs), name=f"job-{job}", daemon=True)
        process.start()
        theirs.close()
        self._running[job] = (process, ours)
        threading.Thread(target=self._listen, args=(job, process, ours), daemon=True).start()

    def events(self, *, timeout_seconds: float) -> Sequence[Event]:
        """Return what happened, waiting up to the time for the first of it."""
        found = arrived(self._events, timeout_seconds=timeout_seconds)
        for event in found:
            if isinstance(event.what, Gone):
                self._running.pop(event.job)[1].close()
        return found

    def stop(self, job: int) -> None:
        """Ask a job to leave a checkpoint and end."""
        if job in self._running:
            try:
                self._running[job][1].send_bytes(b"stop")
            except OSError:
                return  # it has ended; its last events are on their way

    def close(self) -> None:
        """Kill every worker."""
        for process, _ in self._running.values():
            process.kill()
        for process, _ in self._running.values():
            process.join()

    def _listen(self, job: int, process: ForkServerProcess, pipe: Connection) -> None:
        """Drain a worker's pipe, so that it never waits for a busy driver; then tell its end."""
        silence, has_hung = Silence(process.pid or 0), False
        try:
            while True:
                if pipe.poll(self._patience / LOOKS_WITHIN_PATIENCE):
                    self._events.put(Event(job, from_record(json.loads(pipe.recv_bytes()))))
                    silence.broken()
                elif not has_hung and silence.seconds() > self._patience:
                    has_hung = True
                    process.kill()  # which closes the pipe
        except (EOFError, OSError):
            process.join()
            self._events.put(Event(job, Gone(process.exitcode or 0, has_hung=has_hung)))


def _work(order: Order, pipe: Connection) -> None:
    """Import the worker in the new process, where torch is loaded already; the driver never loads it."""
    from search.executors.worker import work

    work(order, pipe)
