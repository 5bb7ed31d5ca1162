"""What a driver asks of the others, before it decides or writes anything down."""

from collections.abc import Iterator, Mapping, Set
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol


class Lost(RuntimeError):  # noqa: N818  -- it says what became of a trial, or of a turn
    """A trial is another driver's now, or a turn was taken away: this driver was silent for too long."""


class Crew(Protocol):
    """The drivers of a study, this one among them.

    Decisions are made in turns, one driver at a time, each on all that the others have written before. What a driver
    trains it has claimed; what a dead one had claimed is anybody's after a while.
    """

    def turn(self) -> AbstractContextManager[Set[int]]:
        """Wait until no other driver decides; the block has the turn. It is given the trials that others changed.

        Raises:
            Lost: From the block, where the turn was taken away because it took too long.
        """
        ...

    def writing(self, number: int) -> AbstractContextManager[None]:
        """Hold a trial while something is written to its log.

        Raises:
            Lost: If it is another driver's.
        """
        ...

    def claim(self, number: int) -> None:
        """Take a trial that is nobody's; only in a turn.

        Raises:
            Lost: If it is another driver's.
        """
        ...

    def release(self, number: int) -> None:
        """Give up a trial: its worker is gone."""
        ...

    def leave(self) -> None:
        """Count no more as one that trains: what is left is for the others."""
        ...

    def others(self) -> tuple[str, ...]:
        """Return the other drivers that train, or end the search, as `HOST (process PID)`."""
        ...

    def num_trials(self) -> int:
        """Return how many trials other drivers may have begun, whether or not their logs tell; only in a turn."""
        ...

    def claimed(self) -> Mapping[int, bool]:
        """Return the trials that living drivers have claimed, and of each whether it was this one; only in a turn."""
        ...

    def abandoned(self) -> list[int]:
        """Return the trials that dead drivers had claimed, now nobody's; only in a turn."""
        ...

    def stay(self) -> None:
        """Count from here on as one that trains, and may be left the end of the search. Only in a turn."""
        ...

    def leave_to_others(self) -> tuple[str, ...]:
        """Return the other drivers that stay; if any do, this one counts no more from here on. Only in a turn.

        One that was killed must be left nothing: whoever stays counts as soon as it gave a sign of life after this one
        asked first.
        """
        ...

    def may_have_company(self) -> bool:
        """Say whether another driver stays, or was killed so lately that nobody can tell. Only in a turn."""
        ...

    def seconds_of_doubt(self) -> float:
        """Return for how long others may count that were killed, 0 where there are no others. Only in a turn."""
        ...

    def begin_ending(self) -> None:
        """Take the end of the search, with all that follows the trials; only in a turn, if no other driver stays.

        Raises:
            Lost: If another driver is at it.
        """
        ...

    def ender(self) -> str | None:
        """Return the other driver that is at the end of the search, as `HOST (process PID)`; only in a turn."""
        ...


@dataclass(frozen=True, slots=True)
class Alone:
    """One driver, with nobody to ask."""

    _mine: set[int] = field(default_factory=set)

    @contextmanager
    def turn(self) -> Iterator[Set[int]]:
        """Give the turn: nobody changed anything."""
        yield frozenset()

    @contextmanager
    def writing(self, number: int) -> Iterator[None]:
        """Hold a trial."""
        yield

    def claim(self, number: int) -> None:
        """Take a trial."""
        self._mine.add(number)

    def release(self, number: int) -> None:
        """Give up a trial."""
        self._mine.discard(number)

    def leave(self) -> None:
        """Do nothing: there are no others."""

    def others(self) -> tuple[str, ...]:
        """Return nothing."""
        return ()

    def num_trials(self) -> int:
        """Return nothing: there are no others."""
        return 0

    def claimed(self) -> Mapping[int, bool]:
        """Return the trials that were claimed."""
        return dict.fromkeys(self._mine, True)

    def abandoned(self) -> list[int]:
        """Return nothing: there was nobody else."""
        return []

    def stay(self) -> None:
        """Do nothing: there is nobody to count."""

    def leave_to_others(self) -> tuple[str, ...]:
        """Return none."""
        return ()

    def may_have_company(self) -> bool:
        """Say no."""
        return False

    def seconds_of_doubt(self) -> float:
        """Return 0: there are no others."""
        return 0.0

    def begin_ending(self) -> None:
        """Do nothing: nobody else could."""

    def ender(self) -> str | None:
        """Return nothing."""
        return None
