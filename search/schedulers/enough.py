"""When a search has enough before its trials are used up: a target, patience that is at its end, or nothing to gain."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from search.request import Request
from search.schedulers.base import Action, Finish, Scheduler, Situation
from search.schedulers.promotion import estimate
from search.trials import OBJECTIVES, State, Trial, result_at, score

PERFECT = 1.0  # of any objective that is a share
ENOUGH_PERFECT = 4  # trials; as many as may race in the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Enough:
    """What a user is content with."""

    target: float | None = None  # of the objective, for a trial that was trained to the end
    patience_trials: int | None = None  # configurations in a row without a better one
    patience_seconds: float | None = None  # without a better one

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return what was asked for."""
        return cls(
            target=request.target, patience_trials=request.patience_trials, patience_seconds=request.patience_seconds
        )

    def target_trial(self, trials: Sequence[Trial], objective: str) -> Trial | None:
        """Return the first trial that was trained to the end and is at the target or beyond."""
        if self.target is None:
            return None
        wanted = OBJECTIVES[objective] * self.target
        complete = (trial for trial in trials if trial.state is State.COMPLETE)
        return next((trial for trial in complete if score(trial.results[-1], objective) >= wanted), None)

    def is_out_of_patience(
        self, trials: Sequence[Trial], rungs: Sequence[float], objective: str, *, seconds: Callable[[float], float]
    ) -> bool:
        """Say whether no better configuration came for as long as the user waits.

        Args:
            trials: So far. The best is the one of which most is expected at the last rung.
            rungs: Epochs, rising.
            objective: Of the study.
            seconds: Of this run of the search since a moment, given in seconds since 1970. The best counts as found
                when it came to its last rung: what it reads on the way to the next one is no better configuration.
        """
        if self.patience_trials is None and self.patience_seconds is None:
            return False
        expected = estimate(trials, rungs, objective)
        if not expected:
            return False
        best = max(expected, key=lambda number: (expected[number], -number))
        num_since = sum(1 for number in expected if number > best)
        waited = seconds(_came_at(trials[best]))
        return (self.patience_trials is not None and num_since >= self.patience_trials) or (
            self.patience_seconds is not None and waited >= self.patience_seconds
        )


def has_nothing_to_gain(trials: Sequence[Trial], objective: str, *, when_complete: bool = True) -> bool:
    """Say whether enough trials answer every validation image rightly: no other could be seen to be better.

    Args:
        trials: So far.
        objective: Of the study.
        when_complete: Only those that were trained to the end count; else, what the others were read as last does, too.
    """
    if OBJECTIVES[objective] < 0:
        return False
    counted = (State.COMPLETE,) if when_complete else (State.COMPLETE, State.PAUSED, State.RUNNING)
    last = (t.results[-1] for t in trials if t.state in counted and t.results)
    # before an epoch is over, only a part of the images is looked at
    return sum(r.epoch >= 1 and score(r, objective) >= PERFECT for r in last) >= ENOUGH_PERFECT


def _came_at(trial: Trial) -> float:
    """Return when a trial with results came to its last rung, or to its first reading before there was any."""
    at_rungs = (result_at(trial, rung) for rung in reversed(trial.reached))
    return next((result for result in at_rungs if result is not None), trial.results[0]).finished_at


@dataclass(frozen=True, slots=True, kw_only=True)
class UntilEnough:
    """Another scheduler, until there is enough: then it ends, or begins nothing new and ends in its own way."""

    scheduler: Scheduler
    enough: Enough
    rungs: tuple[float, ...]
    objective: str
    began: float  # of this run of the search, seconds since 1970: time that a study lay idle tries no patience
    now: Callable[[], float] = time.time

    def decide(self, situation: Situation) -> Action:
        """Return what to do now."""
        trials, objective = situation.trials, self.objective
        if self.enough.target_trial(trials, objective) is not None or has_nothing_to_gain(trials, objective):
            return Finish()
        is_over = has_nothing_to_gain(trials, objective, when_complete=False) or self.enough.is_out_of_patience(
            trials, self.rungs, objective, seconds=lambda moment: self.now() - max(moment, self.began)
        )
        most = min(situation.max_trials, len(trials)) if is_over else situation.max_trials
        has_target = self.enough.target is not None
        return self.scheduler.decide(replace(situation, max_trials=most, ends_at_target=has_target))
