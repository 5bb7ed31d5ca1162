"""Signals that ask a search to end."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interruption:
    """Counts the signals that ask for an end: the first is a wish, the second an order."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        """Take a signal."""
        self.count += 1
        if self.count > 1:
            raise KeyboardInterrupt

    def is_wanted(self) -> bool:
        """Say whether somebody asked."""
        return self.count > 0


@contextmanager
def interruptions() -> Iterator[Interruption]:
    """Turn Ctrl-C and SIGTERM into a wish, for as long as the block lasts."""
    interruption = Interruption()
    before = {number: signal.signal(number, interruption) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
