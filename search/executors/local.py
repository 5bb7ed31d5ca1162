"""Jobs in processes of this machine, forked from a server that has torch loaded.

The server never computes: it holds no threads and no CUDA context that a fork could break.
"""

import json
import multiprocessing
import os
import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess

from search.executors.base import Event, Gone, arrived
from search.executors.silence import Silence
from search.executors.words import FREE, STOP
from trainer.orders import Order
from trainer.results import JobEvent, from_record

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


@dataclass(slots=True, eq=False)
class _Worker:
    """A process, and what it is at."""

    process: ForkServerProcess
    pipe: Connection
    silence: Silence
    job: int | None = None


class LocalExecutor:
    """At most `num_slots` processes, each with one job at once; one that hangs is killed."""

    def __init__(self, num_slots: int, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._num_slots = num_slots
        self._patience = patience_seconds
        self._context = multiprocessing.get_context("forkserver")
        self._heard: queue.Queue[tuple[_Worker, JobEvent | Gone | None]] = queue.Queue()  # None: it is free
        self._workers: list[_Worker] = []

    @property
    def num_slots(self) -> int:
        """Return how many jobs run at once."""
        return self._num_slots

    @property
    def free_slots(self) -> int:
        """Return how many more jobs may be started now."""
        return self._num_slots - sum(worker.job is not None for worker in self._workers)

    def start(self, job: int, order: Order) -> None:
        """Give a job to a process that has none; fork one if there is none."""
        assert self._at(job) is None, f"job {job} runs already"
        worker = self._idle() or self._fork()
        worker.job = job
        worker.silence.broken()
        with suppress(OSError):  # it has died just now; that it is gone is on its way
            worker.pipe.send(order)

    def events(self, *, timeout_seconds: float) -> Sequence[Event]:
        """Return what happened, waiting up to the time for the first of it."""
        found = arrived(self._heard, timeout_seconds=timeout_seconds)
        return [event for heard in found for event in self._told(*heard)]

    def stop(self, job: int) -> None:
        """Ask a job to leave a checkpoint and end."""
        worker = self._at(job)
        if worker is not None:
            with suppress(OSError):  # it has ended; its last events are on their way
                worker.pipe.send(STOP)

    def close(self) -> None:
        """Kill every worker."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()

    def _at(self, job: int) -> _Worker | None:
        """Return what has a job."""
        return next((worker for worker in self._workers if worker.job == job), None)

    def _idle(self) -> _Worker | None:
        """Return a process that waits for a job."""
        return next((worker for worker in self._workers if worker.job is None and worker.process.is_alive()), None)

    def _fork(self) -> _Worker:
        load_server()
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs,), name="worker", daemon=True)
        process.start()
        theirs.close()
        worker = _Worker(process, ours, Silence(process.pid or 0))
        self._workers.append(worker)
        threading.Thread(target=self._listen, args=(worker,), daemon=True).start()
        return worker

    def _told(self, worker: _Worker, what: JobEvent | Gone | None) -> Iterator[Event]:
        """Yield what was heard of a worker as an event of its job; keep account of who is free."""
        job = worker.job
        if isinstance(what, Gone):
            self._workers.remove(worker)
            worker.pipe.close()
        if what is None or isinstance(what, Gone):
            worker.job = None
        if job is not None:
            yield Event(job, what or Gone(0))

    def _listen(self, worker: _Worker) -> None:
        """Drain a worker's pipe, so that it never waits for a busy driver; then tell its end."""
        has_hung = False
        try:
            while True:
                if worker.pipe.poll(self._patience / LOOKS_WITHIN_PATIENCE):
                    message = worker.pipe.recv_bytes()
                    self._heard.put((worker, None if message == FREE else from_record(json.loads(message))))
                    worker.silence.broken()
                elif worker.job is not None and not has_hung and worker.silence.seconds() > self._patience:
                    has_hung = True
                    worker.process.kill()  # which closes the pipe
        except (EOFError, OSError):
            worker.process.join()
            self._heard.put((worker, Gone(worker.process.exitcode or 0, has_hung=has_hung)))


def _work(pipe: Connection) -> None:
    """Import the worker in the new process, where torch is loaded already; the driver never loads it."""
    from search.executors.worker import work

    work(pipe)
