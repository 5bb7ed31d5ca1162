"""Feeds a tracking store from a thread, so that the search never waits for it.

What is shown is the latest look of each trial; what could not be shown stays due. A store that fails is left alone
for a while, longer each time.
"""

import logging
import threading
import time
from collections import Counter
from typing import Literal, Protocol

from search.tracking.base import Runs, StudyCard, in_words
from search.trials import Trial

log = logging.getLogger(__name__)
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 60.0
LATELY = 0.2  # the weight of the last look in the mean of how long one takes
GUESSED_SECONDS = {"trial": 0.1, "files": 0.5, "study": 0.3}  # that a look takes, before one was seen
MOST_FAILURES_AT_END = 3  # in a row, after which a search does not wait for its tracking store any more


class Channel(Runs, Protocol):
    """What is fed: runs that have to be reached first, a `TrackingProcess` or a fake."""

    def open(self) -> None:
        """Reach them, if that has not been done."""
        ...

    def close(self) -> None:
        """Leave them, whatever is under way."""
        ...


_Key = tuple[Literal["trial", "files", "study"], int]
_ORDER = ("trial", "files", "study")


class Uploader:
    """A tracker that hands everything to a thread."""

    def __init__(self, runs: Channel, *, to: str = "The tracking store") -> None:
        self._runs = runs
        self._to = to  # as a sentence begins that says what failed
        self._due: dict[_Key, Trial | StudyCard] = {}
        self._failures: Counter[_Key] = Counter()
        self._changed = threading.Condition()
        self._is_closing = False
        self._is_failing = False
        self._deadline = float("inf")
        self._seconds: dict[str, float] = {}  # that a look of a kind took lately
        self.last_error = ""
        self._thread = threading.Thread(target=self._work, name="uploader", daemon=True)
        self._thread.start()

    def show(self, trial: Trial) -> None:
        """Make the trial's run look like this, soon."""
        self._add(("trial", trial.number), trial)

    def show_study(self, card: StudyCard) -> None:
        """Make the study's run look like this, soon."""
        self._add(("study", 0), card)

    def close(self, *, timeout_seconds: float) -> int:
        """Show what is due, for at most this long; return how many looks could not be shown."""
        self._deadline = time.monotonic() + timeout_seconds
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join(timeout_seconds + 1)
        self._runs.close()
        return self.num_due

    def addresses(self, number: int | None) -> dict[str, str]:
        """Return the ids of experiment, study run and a trial's run; empty while the store was never reached."""
        return self._runs.addresses(number)

    @property
    def num_due(self) -> int:
        """Return how many trials and studies wait to be shown."""
        with self._changed:
            return len(self._due)

    def seconds_behind(self, num_more: int) -> float:
        """Return how long it will take to show what is due, and more looks of trials after that.

        A store that fails at the moment is not waited for, and counts as 0.
        """
        with self._changed:
            due = dict(self._due)
        if self._is_failing:
            return 0.0
        kinds = Counter(kind for kind, _ in due)
        kinds["trial"] += num_more
        kinds["files"] += sum(
            key[0] == "trial" and isinstance(look, Trial) and bool(look.reached) for key, look in due.items()
        )
        return sum(num * self._seconds.get(kind, GUESSED_SECONDS[kind]) for kind, num in kinds.items())

    def _add(self, key: _Key, look: Trial | StudyCard) -> None:
        """Make a look due, in place of an older one of the same."""
        with self._changed:
            self._due[key] = look
            self._changed.notify()

    def _work(self) -> None:
        pause, failures_at_end = FIRST_PAUSE_SECONDS, 0
        while self._wait_for_work():
            try:
                self._show_next()
                pause, failures_at_end, self._is_failing = FIRST_PAUSE_SECONDS, 0, False
            except Exception as error:  # noqa: BLE001  -- whatever a network, a server or a disk may raise
                if time.monotonic() > self._deadline:  # it was broken off
                    return
                self._is_failing = True
                self.last_error = in_words(error)
                log.warning("%s failed (%s); it is tried again.", self._to, self.last_error)
                failures_at_end += self._is_closing
                if failures_at_end >= MOST_FAILURES_AT_END or not self._rest(pause):
                    return
                pause = min(LONGEST_PAUSE_SECONDS, 2 * pause)

    def _wait_for_work(self) -> bool:
        """Wait until something is due; return False when closing and nothing is."""
        with self._changed:
            while not self._due:
                if self._is_closing:
                    return False
                self._changed.wait()
            return time.monotonic() < self._deadline

    def _show_next(self) -> None:
        """Show one thing; what has failed lets the others go first."""
        with self._changed:
            key = min(self._due, key=self._turn_of)
            look = self._due[key]
            self._failures[key] += 1  # until it has been shown
        self._runs.open()
        began = time.monotonic()
        if isinstance(look, StudyCard):
            self._runs.show_study(look)
        elif key[0] == "files":
            self._runs.show_files(look)
        else:
            self._runs.show(look)
            if self._runs.needs_files(look):
                self._add(("files", look.number), look)
        took = time.monotonic() - began
        lately = self._seconds.get(key[0], took)
        self._seconds[key[0]] = lately + LATELY * (took - lately)
        with self._changed:
            del self._failures[key]
            if self._due[key] is look:  # no newer look came meanwhile
                del self._due[key]

    def _turn_of(self, key: _Key) -> tuple[int, int, bool]:
        """Return what goes first: numbers, then figures, those of trials that may still change last, then the study."""
        look = self._due[key]
        return self._failures[key], _ORDER.index(key[0]), isinstance(look, Trial) and not look.state.is_over

    def _rest(self, seconds: float) -> bool:
        """Leave the store alone for a while; return False when there is no more time."""
        until = time.monotonic() + seconds
        while time.monotonic() < min(until, self._deadline):
            time.sleep(0.05)
            if self._is_closing:
                until = min(until, time.monotonic() + 0.5)
        return time.monotonic() < self._deadline
