"""Where the engine writes down what happens to trials: real books in production, memory in replays."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from search import trials
from search.crew import Alone, Crew
from search.trials import Record, State, Trial
from spaces import SearchSpace, Value
from trainer.config import JobConfig

BuildJob = Callable[[Mapping[str, Value]], JobConfig]  # from drawn parameters
NOWHERE = Path("/nonexistent")


class Ledger(Protocol):
    """All trials of one search, and the one way to change them."""

    @property
    def space(self) -> SearchSpace:
        """Return what is searched."""
        ...

    @property
    def trials(self) -> list[Trial]:
        """Return all trials, by number without gaps."""
        ...

    @property
    def crew(self) -> Crew:
        """Return the drivers of the search."""
        ...

    def directory(self, number: int) -> Path:
        """Return where a trial's checkpoints lie."""
        ...

    def turn(self) -> AbstractContextManager[None]:
        """Wait until no other driver decides, and read what the others wrote; the block has the turn.

        Raises:
            Lost: From the block, where the turn was taken away because it took too long.
        """
        ...

    def begin_trial(self, params: Mapping[str, Value]) -> Trial:
        """Write down a new trial; return it, paused at epoch 0."""
        ...

    def record(self, number: int, record: Record) -> Trial:
        """Write down what happened to a trial; return it as it is now.

        Raises:
            Lost: If it is another driver's.
        """
        ...

    def end(self, number: int, state: State, *, reason: str = "", message: str = "") -> Trial:
        """Write down the end of a trial."""
        ...

    def catch_up(self) -> None:
        """Do what was put off of the writing down, as nothing is in a hurry now."""
        ...

    def let_go(self, numbers: Iterable[int]) -> None:
        """Show trials as paused: their driver fails, and whoever goes on puts their logs right."""
        ...


@dataclass(slots=True, kw_only=True)
class MemoryLedger:
    """Trials that are gone with the process: for jobs that replay recorded curves, by the thousand."""

    space: SearchSpace
    build: BuildJob
    trials: list[Trial] = field(default_factory=list)
    crew: Crew = field(default_factory=Alone)

    def directory(self, number: int) -> Path:
        """Return a path at which nothing lies."""
        return NOWHERE / str(number)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Give the turn."""
        yield

    def begin_trial(self, params: Mapping[str, Value]) -> Trial:
        """Keep a new trial."""
        number = len(self.trials)
        trial = Trial(number=number, uid=str(number), params=dict(params), config=self.build(params), created_at=0.0)
        self.trials.append(trial)
        return trial

    def record(self, number: int, record: Record) -> Trial:
        """Keep what happened to a trial."""
        self.trials[number] = trials.apply(self.trials[number], record)
        return self.trials[number]

    def end(self, number: int, state: State, *, reason: str = "", message: str = "") -> Trial:
        """Keep the end of a trial."""
        return self.record(number, trials.ended(state, reason=reason, message=message, at=0.0))

    def catch_up(self) -> None:
        """Do nothing: nothing was put off."""

    def let_go(self, numbers: Iterable[int]) -> None:
        """Do nothing: nobody looks."""
