"""The books of a search: a trial's log first, then the study, then the tracking store.

Whatever happens to a trial goes through here. The log has it at once, the others when nothing is in a hurry, by
`catch_up`: a database takes a score of milliseconds where the log takes one, and a free worker waits for its next
order. A crash between two of the three leaves the log ahead of the others; `recover` brings them level.
"""

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from search import eventlog, trials
from search.crew import Alone, Crew
from search.distributions import distributions
from search.errors import StudyError
from search.ledger import BuildJob
from search.store import Store
from search.study import Study
from search.tracking import Tracker
from search.trials import OBJECTIVES, Record, State, Trial
from spaces import SearchSpace, Value
from trainer.config import flat
from trainer.crashpoints import crash_point
from trainer.results import EpochResult

STEPS_AN_EPOCH = 100  # of the study's intermediate values and the metrics: their steps are whole numbers


def step_of(epoch: float) -> int:
    """Return the step under which results of an epoch are shown: hundredths of an epoch."""
    return round(epoch * STEPS_AN_EPOCH)


@dataclass(slots=True, kw_only=True)
class Book:
    """All trials of one search, kept in three places."""

    name: str  # of the study
    space: SearchSpace
    store: Store
    study: Study
    tracker: Tracker
    build: BuildJob
    crew: Crew = field(default_factory=Alone)
    trials: list[Trial] = field(default_factory=list)  # by number
    _of_others: set[int] = field(default_factory=set)  # trials that other drivers wrote of
    _untold: list[tuple[Trial, Trial]] = field(default_factory=list)  # before and after what the others are to be told

    def directory(self, number: int) -> Path:
        """Return where a trial's checkpoints lie."""
        return self.store.job(self.name, number)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other driver decides, and read what the others wrote; the block has the turn.

        Raises:
            Lost: From the block, where the turn was taken away because it took too long.
        """
        with self.crew.turn() as changed:
            for number in sorted(changed):
                self._read(number)
            self._open_logs_of_others(self.crew.num_trials())
            self._free_abandoned()
            yield

    def begin_trial(self, params: Mapping[str, Value]) -> Trial:
        """Write down a new trial; return it, paused at epoch 0."""
        uid = uuid.uuid4().hex
        number = self.study.add_trial(params, distributions(self.space, params), uid=uid)
        crash_point("after_ask")
        self._open_logs_of_others(number)
        assert number == len(self.trials), f"trial {number} of {len(self.trials)}"
        return self._open_log(number, params, uid)

    def record(self, number: int, record: Record) -> Trial:
        """Write down what happened to a trial; return it as it is now. The others are told by `catch_up`."""
        before = self.trials[number]
        with self.crew.writing(number):
            eventlog.append(self.store.log(self.name, number), record)
        crash_point("after_log")
        after = trials.apply(before, record)
        self.trials[number] = after
        self._untold.append((before, after))
        return after

    def end(self, number: int, state: State, *, reason: str = "", message: str = "") -> Trial:
        """Write down the end of a trial."""
        return self.record(number, trials.ended(state, reason=reason, message=message, at=time.time()))

    def catch_up(self) -> None:
        """Tell study and tracking store what was written down since the last time."""
        while self._untold:
            before, after = self._untold[0]
            if after.footprint is not None and before.footprint is None:
                self._tell_costs(after.number, after.footprint.costs())
            self._tell_study(after, after.results[len(before.results) :])
            self.tracker.show(after)
            del self._untold[0]

    def let_go(self, numbers: Iterable[int]) -> None:
        """Show trials as paused: their driver fails, and whoever goes on puts their logs right."""
        for number in numbers:
            if self.trials[number].state is State.RUNNING:
                self.tracker.show(replace(self.trials[number], state=State.PAUSED))

    def recover(self) -> None:
        """Read the trials of an earlier driver, and bring study and tracking store level with their logs.

        Raises:
            StudyError: If there are logs of trials that the study does not hold.
        """
        self.trials = self.store.trials(self.name)
        numbers = [trial.number for trial in self.trials]
        missing = sorted(set(range(len(numbers))) - set(numbers))
        if missing:
            raise StudyError(
                f"The log of trial {missing[0]} is missing in {self.store.study(self.name)}. Bring it back from a "
                f"copy, or search under another name with --study."
            )
        known = self.study.trials()
        if len(known) < len(self.trials):
            raise StudyError(
                f"The logs in {self.store.study(self.name)} tell of {len(self.trials)} trials, the study database "
                f"holds {len(known)}. It is another database, or it was emptied: name the right one with "
                f"--storage, or search under another name with --study."
            )
        self._open_logs_of_others(len(known))
        self._free_abandoned()
        held = self.crew.claimed()
        for number in range(len(self.trials)):
            if number in held:
                continue  # its driver shows it
            self.tracker.show(self.trials[number])
        self.level()

    def level(self) -> None:
        """Tell study and tracking store of what stands in the logs alone: a driver may have died in between."""
        self.catch_up()
        for number in sorted(self._of_others):
            self.tracker.show(self.trials[number])
        held = self.crew.claimed()
        for known, trial in zip(self.study.trials(), self.trials, strict=True):
            if not known.state.is_finished() and trial.number not in held:
                self._tell_anew(trial)

    def _free_abandoned(self) -> None:
        """Let whatever dead drivers were training go on from where it left a checkpoint; at the last rung, end it."""
        for number in self.crew.abandoned():
            self._read(number)
            self._tell_anew(self.trials[number])
            self.tracker.show(self.trials[number])
        held = self.crew.claimed()
        for trial in list(self.trials):
            if trial.number in held:
                continue
            if trial.state is State.RUNNING:
                trial = self.record(trial.number, {"kind": "released", "at": time.time()})
            if trial.state is State.PAUSED and trial.has_reached(self.space.budget.epochs):
                self._tell_anew(trial)  # before its end: a finished trial takes no more values
                self.end(trial.number, State.COMPLETE)  # its driver came no further than to write that it is there

    def _read(self, number: int) -> None:
        """Read the log of a trial that another driver wrote to."""
        self._open_logs_of_others(number)
        trial = trials.fold(eventlog.read(self.store.log(self.name, number)))
        self._of_others.add(number)
        if trial is not None:
            self.trials[number : number + 1] = [trial]

    def _open_logs_of_others(self, num: int) -> None:
        """Read the logs of trials that stand in the study, and begin those that are missing: their driver died."""
        if num <= len(self.trials):
            return
        for frozen in self.study.trials()[len(self.trials) : num]:
            trial = trials.fold(eventlog.read(self.store.log(self.name, frozen.number)))
            if trial is None:
                self._open_log(frozen.number, frozen.params, frozen.user_attrs["autoclf.uid"])
            else:  # its driver died in its turn, and the database took back what it had noted
                self.trials.append(trial)
                self._of_others.add(frozen.number)

    def _open_log(self, number: int, params: Mapping[str, Value], uid: str) -> Trial:
        record = trials.created(number=number, uid=uid, params=params, config=flat(self.build(params)), at=time.time())
        path = self.store.log(self.name, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        with self.crew.writing(number):
            eventlog.append(path, record)
        trial = trials.fold([record])
        assert trial is not None
        self.trials.append(trial)
        self.tracker.show(trial)
        return trial

    def _tell_anew(self, trial: Trial) -> None:
        """Tell all of a trial of which the study may have missed something."""
        if trial.footprint is not None:
            self._tell_costs(trial.number, trial.footprint.costs())
        self._tell_study(trial, trial.results)

    def _tell_study(self, trial: Trial, results: tuple[EpochResult, ...]) -> None:
        """Report results, and the end if it has come; both may have been told before."""
        metric = self.space.objective.metric
        for result in results:
            value = result.metrics()[metric]
            self.study.report(trial.number, step=step_of(result.epoch), value=value)
        if trial.state.is_over:
            self._tell_end(trial)

    def _tell_end(self, trial: Trial) -> None:
        last = trial.results[-1] if trial.results else None
        self.study.describe(trial.number, "autoclf.epochs", last.epoch if last else 0.0)
        self.study.describe(trial.number, "autoclf.train_seconds", round(trial.train_seconds, 3))
        self.study.describe(trial.number, "autoclf.reason", trial.reason)
        crash_point("before_tell")
        value = last.metrics()[self.space.objective.metric] if last else None
        self.study.tell(trial.number, trial.state, value)
        crash_point("after_tell")

    def _tell_costs(self, number: int, costs: Mapping[str, float]) -> None:
        for name, cost in costs.items():
            self.study.describe(number, f"autoclf.{name}", cost)
        for name, limit in self.space.constraints.limits().items():
            if name in costs:
                self.study.constrain(number, name, costs[name] / limit - 1)


def contenders(items: Sequence[Trial]) -> list[Trial]:
    """Return the complete trials; if there is none, those that went farthest.

    No failed one, none over limits, and none whose checkpoint gave way. Of one that was cut short only the results
    count that its checkpoint holds: with scores of weights that are gone there is nothing to test or to promote.
    """
    kept = [trials.held(t) for t in items if not t.is_hopeless and t.reason != trials.NO_ROOM]
    sound = [t for t in kept if t.results]
    complete = [t for t in sound if t.state is State.COMPLETE]
    farthest = max((t.results[-1].epoch for t in sound), default=0.0)
    return complete or [t for t in sound if t.results[-1].epoch == farthest]


def best_of(items: list[Trial], objective: str) -> Trial | None:
    """Return the best complete trial; if none is, the best of those that went farthest; None if none has a result.

    Of equal scores the smaller loss wins, and then the earlier trial.
    """
    assert objective in OBJECTIVES
    return max(contenders(items), key=lambda t: (trials.merit(t.results[-1], objective), -t.number), default=None)
