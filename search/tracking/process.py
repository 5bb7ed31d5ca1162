"""A process that looks after the runs of a study.

MLflow and figures take half a second of Python for each trial; a thread of the driver would take that from decisions.
"""

import logging
import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import TYPE_CHECKING, Any, cast

from search.tracking.base import Runs, StudyCard, TrackingError, in_words
from search.trials import Trial

if TYPE_CHECKING:
    from queue import SimpleQueue


class TrackingProcess:
    """Runs in a process that ends with this one, if not before.

    Every call but `addresses` and `close` waits for an answer, and raises a TrackingError that says what was raised
    there, or that the process has died. After that it is to be opened again.
    """

    def __init__(self, connect: Callable[[], Runs]) -> None:
        """Set up; nothing is started.

        Args:
            connect: Is called in the process, so it has to be of a kind that can be sent there.
        """
        self._connect = connect
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._addresses: dict[int | None, dict[str, str]] = {}

    def open(self) -> None:
        """Start the process and have it connect, if that has not been done."""
        if self._pipe is None:
            self._start()
        self._learn_addresses(None)

    def show(self, trial: Trial) -> None:
        """Make the trial's run look like this, all but its files."""
        self._ask("show", trial)
        self._learn_addresses(trial.number)

    def needs_files(self, trial: Trial) -> bool:
        """Say whether `show_files` has something to do."""
        return bool(self._ask("needs_files", trial))

    def show_files(self, trial: Trial) -> None:
        """Draw the trial's figures and upload them."""
        self._ask("show_files", trial)

    def show_study(self, card: StudyCard) -> None:
        """Make the study's run look like this."""
        self._ask("show_study", card)

    def addresses(self, number: int | None) -> dict[str, str]:
        """Return the ids under which the experiment, the study and a trial are found, as far as they are known."""
        return self._addresses.get(number) or self._addresses.get(None, {})

    def close(self) -> None:
        """End the process, whatever it is at."""
        process = self._process
        if process is not None:
            process.kill()
            process.join()

    @property
    def pid(self) -> int | None:
        """Return the id of the process; None while there is none."""
        return self._process.pid if self._process else None

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._connect), name="tracking", daemon=True)
        self._process.start()
        theirs.close()  # so that the pipe tells the end of the process, as it tells that of the driver there

    def _learn_addresses(self, number: int | None) -> None:
        self._addresses[number] = cast(dict[str, str], self._ask("addresses", number))

    def _ask(self, name: str, look: Trial | StudyCard | int | None) -> object:
        """Have a method of the runs called there, and wait for what it returns."""
        if self._pipe is None:
            raise TrackingError("the process for it has died")
        try:
            self._pipe.send((name, look))
            has_worked, answer = self._pipe.recv()
        except (EOFError, OSError):
            self.close()
            self._pipe.close()
            code = self._process.exitcode if self._process else None
            self._process = self._pipe = None
            raise TrackingError(f"the process for it has died with exit code {code}") from None
        if not has_worked:
            raise TrackingError(answer)
        return answer


def _serve(pipe: Connection, connect: Callable[[], Runs]) -> None:
    """Answer the driver until it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's
    os.dup2(2, 1)  # standard output is the driver's
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    asked: SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, asked), daemon=True).start()
    runs: Runs | None = None
    with suppress(OSError):
        while True:
            name, look = asked.get()
            try:
                runs = runs or connect()
                answer = True, getattr(runs, name)(look)
            except Exception as error:  # noqa: BLE001  -- whatever a network, a server or a disk may raise
                answer = False, in_words(error)  # not all that is raised can be sent
            pipe.send(answer)


def _listen(pipe: Connection, asked: "SimpleQueue[tuple[str, Any]]") -> None:
    """Hear the driver; end with it at once, as another one may follow, and there must not be two at work."""
    with suppress(EOFError, OSError):
        while True:
            asked.put(pipe.recv())
    os._exit(0)
