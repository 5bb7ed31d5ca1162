"""The driver: fills free slots with jobs, and carries what they report into the books."""

import math
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

from search import trials
from search.crew import Lost
from search.errors import StorageBusyError, StudyError
from search.executors import Event, Executor, Gone
from search.ledger import Ledger
from search.notices import Notice, Watch
from search.room import Eviction
from search.samplers import Sampler
from search.schedulers import Action, Finish, Prune, Resume, Scheduler, Situation, Start, Stop, Wait
from search.schedulers.closing import fits, following_rung
from search.trials import NO_ROOM, OUT_OF_TIME, OVER_LIMITS, State, Trial
from trainer.crashpoints import crash_point
from trainer.jobfiles import remove_checkpoints, remove_state
from trainer.orders import TrainOrder
from trainer.results import EpochResult, Failed, Halved, JobEvent, Reached, Started, StepResult, Stopped, to_record

TICK_SECONDS = 0.25
MOMENT_SECONDS = 0.02  # without news, after which there is time for the slower books
MOST_BEHIND_SECONDS = 1.0  # that those may be where news never stop
DRAIN_SECONDS = 30.0  # that workers get to leave a checkpoint; then they are killed and lose a minute at most
STOPPING_SECONDS = 10.0  # the same at the end of a search, where nothing better is there
CLOSING_SECONDS = 5.0  # that killed workers get to be gone
MAX_DEATHS = 2  # workers killed from outside under one trial before it is given up
MOST_FAILURES = 8  # one after the other, and twice what is under way: then the next ones are thought to fail, too
KEPT_FRESH_SECONDS = 1.0  # between two estimates of what follows the trials: that takes longer than a decision
DIVERGED = "nan_loss"  # the reason of such a trial
FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM, 143)  # exit codes that say nothing against the job


@dataclass(slots=True, kw_only=True)
class Engine:
    """One search under way."""

    book: Ledger
    sampler: Sampler
    scheduler: Scheduler
    executor: Executor
    data_root: Path
    max_trials: int  # configurations in all
    deadline: float | None  # as the clock gives it; None for no limit
    is_interrupted: Callable[[], bool]
    watch: Watch
    clock: Callable[[], float] = time.monotonic  # seconds from any beginning; simulated in replays
    kept_free: Callable[[Sequence[Trial]], float] = lambda trials: 0.0  # seconds before the deadline, for what follows
    may_be_cut_short: bool = True  # where nothing is complete, the best of what went farthest is what the search found
    crowded_out: Callable[[Sequence[Trial]], Sequence[Eviction]] = lambda trials: ()  # what the disk can't hold
    _busy: set[int] = field(default_factory=set)  # trials that a worker has
    _stopping: set[int] = field(default_factory=set)  # of those, the ones asked to stop
    _began: float = 0.0  # as the clock gives it
    _num_complete_before: int = 0  # trials, when it began
    _level_at: float = 0.0  # as the clock gives it: when the slower books were told all
    _has_more_to_keep: bool = True  # checkpoints, since room was made for them
    _stops_until: float | None = None  # as the clock gives it: what runs has time for checkpoints
    _failed: list[int] = field(default_factory=list)  # trials, since one came to a rung
    _kept: float = 0.0  # seconds for what follows
    _kept_at: float = -math.inf  # as the clock gives it: when that was estimated
    left_to: tuple[str, ...] = ()  # other drivers, with nothing left to do for this one

    def run(self) -> bool:
        """Search until the budget is spent or somebody interrupts; return whether the search is finished.

        When it is, every trial has ended. When it is not, what ran has left a checkpoint and can go on; other drivers
        may be at it.

        Raises:
            StudyError: If trials fail one after the other; what ran has left a checkpoint.
        """
        self._began = self._level_at = self.clock()
        self._num_complete_before = sum(trial.state is State.COMPLETE for trial in self.book.trials)
        try:
            return self._search()
        except BaseException:
            self.book.let_go(self._busy)
            raise

    def _search(self) -> bool:
        """Search until that is finished, or is not for this driver any more; return whether it is finished."""
        while not self.is_interrupted() and not self.left_to:
            is_over = False
            with suppress(Lost):  # the turn, or a trial: the next turn sees it as it is
                is_over = self._fill()
            if is_over:
                self.book.catch_up()
                self._close()
                return True
            self._take(self._next_events())
            if len(self._failed) >= max(MOST_FAILURES, 2 * len(self._busy)):
                self._drain()
                raise self._nothing_works()
        self._drain()
        return False

    def _next_events(self) -> Sequence[Event]:
        """Wait for events; when none comes for a moment, the book has time to catch up."""
        events = self.executor.events(timeout_seconds=MOMENT_SECONDS)
        if events and self.clock() < self._level_at + MOST_BEHIND_SECONDS:
            return events
        self.book.catch_up()
        self._level_at = self.clock()
        return events or self.executor.events(timeout_seconds=TICK_SECONDS)

    def _fill(self) -> bool:
        """Carry out decisions until there is nothing to do now; return whether the search is over."""
        with self.book.turn():
            self._make_room()
            while True:
                situation = self._situation()
                action = self.scheduler.decide(situation)
                if isinstance(action, Finish):
                    return self._finish(situation)
                if not self._carry_out(action):
                    return False

    def _finish(self, situation: Situation) -> bool:
        """End every trial, if that is for this driver to do; return whether it is done.

        Of several drivers the last one ends the search, when no other one trains.
        """
        self.left_to = self.book.crew.leave_to_others()
        if self.left_to or self.book.crew.may_have_company():
            return False
        if not all(self.book.crew.claimed().values()) or self._waits_for_checkpoints():
            return False
        self.book.crew.begin_ending()
        self._end_all(situation)
        return True

    def _waits_for_checkpoints(self) -> bool:
        """Let what runs leave checkpoints, where one of them may be the best there is: nothing is complete."""
        is_needed = self.may_be_cut_short and not any(trial.state is State.COMPLETE for trial in self.book.trials)
        if not is_needed or not self._busy:
            return False
        self._stop(self._busy)
        if self._stops_until is None:
            self._stops_until = self.clock() + STOPPING_SECONDS
        return self.clock() < self._stops_until

    def _situation(self) -> Situation:
        until = None if self.deadline is None else self.deadline - self._kept_free()
        return Situation(
            trials=self.book.trials,
            max_trials=self.max_trials,
            seconds_left=None if until is None else until - self.clock(),
            has_free_slot=self.executor.free_slots > 0,
            seconds_given=None if until is None else until - self._began,
            is_slot_coming=any(
                number in self._stopping or self.book.trials[number].state is not State.RUNNING for number in self._busy
            ),
            own=self._busy,
            num_complete_before=self._num_complete_before,
        )

    def _kept_free(self) -> float:
        if self.clock() >= self._kept_at + KEPT_FRESH_SECONDS:
            in_doubt = self.book.crew.seconds_of_doubt()  # whoever ends the search may have to wait for that first
            self._kept, self._kept_at = self.kept_free(self.book.trials) + in_doubt, self.clock()
        return self._kept

    def _carry_out(self, action: Action) -> bool:
        """Do what was decided; return whether to ask for more now."""
        match action:
            case Start(until=until):
                self._order(self.book.begin_trial(self.sampler.draw(self.book.trials)).number, until)
                return True
            case Resume(number=number) if number in self._busy:
                return False  # its last worker is about to leave
            case Resume(number=number, until=until):
                self._order(number, until)
                return True
            case Stop(number=number):
                self._stop([number])
                return False
            case Prune(number=number):
                self._end(number, State.PRUNED, reason="rung")
                return True
            case Wait() | Finish():
                return False
            case _:
                assert_never(action)

    def _order(self, number: int, until: float) -> None:
        self.book.crew.claim(number)
        trial = self.book.record(number, trials.ordered(until, at=time.time()))
        order = TrainOrder(
            config=trial.config,
            data_root=self.data_root,
            directory=self.book.directory(number),
            until=until,
            limits=self.book.space.constraints.limits(),
            is_to_be_weighed=trial.footprint is None,
        )
        self.executor.start(number, order)
        self._busy.add(number)
        self.watch(Notice(kind="ordered", trial=trial, values={"until": until, "params": dict(trial.params)}))
        crash_point("after_start")

    def _stop(self, numbers: Iterable[int]) -> None:
        for number in set(numbers) & self._busy - self._stopping:
            self.executor.stop(number)
            self._stopping.add(number)

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            try:
                self._take_one(event)
            except Lost:
                self._stop([event.job])

    def _take_one(self, event: Event) -> None:
        if isinstance(event.what, Gone):
            self._busy.discard(event.job)
            self._stopping.discard(event.job)
            if self.book.trials[event.job].state is State.RUNNING:
                self._bury(event.job, event.what)
            self.book.crew.release(event.job)
        elif isinstance(event.what, StepResult):
            values = {"epoch": event.what.epoch, "images_per_second": event.what.images_per_second}
            self._tell("progress", event.job, **values)
        elif not self.book.trials[event.job].state.is_over:
            self._note(event.job, event.what)

    def _note(self, number: int, event: JobEvent) -> None:
        """Write down what a worker reports, and what follows from it."""
        before = self.book.trials[number]
        if isinstance(event, EpochResult) and not event.is_sound():
            event = Failed(
                reason="nan_loss", message=f"Unsound scores: {event.metrics()}", traceback="", at=time.time()
            )
            self._stop([number])
        if isinstance(event, Reached):
            self._failed.clear()
        self._has_more_to_keep |= isinstance(event, Reached | Stopped)
        after = self.book.record(number, to_record(event))
        self._follow(number, event, is_new=after.results != before.results)

    def _follow(self, number: int, event: JobEvent, *, is_new: bool) -> None:
        """Do what follows from an event that is written down."""
        match event:
            case Started():
                self._tell("started", number, epoch=event.epoch, pid=event.pid, ready_seconds=event.ready_seconds)
            case EpochResult() if is_new:  # not one that the checkpoint sent again
                self._tell("epoch", number, **event.metrics())
            case Halved():
                self._tell("halved", number, portion=event.portion)
            case Reached(is_final=True):
                self._end(number, State.COMPLETE, reason="stalled")
            case Reached() if event.epoch >= self.book.space.budget.epochs:
                self._end(number, State.COMPLETE)
            case Reached() | Stopped():
                self._tell("paused", number, epoch=event.epoch)
            case Failed():
                state = State.PRUNED if event.reason == OVER_LIMITS else State.FAILED
                self._end(number, state, reason=event.reason, message=event.message)

    def _make_room(self) -> None:
        """End what the disk has no room for, and delete its checkpoints."""
        if not self._has_more_to_keep:
            return
        for eviction in self.crowded_out(self.book.trials):
            if not self.book.trials[eviction.number].state.is_over:
                self._end(eviction.number, State.PRUNED, reason=NO_ROOM)
            remove = remove_checkpoints if eviction.keeps_weights else remove_state
            remove(self.book.directory(eviction.number))
        self._has_more_to_keep = False  # not before: where one was refused all are looked at again

    def _bury(self, number: int, gone: Gone) -> None:
        """Note a worker's death; go on from the checkpoint once if it hung or was killed from outside."""
        code = gone.code
        if gone.is_innocent:
            self.book.record(number, {"kind": "released", "at": time.time()})
            self._tell("died", number, code=code, has_hung=False)
            return
        trial = self.book.record(number, trials.died(code, at=time.time()))
        self._tell("died", number, code=code, has_hung=gone.has_hung)
        if code not in FROM_OUTSIDE:
            self._end(number, State.FAILED, reason=f"crashed({code})", message="The worker crashed.")
        elif trial.deaths >= MAX_DEATHS and gone.has_hung:
            self._end(number, State.FAILED, reason="timeout", message="Two workers in a row hung.")
        elif trial.deaths >= MAX_DEATHS:
            message = "The worker was killed twice. The system does that when memory runs out."
            self._end(number, State.FAILED, reason=f"killed({code})", message=message)

    def _end(self, number: int, state: State, *, reason: str = "", message: str = "") -> None:
        trial = self.book.end(number, state, reason=reason, message=message)
        if state is State.FAILED:
            if reason != DIVERGED or not any(known.reached for known in self.book.trials):
                self._failed.append(number)  # that one diverged where others did not says nothing of the next one
            remove_state(self.book.directory(number))
        values = trial.results[-1].metrics() if trial.results else {}
        self._tell(state.value, number, reason=reason, message=message, **values)

    def _end_all(self, situation: Situation) -> None:
        """Prune what waits and what runs: the search is over. Whoever lacked the time was not judged by its rung."""
        left, rungs = situation.seconds_left, self.book.space.budget.rungs
        for trial in list(self.book.trials):
            if not trial.state.is_over:
                following = following_rung(trial, rungs)
                is_late = left is not None and (left <= 0 or not fits(trial.seconds_until(following), situation))
                self._end(trial.number, State.PRUNED, reason=OUT_OF_TIME if is_late else "rung")

    def _close(self) -> None:
        """Kill the workers of what has ended."""
        self.executor.close()
        until = self.clock() + CLOSING_SECONDS
        while self._busy and self.clock() < until:
            self._take(self.executor.events(timeout_seconds=TICK_SECONDS))

    def _drain(self) -> None:
        """Let what runs leave a checkpoint; it can go on another day, or with other drivers, who need not wait."""
        self._stop(set(self._busy))
        with suppress(StorageBusyError):  # then this driver's sign of life runs out
            self.book.crew.leave()
        until = self.clock() + DRAIN_SECONDS
        while self._busy and self.clock() < until:
            self._take(self.executor.events(timeout_seconds=TICK_SECONDS))
        self.executor.close()
        for number in self._busy:
            if self.book.trials[number].state is State.RUNNING:
                with suppress(Lost):
                    self.book.record(number, {"kind": "released", "at": time.time()})
        self.book.catch_up()

    def _nothing_works(self) -> StudyError:
        last = self.book.trials[self._failed[-1]]
        return StudyError(
            f"The last {len(self._failed)} trials have failed, one after the other; #{last.number} with reason "
            f"{last.reason}: {last.message.rstrip('.')}. The next ones would fail, too, so the search has stopped. "
            f"Mend what it is, then `autoclf resume STUDY` goes on."
        )

    def _tell(self, kind: str, number: int, **values: object) -> None:
        self.watch(Notice(kind=kind, trial=self.book.trials[number], values=values))
