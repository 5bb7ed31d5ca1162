"""What runs in a worker process: one order, its events sent down a pipe as JSON.

The pipe also tells when the driver is gone: the worker then leaves a checkpoint and ends, within `GRACE_SECONDS`.
"""

import json
import os
import signal
import threading
import time
from multiprocessing.connection import Connection

from trainer.job import carry_out
from trainer.libraries import import_timm
from trainer.orders import Order
from trainer.results import JobEvent, to_record

import_timm()  # once, in the server that workers are forked from: it takes seconds

STOP = b"stop"
GRACE_SECONDS = 8.0  # from the driver's death, or a SIGTERM, to the worker's end
EXIT_TERMINATED = 143


def work(order: Order, pipe: Connection) -> None:
    """Carry out an order, then end the process without Python's slow farewell."""
    stopping = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's: it asks each worker to stop
    signal.signal(signal.SIGTERM, lambda *_: _stop_within_grace(stopping))
    threading.Thread(target=_listen, args=(pipe, stopping), daemon=True).start()

    def emit(event: JobEvent) -> None:
        try:
            pipe.send_bytes(json.dumps(to_record(event)).encode())
        except OSError:  # the driver is gone; the checkpoint tells the next one
            stopping.set()

    carry_out(order, emit=emit, should_stop=stopping.is_set)
    pipe.close()
    os._exit(0)


def _listen(pipe: Connection, stopping: threading.Event) -> None:
    """Wait for the word to stop, or for the driver's end of the pipe to close."""
    try:
        while pipe.recv_bytes() == STOP:
            stopping.set()
    except (EOFError, OSError):
        _stop_within_grace(stopping)


def _stop_within_grace(stopping: threading.Event) -> None:
    stopping.set()
    threading.Thread(target=_end_after_grace, daemon=True).start()


def _end_after_grace() -> None:
    time.sleep(GRACE_SECONDS)
    os._exit(EXIT_TERMINATED)
