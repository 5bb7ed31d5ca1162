"""Feeds a tracking store from a thread, so that the search never waits for it.

What is shown is the latest look of each trial; what could not be shown stays due. A store that fails is left alone
for a while, longer each time.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from search.tracking.base import StudyCard
from search.trials import Trial

log = logging.getLogger(__name__)
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 60.0
MOST_FAILURES_AT_END = 3  # in a row, after which a search does not wait for its tracking store any more


class Runs(Protocol):
    """What is fed: `MlflowRuns`, or a fake."""

    def show(self, trial: Trial) -> None:
        """Make the trial's run look like this, all but its files."""
        ...

    def needs_files(self, trial: Trial) -> bool:
        """Say whether `show_files` has something to do."""
        ...

    def show_files(self, trial: Trial) -> None:
        """Draw the trial's figures and upload them."""
        ...

    def show_study(self, card: StudyCard) -> None:
        """Make the study's run look like this."""
        ...

    def addresses(self, number: int | None) -> dict[str, str]:
        """Return the ids under which the experiment, the study and a trial are found."""
        ...


class Uploader:
    """A tracker that hands everything to a thread."""

    def __init__(self, connect: Callable[[], Runs]) -> None:
        self._connect = connect
        self._runs: Runs | None = None
        self._due: dict[int, Trial] = {}
        self._due_files: dict[int, Trial] = {}
        self._due_study: StudyCard | None = None
        self._changed = threading.Condition()
        self._is_closing = False
        self._deadline = float("inf")
        self.last_error = ""
        self._thread = threading.Thread(target=self._work, name="uploader", daemon=True)
        self._thread.start()

    def show(self, trial: Trial) -> None:
        """Make the trial's run look like this, soon."""
        with self._changed:
            self._due[trial.number] = trial
            self._changed.notify()

    def show_study(self, card: StudyCard) -> None:
        """Make the study's run look like this, soon."""
        with self._changed:
            self._due_study = card
            self._changed.notify()

    def close(self, *, timeout_seconds: float) -> int:
        """Show what is due, for at most this long; return how many looks could not be shown."""
        self._deadline = time.monotonic() + timeout_seconds
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join(timeout_seconds + 1)
        return self.num_due

    def addresses(self, number: int | None) -> dict[str, str]:
        """Return the ids of experiment, study run and a trial's run; empty while the store was never reached."""
        return self._runs.addresses(number) if self._runs else {}

    @property
    def num_due(self) -> int:
        """Return how many trials and studies wait to be shown."""
        with self._changed:
            return len(self._due) + len(self._due_files) + (self._due_study is not None)

    def _work(self) -> None:
        pause, failures_at_end = FIRST_PAUSE_SECONDS, 0
        while self._wait_for_work():
            try:
                self._show_next()
                pause, failures_at_end = FIRST_PAUSE_SECONDS, 0
            except Exception as error:  # noqa: BLE001  -- whatever a network, a server or a disk may raise
                self.last_error = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
                log.warning("The tracking store failed (%s); it is tried again.", self.last_error)
                failures_at_end += self._is_closing
                if failures_at_end >= MOST_FAILURES_AT_END or not self._rest(pause):
                    return
                pause = min(LONGEST_PAUSE_SECONDS, 2 * pause)

    def _wait_for_work(self) -> bool:
        """Wait until something is due; return False when closing and nothing is."""
        with self._changed:
            while not (self._due or self._due_files or self._due_study):
                if self._is_closing:
                    return False
                self._changed.wait()
            return time.monotonic() < self._deadline

    def _show_next(self) -> None:
        """Show one thing: trials before the study, figures when there is time."""
        if self._runs is None:
            self._runs = self._connect()
        with self._changed:
            trial = next(iter(self._due.values()), None)
            drawing = next(iter(self._due_files.values()), None)
            card = self._due_study
        if trial is not None:
            self._runs.show(trial)
            self._finish(trial, self._due)
            if self._runs.needs_files(trial):
                with self._changed:
                    self._due_files[trial.number] = trial
        elif drawing is not None:
            self._runs.show_files(drawing)
            self._finish(drawing, self._due_files)
        elif card is not None:
            self._runs.show_study(card)
            with self._changed:
                self._due_study = None if self._due_study is card else self._due_study

    def _finish(self, trial: Trial, due: dict[int, Trial]) -> None:
        """Forget what was shown, unless a newer look came meanwhile."""
        with self._changed:
            if due.get(trial.number) is trial:
                del due[trial.number]

    def _rest(self, seconds: float) -> bool:
        """Leave the store alone for a while; return False when there is no more time."""
        until = time.monotonic() + seconds
        while time.monotonic() < min(until, self._deadline):
            time.sleep(0.05)
            if self._is_closing:
                until = min(until, time.monotonic() + 0.5)
        return time.monotonic() < self._deadline
