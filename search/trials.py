"""A trial as a value, and how the records of its log change it.

The same function folds the records when they are written and when a log is read again, so a search that goes on
after a crash sees just what it saw before.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import reduce
from operator import is_
from typing import Any

from trainer.config import JobConfig, Value, job_config, scoring_at
from trainer.lengths import effort
from trainer.results import EpochResult, Failed, Footprint, JobEvent, Reached, Started, Stopped, from_record
from trainer.settings import Classical

Record = dict[str, Any]
NO_ROOM = "disk"  # the reason why a paused trial ended whose checkpoint gave way
OUT_OF_TIME = "time"  # the reason why a trial ended that there was no time for
CUT_SHORT = (OUT_OF_TIME, NO_ROOM)  # such a trial may have been a good one
OVER_LIMITS = "constraint"  # the reason why a trial ended whose model costs more than its space allows
OBJECTIVES = {  # sign: what is better is larger
    "val/accuracy": 1,
    "val/top5_accuracy": 1,
    "val/balanced_accuracy": 1,
    "val/f1_macro": 1,
    "val/loss": -1,
}
_FIELDS = {objective: objective.replace("/", "_") for objective in OBJECTIVES}  # of a result


class State(Enum):
    """Where a trial stands."""

    RUNNING = "running"  # a worker has it, or had it when the driver died
    PAUSED = "paused"  # at a rung or where it was stopped, with a checkpoint
    COMPLETE = "complete"  # trained to the last rung
    PRUNED = "pruned"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        """Say whether nothing more will happen to such a trial."""
        return self in (State.COMPLETE, State.PRUNED, State.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One configuration under evaluation."""

    number: int
    uid: str  # unique over all studies
    params: Mapping[str, str | int | float | bool]  # as the sampler drew them, by parameter name
    config: JobConfig
    created_at: float  # seconds since 1970
    state: State = State.PAUSED
    target: float = 0.0  # epochs; the one that it was last sent to
    epoch: float = 0.0  # epochs that its checkpoint is known to hold
    results: tuple[EpochResult, ...] = ()
    reached: tuple[float, ...] = ()  # rungs, in order
    deaths: int = 0  # workers that died under it
    num_parameters: int = 0
    footprint: Footprint | None = None  # what its model costs, once that was measured
    ended_at: float | None = None
    reason: str = ""  # why it ended, where that is no plain completion
    message: str = ""  # of a failure

    @property
    def is_owed(self) -> bool:
        """Say whether it was never sent anywhere, or did not arrive where it was sent, and no worker has it."""
        return self.state is State.PAUSED and (self.target not in self.reached or self.target > self.epoch)

    def has_reached(self, epoch: float) -> bool:
        """Say whether it arrived at an epoch or beyond, with its results and weights, not just with a checkpoint."""
        return bool(self.reached) and self.reached[-1] >= epoch

    @property
    def is_hopeless(self) -> bool:
        """Say whether it is known to be worth nothing: it failed, or its model costs too much."""
        return self.state is State.FAILED or self.reason == OVER_LIMITS

    @property
    def progress(self) -> float:
        """Return the epochs that are done: of one that a worker has, those of its last result."""
        if self.state is State.RUNNING and self.results:
            return max(self.epoch, self.results[-1].epoch)
        return self.epoch

    @property
    def train_seconds(self) -> float:
        """Seconds of training steps so far."""
        return sum(result.epoch_seconds for result in self.results)

    @property
    def answer_seconds(self) -> float:
        """Seconds that the trained model takes for the answer to an image, as shown in the end; 0 before a result."""
        if not self.results:
            return 0.0
        last = self.results[-1]
        shown = scoring_at(self.config, is_last=last.epoch >= self.config.training.epochs)
        views = self.config.scoring.num_views / shown.num_views
        return views * last.eval_seconds / max(1, last.val_images)

    def seconds_until(self, epoch: float) -> float | None:
        """Estimate the time to a later epoch, an evaluation after each whole one; None before the first result."""
        if not self.results:
            return None
        last = self.results[-1]
        if isinstance(self.config.model, Classical):
            return last.eval_seconds  # it is fitted already
        to_come = max(0.0, epoch - self.progress)
        training = seconds_of_training(self, epoch) - seconds_of_training(self, min(epoch, self.progress))
        evaluations = math.ceil(to_come) * last.eval_seconds
        if epoch >= self.config.training.epochs:
            evaluations += self.answer_seconds * last.val_images - last.eval_seconds  # in more views
        return training + evaluations


def created(*, number: int, uid: str, params: Mapping[str, Value], config: Mapping[str, Value], at: float) -> Record:
    """Return the record that a trial's log begins with."""
    return {
        "kind": "created",
        "number": number,
        "uid": uid,
        "params": dict(params),
        "config": dict(config),
        "at": at,
    }


def ordered(until: float, *, at: float) -> Record:
    """Return the record of a job being handed out."""
    return {"kind": "ordered", "until": until, "at": at}


def died(code: int, *, at: float) -> Record:
    """Return the record of a worker's death; `code` as `Process.exitcode` gives it, negative for a signal."""
    return {"kind": "died", "code": code, "at": at}


def ended(state: State, *, reason: str = "", message: str = "", at: float) -> Record:
    """Return the last record of a trial."""
    return {"kind": "ended", "state": state.value, "reason": reason, "message": message, "at": at}


def fold(records: Iterable[Record]) -> Trial | None:
    """Return the trial that a log tells of, or None for an empty log."""
    items = iter(records)
    first = next(items, None)
    return None if first is None else reduce(apply, items, _begin(first))


def apply(trial: Trial, record: Record) -> Trial:
    """Return the trial after one more record of its log."""
    match record["kind"]:
        case "created":  # by a driver that did not see that another one had written it
            return trial
        case "ordered":
            return replace(trial, state=State.RUNNING, target=record["until"])
        case "released":  # its driver died
            return replace(trial, state=State.PAUSED)
        case "died":
            return replace(trial, state=State.PAUSED, deaths=trial.deaths + 1)
        case "ended":
            return replace(
                trial,
                state=State(record["state"]),
                reason=record["reason"],
                message=record["message"],
                ended_at=record["at"],
            )
        case _:
            return _after(trial, from_record(record))


def are_same(some: Sequence[Trial], others: Sequence[Trial]) -> bool:
    """Say whether trials are the same values: they are never changed, so looking at who they are is enough."""
    return len(some) == len(others) and all(map(is_, some, others))


def score(result: EpochResult, objective: str) -> float:
    """Return the value of the objective, turned so that larger is better."""
    value: float = getattr(result, _FIELDS[objective])
    return OBJECTIVES[objective] * value


def held(trial: Trial) -> Trial:
    """Return a trial that was cut short with the results that its checkpoint is known to hold; any other as it is."""
    if trial.state is not State.PRUNED:
        return trial
    known = tuple(result for result in trial.results if result.epoch <= trial.epoch)
    return trial if known == trial.results else replace(trial, results=known)


def seconds_of_training(trial: Trial, epochs: float) -> float:
    """Estimate the seconds of the first so many epochs of a trial with a result; a classical one is fitted but once."""
    if isinstance(trial.config.model, Classical):
        return trial.train_seconds
    return trial.train_seconds * effort(trial.config, epochs) / effort(trial.config, trial.results[-1].epoch)


def merit(result: EpochResult, objective: str) -> tuple[float, float]:
    """Return what results are ranked by, larger is better: the score, and of equal scores the smaller loss.

    Accuracies of few validation images are often equal, where the loss still tells a sure answer from a lucky one.
    """
    return score(result, objective), -result.val_loss


def result_at(trial: Trial, rung: float) -> EpochResult | None:
    """Return the result at a rung, if the trial has reached it; rungs within one step of training share theirs."""
    if rung not in trial.reached:
        return None
    return next((result for result in reversed(trial.results) if result.epoch <= rung), None)


def readings(trial: Trial, objective: str) -> dict[float, float]:
    """Return the score at each rung that the trial has reached."""
    found = ((rung, result_at(trial, rung)) for rung in trial.reached)
    return {rung: score(result, objective) for rung, result in found if result is not None}


def _begin(record: Record) -> Trial:
    assert record["kind"] == "created", f"a log begins with {record['kind']!r}"
    return Trial(
        number=record["number"],
        uid=record["uid"],
        params=record["params"],
        config=job_config(record["config"]),
        created_at=record["at"],
    )


def _after(trial: Trial, event: JobEvent) -> Trial:
    match event:
        case EpochResult():
            return _with_result(trial, event)
        case Reached():
            return replace(
                trial,
                state=State.PAUSED,
                epoch=event.epoch,
                reached=(*trial.reached, trial.target if event.is_final else event.epoch),
                num_parameters=event.num_parameters,
            )
        case Stopped():
            return replace(trial, state=State.PAUSED, epoch=min(event.epoch, trial.target))
        case Footprint():
            return replace(trial, footprint=event)
        case Failed():
            return replace(trial, state=State.PAUSED, reason=event.reason, message=event.message)
        case Started():
            return replace(trial, state=State.RUNNING)
        case _:
            return trial


def _with_result(trial: Trial, result: EpochResult) -> Trial:
    """Add a result once: a job that goes on sends those of its checkpoint again."""
    if trial.results and result.step <= trial.results[-1].step:
        return trial
    return replace(trial, results=(*trial.results, result))
