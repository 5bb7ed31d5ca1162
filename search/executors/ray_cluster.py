"""Jobs as tasks on a Ray cluster.

Each is tried once by Ray: whether a job goes on after its worker died is for the engine to say, or one trial would be
trained twice. Source: https://docs.ray.io/en/latest/ray-core/ray-generator.html for tasks that report while they run.
"""

import atexit
import json
import logging
import math
import os
import queue
import signal
import socket
import threading
import time
import uuid
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from search.errors import StudyError
from search.executors.base import Cluster, Event, Gone, arrived
from search.executors.parcels import PLACE, Depot, receive
from search.executors.ray_worker import FILE, HUNG, work
from trainer.errors import is_full_disk
from trainer.orders import MeasureOrder, Order
from trainer.results import Failed, from_record

PATIENCE_SECONDS = 300.0  # that a job may neither speak nor compute
KNOCK_SECONDS = 10.0  # that a head has to answer
SECONDS_BETWEEN_KNOCKS = 2.0
JOINING_SECONDS = 30.0  # that nodes may take to come
ROOMLESS_SECONDS = 900.0  # without a node that has room, after which none is waited for
MOST_MISSED = 4  # in a row, after which the head counts as gone
HUNG_SECONDS = 60.0  # without an answer from a head that listens, after which it counts as gone, too
KILLED, FAILED = -9, 1


class RayExecutor:
    """One task a job, as many as the cluster has room for.

    Raises:
        StudyError: If Ray is not installed, the cluster does not answer, or none of its nodes has room for a job.
    """

    def __init__(self, request: Cluster, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._request = request
        self._patience = patience_seconds
        self._ray = _connected(request)
        self._token = uuid.uuid4().hex
        self._events: queue.Queue[Event] = queue.Queue()
        self._running: dict[int, Any] = {}  # jobs and the streams of their reports
        self._has_lost_head = threading.Event()
        self._knocking_since: float | None = None
        self._num_slots = self._wait_for_room()
        here = self._ray.get_runtime_context().get_node_id()
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        placed = NodeAffinitySchedulingStrategy(here, soft=False)  # where the driver's files are
        self._depot = self._ray.remote(num_cpus=0, scheduling_strategy=placed, max_concurrency=8)(Depot).remote()
        self._task = self._ray.remote(
            num_cpus=request.cpus_per_trial,
            num_gpus=request.gpus_per_trial,
            num_returns="streaming",
            max_retries=0,
        )(work)
        self._begin_watch()

    @property
    def num_slots(self) -> int:
        """Return how many jobs the nodes that were alive a moment ago have room for."""
        return self._num_slots

    @property
    def free_slots(self) -> int:
        """Return how many more jobs may be started now."""
        return max(0, self.num_slots - len(self._running))

    def start(self, job: int, order: Order) -> None:
        """Hand a job to the cluster; after a `close`, too.

        Raises:
            StudyError: If the cluster does not answer.
        """
        assert job not in self._running, f"job {job} runs already"
        self._check_head()
        if self._is_closed.is_set():
            self._begin_watch()
        order = _absolute(order)
        directory = None if isinstance(order, MeasureOrder) else order.directory
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
            (directory / PLACE).write_text(self._token)
        stream = self._running[job] = self._handed_over(job, order)
        threading.Thread(target=self._listen, args=(job, stream, directory), daemon=True).start()

    def events(self, *, timeout_seconds: float) -> Sequence[Event]:
        """Return what happened, waiting up to the time for the first of it.

        Raises:
            StudyError: If the cluster's head is gone or hangs, or no node has had room for long.
        """
        self._check_head()
        if time.monotonic() > self._had_room_at + ROOMLESS_SECONDS:
            raise StudyError(
                f"No node of the Ray cluster has had room for a job for {ROOMLESS_SECONDS / 60:.0f} minutes. "
                "Nothing is lost: "
                "`autoclf resume STUDY` goes on when there are nodes again, `autoclf resume STUDY --executor local` "
                "without them."
            )
        found = arrived(self._events, timeout_seconds=timeout_seconds)
        for event in found:
            if isinstance(event.what, Gone):
                del self._running[event.job]
        return found

    def stop(self, job: int) -> None:
        """Ask a job to leave a checkpoint and end."""
        if job in self._running:
            self._depot.stop.remote(job)

    def close(self) -> None:
        """End every task at once, and ask the cluster nothing more; tasks of a lost one end by themselves."""
        self._is_closed.set()
        if self._has_lost_head.is_set():
            atexit.unregister(self._ray.shutdown)  # which, finding nobody, may end this process with a code of its own
            return
        for stream in self._running.values():
            self._ray.cancel(stream, force=True)

    def _begin_watch(self) -> None:
        self._is_closed = threading.Event()  # one a watch: an earlier one may be about to end
        self._had_room_at = time.monotonic()
        watched = (weakref.ref(self), self._is_closed)
        threading.Thread(target=_watch_head, args=watched, name="head", daemon=True).start()

    def _wait_for_room(self) -> int:
        """Return how many jobs the cluster has room for; nodes that are just joining are waited for."""
        until = time.monotonic() + JOINING_SECONDS
        while not (room := self._count_room()):
            if time.monotonic() > until:
                has = [{name: node["Resources"].get(name, 0) for name in ("CPU", "GPU")} for node in self._ray.nodes()]
                nodes = ", ".join(f"{found['CPU']:g} CPUs and {found['GPU']:g} GPUs" for found in has)
                raise StudyError(
                    f"No node of the Ray cluster has room for a job of {self._request.cpus_per_trial:g} CPUs and "
                    f"{self._request.gpus_per_trial:g} GPUs; its nodes have {nodes}. Ask for less with "
                    "--cpus-per-trial and --gpus-per-trial, or add nodes."
                )
            time.sleep(SECONDS_BETWEEN_KNOCKS)
        return room

    def _handed_over(self, job: int, order: Order) -> Any:
        """Return the stream of a new task's reports.

        A call to a head that has just died waits for a minute, and then Ray ends this process: another thread waits.
        """
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def call() -> None:
            try:
                self._ray.get(self._depot.begin.remote(job))
                answers.put(self._task.remote(order, job, self._token, self._depot, self._patience))
            except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
                answers.put(error)

        threading.Thread(target=call, name="start", daemon=True).start()
        while True:
            self._check_head()
            try:
                answer = answers.get(timeout=SECONDS_BETWEEN_KNOCKS)
            except queue.Empty:
                continue
            if isinstance(answer, self._ray.exceptions.RayError | ConnectionError):
                raise _lost()
            if isinstance(answer, Exception):
                raise answer
            return answer

    def _check_head(self) -> None:
        since = self._knocking_since
        if since is not None and time.monotonic() > since + HUNG_SECONDS:
            self._has_lost_head.set()
        if self._has_lost_head.is_set():
            raise _lost()

    def _room(self, resources: dict[str, float]) -> int:
        wanted = {"CPU": self._request.cpus_per_trial, "GPU": self._request.gpus_per_trial}
        return min(math.floor(resources.get(name, 0.0) / share + 1e-9) for name, share in wanted.items() if share)

    def _count_room(self) -> int:
        return sum(self._room(node["Resources"]) for node in self._ray.nodes() if node["Alive"])

    def _knock(self) -> bool:
        """Count the room on the nodes; say whether the head answered. One that hangs is waited for."""
        self._knocking_since = time.monotonic()
        try:
            _check_that_somebody_listens(self._ray.get_runtime_context().gcs_address)
            self._num_slots = self._count_room()
        except (OSError, self._ray.exceptions.RayError):
            return False
        finally:
            self._knocking_since = None
        if self._num_slots:
            self._had_room_at = time.monotonic()
        return True

    def _listen(self, job: int, stream: Any, directory: Path | None) -> None:
        """Pass on what a task reports, then how it ended."""
        try:
            gone = self._pass_on(job, stream, directory)
        except self._ray.exceptions.NodeDiedError:
            gone = Gone(KILLED, is_innocent=True)
        except self._ray.exceptions.RayTaskError:
            gone = Gone(FAILED)
        except (self._ray.exceptions.RayError, ConnectionError):
            gone = Gone(KILLED)
        except OSError as error:  # its files can't be written here
            self._ray.cancel(stream, force=True)
            reason = "disk_full" if is_full_disk(error) else "error"
            failed = Failed(reason=reason, message=f"On the driver's machine: {error}", traceback="", at=time.time())
            self._events.put(Event(job, failed))
            gone = Gone(KILLED)
        if directory is not None:
            (directory / PLACE).unlink(missing_ok=True)
        self._events.put(Event(job, gone))

    def _pass_on(self, job: int, stream: Any, directory: Path | None) -> Gone:
        for reference in stream:
            kind, name, content = self._ray.get(reference)
            if kind == HUNG:
                return Gone(KILLED, has_hung=True)
            if kind == FILE:
                assert directory is not None, "it left files"
                receive(directory, name, content)
            else:
                self._events.put(Event(job, from_record(json.loads(content))))
        return Gone(0)


def _watch_head(watched: "weakref.ref[RayExecutor]", is_closed: threading.Event) -> None:
    """Have the room counted now and then, for as long as the head answers and the executor is in use.

    When the head is gone, whatever asks it waits, and after a minute Ray ends this process without a word.
    """
    missed = 0
    while missed < MOST_MISSED and not is_closed.wait(SECONDS_BETWEEN_KNOCKS):
        executor = watched()
        if executor is None:
            return
        missed = 0 if executor._knock() else missed + 1
        if missed == MOST_MISSED:
            executor._has_lost_head.set()
        del executor  # or it would never be free to go, and its depot with it


def _absolute(order: Order) -> Order:
    """Return an order whose paths mean the same wherever a process works."""
    root = order.data_root.resolve()
    if isinstance(order, MeasureOrder):
        return replace(order, data_root=root)
    return replace(order, data_root=root, directory=order.directory.resolve())


def _lost() -> StudyError:
    return StudyError(
        "The head of the Ray cluster does not answer. Nothing is lost: `autoclf resume STUDY` goes on when it is back, "
        "`autoclf resume STUDY --executor local` without it."
    )


def _connected(request: Cluster) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")  # or who asks a moment too late is given another cluster
    if request.address is None:  # listen to this machine alone; Ray has no other word for that, and reads it once
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        import ray
    except ImportError:
        raise StudyError(
            "--executor ray needs the package `ray`, which is not installed: pip install 'autoclf[ray]'"
        ) from None
    if not ray.is_initialized():
        try:
            _check_that_somebody_listens(request.address)
            with _same_handlers():
                ray.init(
                    address=request.address or "local",
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
            # Or what a node that died has to say goes to standard output, between our lines of JSON.
            ray._private.worker._worker_logs_enabled = False
        except (OSError, ray.exceptions.RayError, RuntimeError, ValueError) as error:
            raise StudyError(
                f"No Ray cluster answers at {request.address!r}: {str(error).splitlines()[0]} Start one with "
                "`ray start --head`, or leave --address out for one of this machine's own."
            ) from None
    return ray


@contextmanager
def _same_handlers() -> Iterator[None]:
    """Keep this process's way with SIGTERM: Ray sets one that ends it at once, without checkpoints."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def _check_that_somebody_listens(address: str | None) -> None:
    """Knock at an address given as HOST:PORT; Ray itself would wait there for minutes."""
    host, colon, port = (address or "").rpartition(":")
    if colon and "/" not in host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=KNOCK_SECONDS).close()
