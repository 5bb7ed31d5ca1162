"""What runs in a task of Ray: one order, its events and files as a stream."""

import json
import os
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from search.executors.parcels import (
    BROUGHT,
    Outgoing,
    data_on_this_machine,
    fetch,
    is_drivers_own,
    own_folder,
    scratch_folder,
)
from search.executors.silence import Silence
from trainer.orders import MeasureOrder, Order
from trainer.results import JobEvent, StepResult, to_record

EVENT, FILE, HUNG = "event", "file", "hung"
Message = tuple[str, str, bytes]  # kind, name of a file, content
SECONDS_BETWEEN_QUESTIONS = 1.0
SECONDS_BETWEEN_LOOKS = 5.0  # for a checkpoint, while a job says nothing but how fast it is


def work(order: Order, job: int, token: str, depot: Any, patience: float) -> Iterator[Message]:
    """Carry out an order; yield its events, and before each the files that came with it.

    Args:
        order: As the driver sees directories.
        job: Its number.
        token: That lies in the job's directory where this machine sees the driver's own.
        depot: Handle of the driver's `Depot`.
        patience: Seconds that the job may neither speak nor compute.
    """
    import ray

    def files(folder: str) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = ray.get(depot.files.remote(folder))
        return found

    def read(folder: str, name: str, start: int) -> bytes:
        found: bytes = ray.get(depot.read.remote(folder, name, start))
        return found

    def should_stop() -> bool:
        return bool(ray.get(depot.is_stopped.remote(job)))

    try:
        folder = own_folder()
        order = replace(order, data_root=data_on_this_machine(order.data_root, folder, files, read))
        if isinstance(order, MeasureOrder) or is_drivers_own(order.directory, token):
            yield from _carried_out(order, None, should_stop, patience)
            return
        with scratch_folder(folder / "jobs") as scratch:
            fetch(lambda name: name in BROUGHT, order.directory, scratch, files, read)
            outgoing = Outgoing(scratch)
            outgoing.ignore_present()
            yield from _carried_out(replace(order, directory=scratch), outgoing, should_stop, patience)
    except ConnectionError:  # nobody listens any more
        raise
    except OSError as error:  # such as a disk of this machine that is full
        from trainer.job import failure

        yield _told(failure(error))


def _carried_out(order: Order, outgoing: Outgoing | None, should_stop: Any, patience: float) -> Iterator[Message]:
    """Yield what a job reports, from a thread of its own."""
    reports = _begin(order, should_stop)
    silence = Silence(os.getpid())
    looked_at = time.monotonic()
    while True:
        try:
            event = reports.get(timeout=SECONDS_BETWEEN_LOOKS)
            silence.broken()
        except queue.Empty:
            if silence.seconds() > patience:
                yield HUNG, "", b""
                os._exit(1)
            yield from _files(outgoing)
            continue
        if event is None:
            return
        if not isinstance(event, StepResult) or time.monotonic() > looked_at + SECONDS_BETWEEN_LOOKS:
            yield from _files(outgoing)
            looked_at = time.monotonic()
        yield _told(event)


def _told(event: JobEvent) -> Message:
    return EVENT, "", json.dumps(to_record(event)).encode()


def _begin(order: Order, should_stop: Any) -> "queue.SimpleQueue[JobEvent | None]":
    """Carry out an order in a thread, and ask in another whether to stop; return where its events come, None last."""
    from trainer.devices import give_memory_back
    from trainer.job import carry_out
    from trainer.libraries import import_timm

    import_timm()
    reports: queue.SimpleQueue[JobEvent | None] = queue.SimpleQueue()
    stopping, ended = threading.Event(), threading.Event()

    def run() -> None:
        try:
            carry_out(order, emit=reports.put, should_stop=stopping.is_set)
            give_memory_back()  # Ray keeps the process for other tasks
        finally:
            ended.set()
            reports.put(None)

    def ask() -> None:
        while not ended.wait(SECONDS_BETWEEN_QUESTIONS) and not stopping.is_set():
            with suppress(Exception):  # whatever Ray raises when the driver is gone: it ends its tasks itself
                if should_stop():
                    stopping.set()

    threading.Thread(target=run, name="job", daemon=True).start()
    threading.Thread(target=ask, name="stop", daemon=True).start()
    return reports


def _files(outgoing: Outgoing | None) -> Iterator[Message]:
    if outgoing is not None:
        yield from ((FILE, name, content) for name, content in outgoing.changed())
