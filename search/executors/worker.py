"""What runs in a worker process: orders, one after the other, their events sent up a pipe as JSON.

A process that has carried an order out well takes the next: it has torch's threads, its memory and, on a GPU, its
context, all of which take time to get. After a failure, and after `MOST_ORDERS`, it ends; another one begins afresh.
The pipe also tells when the driver is gone: the worker then leaves a checkpoint and ends, within `GRACE_SECONDS`.
"""

import gc
import json
import os
import queue
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from search.executors.words import FREE, STOP
from trainer.devices import give_memory_back
from trainer.job import carry_out
from trainer.libraries import import_timm
from trainer.orders import Order
from trainer.results import Failed, JobEvent, to_record

import_timm()  # once, in the server that workers are forked from: it takes seconds
gc.freeze()  # what is imported stays: nobody need look through it again, and its pages stay shared

GRACE_SECONDS = 8.0  # from the driver's death, or a SIGTERM, to the worker's end
EXIT_TERMINATED = 143
MOST_ORDERS = 100  # of one process: should a library lose memory, little is lost
COMPILER = "torch._inductor.compile_fx"  # loaded where a network was translated; it gives up after a few different ones


@dataclass(slots=True)
class _Inbox:
    """What the driver wants; a thread of its own hears it while the job runs."""

    orders: "queue.SimpleQueue[Order | None]" = field(default_factory=queue.SimpleQueue)  # None to end
    stopping: threading.Event = field(default_factory=threading.Event)  # the order at hand
    is_ending: bool = False

    def listen(self, pipe: Connection) -> None:
        """Hear the driver until it is gone."""
        try:
            while True:
                word: Order | str = pipe.recv()
                if word == STOP:
                    self.stopping.set()
                elif not isinstance(word, str):
                    self.stopping.clear()
                    self.orders.put(word)
        except (EOFError, OSError):
            self.end()

    def end(self) -> None:
        """End after a checkpoint, or without one if that takes too long."""
        self.is_ending = True
        self.stopping.set()
        self.orders.put(None)
        threading.Thread(target=_end_after_grace, daemon=True).start()


def work(pipe: Connection) -> None:
    """Carry out what is sent down the pipe, then end the process without Python's slow farewell."""
    inbox = _Inbox()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's: it asks each worker to stop
    signal.signal(signal.SIGTERM, lambda *_: inbox.end())
    threading.Thread(target=inbox.listen, args=(pipe,), daemon=True).start()
    for left in reversed(range(MOST_ORDERS)):
        order = inbox.orders.get()
        if order is None or not _carry_out(order, inbox, pipe) or inbox.is_ending or not left:
            break
        _send(pipe, FREE, inbox)
        give_memory_back()  # while the driver decides
    pipe.close()
    os._exit(EXIT_TERMINATED if inbox.is_ending else 0)


def _carry_out(order: Order, inbox: _Inbox, pipe: Connection) -> bool:
    """Carry out an order; return whether the process is fit for another one."""
    has_failed = False

    def emit(event: JobEvent) -> None:
        nonlocal has_failed
        has_failed = has_failed or isinstance(event, Failed)
        _send(pipe, json.dumps(to_record(event)).encode(), inbox)

    carry_out(order, emit=emit, should_stop=inbox.stopping.is_set)
    return not has_failed and COMPILER not in sys.modules


def _send(pipe: Connection, message: bytes, inbox: _Inbox) -> None:
    try:
        pipe.send_bytes(message)
    except OSError:  # the driver is gone; the checkpoint tells the next one
        inbox.stopping.set()


def _end_after_grace() -> None:
    time.sleep(GRACE_SECONDS)
    os._exit(EXIT_TERMINATED)
