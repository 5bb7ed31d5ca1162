"""Jobs that replay learning curves in simulated time: a search without the training.

A scripted job does what a worker does: it sends the results that its checkpoint holds again before new ones,
leaves a checkpoint where it was sent or when it is told to stop, and is gone a moment after its last event.
So a search of thousands of trials takes seconds, and a worker dies at the epoch that a test wants.
"""

import math
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np

from search.executors.base import Event, Gone
from search.trials import OVER_LIMITS
from trainer.config import JobConfig
from trainer.errors import OverLimits
from trainer.limits import check_limits
from trainer.orders import MeasureOrder, Order, TestOrder, TrainOrder
from trainer.results import EpochResult, Failed, Footprint, JobEvent, Reached, Started, Stopped

LEAVING_SECONDS = 0.01  # simulated, from a worker's last event to its end
STEPS_AN_EPOCH = 1000


@dataclass(frozen=True, slots=True)
class Death:
    """The worker dies on its way to the result at an epoch."""

    epoch: float
    code: int = -signal.SIGKILL  # as `Process.exitcode` gives it
    has_hung: bool = False  # and was killed for that


@dataclass(frozen=True, slots=True)
class Failure:
    """The job fails on its way to the result at an epoch."""

    epoch: float
    reason: str  # one of `trainer.results.REASONS`
    message: str = ""


Mishap = Death | Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """How training one configuration goes."""

    results: tuple[EpochResult, ...]  # by rising epoch; one at each that the job can be sent to
    mishaps: tuple[Mishap, ...] = ()  # by rising epoch; each strikes once, however often the job begins again
    ready_seconds: float = 0.0  # simulated, from the order to the first training step
    num_parameters: int = 0
    footprint: Footprint | None = None  # told where it is wanted, before training

    def seconds_to(self, epoch: float) -> float:
        """Return the simulated seconds of training and evaluation from the start to an epoch."""
        return float(np.interp(epoch, *self._milestones()))

    def epoch_after(self, seconds: float) -> float:
        """Return the epoch that is done after so many simulated seconds of training and evaluation."""
        epochs, times = self._milestones()
        return float(np.interp(seconds, times, epochs))

    def _milestones(self) -> tuple[list[float], list[float]]:
        """Return the epochs of the results, from 0, and the seconds at which they come."""
        spent = accumulate(result.epoch_seconds + result.eval_seconds for result in self.results)
        return [0.0, *(result.epoch for result in self.results)], [0.0, *spent]


Scripts = Callable[[int, JobConfig], Script]  # from a job's number and configuration
Answer = Callable[[TestOrder | MeasureOrder], JobEvent | Gone]  # to what is not training


def reading(epoch: float, *, val_accuracy: float, val_loss: float, seconds: float) -> EpochResult:
    """Return the result at an epoch, where only validation scores are known.

    Args:
        epoch: Done.
        val_accuracy: Fraction in [0, 1].
        val_loss: Nats an image.
        seconds: Simulated, since the result before.
    """
    return EpochResult(
        epoch=epoch,
        step=round(epoch * STEPS_AN_EPOCH),
        train_loss=val_loss,
        train_accuracy=val_accuracy,
        val_loss=val_loss,
        val_accuracy=val_accuracy,
        val_top5_accuracy=val_accuracy,
        val_balanced_accuracy=val_accuracy,
        val_f1_macro=val_accuracy,
        val_images=1,
        lr=0.0,
        images_per_second=0.0,
        epoch_seconds=seconds,
        eval_seconds=0.0,
        finished_at=0.0,
    )


def curve(val_accuracies: Sequence[float], *, seconds_per_epoch: float = 1.0) -> tuple[EpochResult, ...]:
    """Return a result at each whole epoch; the loss is what the accuracy lacks to 1."""
    return tuple(
        reading(float(epoch), val_accuracy=accuracy, val_loss=1 - accuracy, seconds=seconds_per_epoch)
        for epoch, accuracy in enumerate(val_accuracies, start=1)
    )


@dataclass(frozen=True, slots=True)
class _Due:
    """Something that will happen to a job."""

    at: float  # simulated seconds
    what: JobEvent | Gone
    is_mishap: bool = False


@dataclass(slots=True)
class _Job:
    script: Script | None  # None for what is not training
    checkpoint: float  # epochs
    began_at: float  # simulated seconds; when training began
    agenda: deque[_Due]

    @property
    def is_leaving(self) -> bool:
        """Say whether all that is left is its end."""
        return isinstance(self.agenda[0].what, Gone) and not self.agenda[0].is_mishap


class ScriptedExecutor:
    """Replays a script a job, at most `num_slots` at once.

    Checkpoints outlive `close`, as those on a disk do.

    Args:
        scripts: Gives the script of a job, the same one whenever the job begins again.
        num_slots: Jobs at once.
        answer: Gives the one event of a job that does not train, or the death of its worker; without it there
            can be no such job.
        speed: Simulated seconds a real one; infinite to wait for nothing.
        longest_jump: Simulated seconds that pass at most, where nothing is waited for, until the driver decides again.
    """

    def __init__(
        self,
        scripts: Scripts,
        *,
        num_slots: int = 1,
        answer: Answer | None = None,
        speed: float = math.inf,
        longest_jump: float = math.inf,
    ) -> None:
        self._scripts = scripts
        self._num_slots = num_slots
        self._answer = answer
        self._speed = speed
        self._longest_jump = longest_jump
        self._now = 0.0
        self._running: dict[int, _Job] = {}
        self._checkpoints: dict[int, float] = {}  # epochs, by job
        self._num_struck: dict[int, int] = {}  # mishaps that have happened, by job

    @property
    def now(self) -> float:
        """Simulated seconds since the executor was made."""
        return self._now

    @property
    def num_slots(self) -> int:
        """Return how many jobs run at once."""
        return self._num_slots

    @property
    def free_slots(self) -> int:
        """Return how many more jobs may be started now."""
        return self._num_slots - len(self._running)

    def start(self, job: int, order: Order) -> None:
        """Begin a job."""
        assert job not in self._running, f"job {job} runs already"
        assert self.free_slots > 0, f"there is no free slot for job {job}"
        if isinstance(order, TrainOrder):
            self._running[job] = self._training(job, order)
        else:
            assert self._answer is not None, f"nobody answers {order}"
            self._running[job] = _Job(None, 0.0, self._now, self._farewell(self._answer(order)))

    def events(self, *, timeout_seconds: float) -> Sequence[Event]:
        """Return what happens next; simulated time jumps there, or goes there at `speed`."""
        due_at = min((job.agenda[0].at for job in self._running.values()), default=math.inf)
        self._pass_until(due_at, timeout_seconds)
        found = []
        for number, job in list(self._running.items()):
            while job.agenda and job.agenda[0].at <= self._now:
                found.append(self._happen(number, job.agenda.popleft()))
        return found

    def stop(self, job: int) -> None:
        """Ask a job to leave a checkpoint and end."""
        running = self._running.get(job)
        if running is None or running.is_leaving:
            return
        epoch = running.checkpoint
        if running.script is not None and self._now > running.began_at:
            before = running.script.seconds_to(running.checkpoint)
            epoch = running.script.epoch_after(before + self._now - running.began_at)
        running.agenda = self._farewell(Stopped(epoch=epoch, at=self._now))

    def close(self) -> None:
        """Kill every worker."""
        for job in self._running.values():
            code = 0 if job.is_leaving else -signal.SIGKILL
            job.agenda = deque([_Due(self._now, Gone(code))])

    def _pass_until(self, due_at: float, timeout_seconds: float) -> None:
        """Let time pass: all of it where it costs nothing, else as much as the timeout allows."""
        if math.isinf(self._speed):
            until = self._now + timeout_seconds if math.isinf(due_at) else min(due_at, self._now + self._longest_jump)
            self._now = max(self._now, until)
            return
        until = min(due_at, self._now + timeout_seconds * self._speed)
        time.sleep(max(0.0, until - self._now) / self._speed)
        self._now = max(self._now, until)

    def _happen(self, number: int, due: _Due) -> Event:
        """Note what outlives the worker."""
        if due.is_mishap:
            self._num_struck[number] = self._num_struck.get(number, 0) + 1
        if isinstance(due.what, Reached | Stopped):
            self._checkpoints[number] = due.what.epoch
        if isinstance(due.what, Gone):
            del self._running[number]
        return Event(number, due.what)

    def _farewell(self, last: JobEvent | Gone) -> deque[_Due]:
        end = [] if isinstance(last, Gone) else [_Due(self._now + LEAVING_SECONDS, Gone(0))]
        return deque([_Due(self._now, last), *end])

    def _training(self, number: int, order: TrainOrder) -> _Job:
        script = self._scripts(number, order.config)
        assert any(r.epoch == order.until for r in script.results), f"no result at epoch {order.until}"
        checkpoint = self._checkpoints.get(number, 0.0)
        began_at = self._now + script.ready_seconds
        mishap = next(iter(script.mishaps[self._num_struck.get(number, 0) :]), None)
        job = _Job(script, checkpoint, began_at, deque())
        if order.is_to_be_weighed and script.footprint is not None:
            job.agenda.append(_Due(began_at, script.footprint))
            try:
                check_limits(script.footprint, order.limits)
            except OverLimits as error:
                refused = Failed(reason=OVER_LIMITS, message=str(error), traceback="", at=began_at)
                job.agenda.extend([_Due(began_at, refused), _Due(began_at + LEAVING_SECONDS, Gone(0))])
                return job
        job.agenda.extend(_agenda(job, script, order.until, mishap))
        return job


def _agenda(job: _Job, script: Script, until: float, mishap: Mishap | None) -> Iterator[_Due]:
    """Yield what happens from the checkpoint to the epoch ordered, or to the mishap before it."""
    strike = mishap if mishap is not None and mishap.epoch <= until else None
    last = until if strike is None else strike.epoch

    def at(epoch: float) -> float:
        return job.began_at + max(0.0, script.seconds_to(epoch) - script.seconds_to(job.checkpoint))

    begun = Started(epoch=job.checkpoint, pid=0, at=job.began_at, ready_seconds=script.ready_seconds)
    yield _Due(job.began_at, begun)
    for result in script.results:
        is_reached = result.epoch < last or (result.epoch == last and strike is None)
        if is_reached or result.epoch <= job.checkpoint:
            yield _Due(at(result.epoch), replace(result, finished_at=at(result.epoch)))
    if isinstance(strike, Death):
        yield _Due(at(last), Gone(strike.code, has_hung=strike.has_hung), is_mishap=True)
        return
    yield _Due(at(last), _last_word(script, until, strike, at(last)), is_mishap=strike is not None)
    yield _Due(at(last) + LEAVING_SECONDS, Gone(0))


def _last_word(script: Script, until: float, strike: Failure | None, at: float) -> JobEvent:
    if strike is None:
        return Reached(epoch=until, at=at, num_parameters=script.num_parameters, predictions="")
    return Failed(reason=strike.reason, message=strike.message, traceback="", at=at)
