"""The books of a race: finalists trained again with other seeds.

A repeat is a trial of its own kind: it has a log, a checkpoint and a state, and what it was drawn from are the number
of its finalist and a seed. It stands in no study and has no run in the tracking store: a configuration is one trial,
however often it was trained.
"""

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from search import eventlog, trials
from search.crew import Alone, Crew
from search.errors import StudyError
from search.store import Store, read_logs
from search.trials import Record, State, Trial
from spaces import SearchSpace, Value
from trainer.config import flat

FINALIST, SEED = "trial", "seed"  # what a repeat is drawn from; seeds count from 1, on top of the search's own


def finalist_of(repeat: Trial) -> int:
    """Return the number of the trial that was repeated."""
    return int(repeat.params[FINALIST])


def seed_of(repeat: Trial) -> int:
    """Return which seed it was repeated with, from 1."""
    return int(repeat.params[SEED])


@dataclass(slots=True, kw_only=True)
class Repeats:
    """All repeats of one search, kept in their logs."""

    study: str
    space: SearchSpace  # without constraints: what is repeated was weighed already, and a seed may weigh a little more
    store: Store
    searched: Sequence[Trial]  # the trials of the search, by number
    trials: list[Trial] = field(default_factory=list)  # the repeats, by a number of their own
    crew: Crew = field(default_factory=Alone)  # one driver ends a search

    def directory(self, number: int) -> Path:
        """Return where a repeat's checkpoints and predictions lie."""
        return self.store.race(self.study) / str(number)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Give the turn."""
        yield

    def begin_trial(self, params: Mapping[str, Value]) -> Trial:
        """Write down a new repeat; return it, paused at epoch 0."""
        config = self.searched[int(params[FINALIST])].config
        config = replace(config, seed=config.seed + int(params[SEED]))
        number = len(self.trials)
        record = trials.created(number=number, uid=uuid.uuid4().hex, params=params, config=flat(config), at=time.time())
        self.directory(number).mkdir(parents=True, exist_ok=True)
        eventlog.append(self._log(number), record)
        repeat = trials.fold([record])
        assert repeat is not None
        self.trials.append(repeat)
        return repeat

    def record(self, number: int, record: Record) -> Trial:
        """Write down what happened to a repeat; return it as it is now."""
        eventlog.append(self._log(number), record)
        self.trials[number] = trials.apply(self.trials[number], record)
        return self.trials[number]

    def end(self, number: int, state: State, *, reason: str = "", message: str = "") -> Trial:
        """Write down the end of a repeat."""
        return self.record(number, trials.ended(state, reason=reason, message=message, at=time.time()))

    def catch_up(self) -> None:
        """Do nothing: the study does not know of repeats."""

    def let_go(self, numbers: Iterable[int]) -> None:
        """Do nothing: nobody is shown repeats."""

    def recover(self) -> None:
        """Read the repeats of an earlier driver; what it left running waits to go on.

        Raises:
            StudyError: If one is missing.
        """
        self.trials = read_logs(self.store.race(self.study))
        for number, repeat in enumerate(self.trials):
            if repeat.number != number:
                raise StudyError(
                    f"The log of repeat {number} is missing in {self.store.race(self.study)}. Bring it back from a "
                    f"copy, or delete that directory: the finalists are then trained again."
                )
            if repeat.state is State.RUNNING:
                self.record(number, {"kind": "released", "at": time.time()})
            elif repeat.state is State.PAUSED and repeat.has_reached(self.space.budget.epochs):
                self.end(number, State.COMPLETE)

    def _log(self, number: int) -> Path:
        return self.directory(number) / eventlog.FILE
