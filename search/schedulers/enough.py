"""When a search has enough before its trials are used up: a target, patience that is at its end, or nothing to gain."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from search.request import Request
from search.schedulers.base import Action, Finish, Resume, Scheduler, Situation, Wait
from search.schedulers.closing import fits, following_rung
from search.schedulers.promotion import estimate
from search.table import table_of
from search.trials import OBJECTIVES, State, Trial, result_at, score

PERFECT = 1.0  # of any objective that is a share
ENOUGH_PERFECT = 4  # trials; as many as may race in the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Enough:
    """What a user is content with."""

    target: float | None = None  # of the objective, for a trial that was trained to the end
    patience_trials: int | None = None  # configurations in a row without a better one
    patience_seconds: float | None = None  # without a better one
    is_content_with_perfect: bool = True  # ends where no trial could be seen to be better

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return what was asked for."""
        return cls(
            target=request.target,
            patience_trials=request.patience_trials,
            patience_seconds=request.patience_seconds,
            is_content_with_perfect=request.scheduler != "none",  # who wants all trained whole has reasons
        )

    def has_nothing_to_gain(self, trials: Sequence[Trial], objective: str) -> bool:
        """Say whether a search that ends where none could be seen to be better has come to that."""
        return self.is_content_with_perfect and has_nothing_to_gain(trials, objective)

    def target_trial(self, trials: Sequence[Trial], objective: str) -> Trial | None:
        """Return the first trial that was trained to the end and is at the target or beyond."""
        if self.target is None:
            return None
        wanted = OBJECTIVES[objective] * self.target
        complete = (trial for trial in trials if trial.state is State.COMPLETE)
        return next((trial for trial in complete if score(trial.results[-1], objective) >= wanted), None)

    def is_out_of_patience(
        self, trials: Sequence[Trial], rungs: Sequence[float], objective: str, *, began: float, now: float
    ) -> bool:
        """Say whether no better configuration came for as long as the user waits.

        Args:
            trials: So far. The best is the one of which most is expected at the last rung.
            rungs: Epochs, rising.
            objective: Of the study.
            began: When this run of the search did, in seconds since 1970: what was before tries no patience. The best
                counts as found when it came to its last rung: what it reads on the way to the next one is no better
                configuration.
            now: In seconds since 1970.
        """
        if self.patience_trials is None and self.patience_seconds is None:
            return False
        expected = estimate(trials, rungs, objective)
        if not expected:
            return False
        best = max(expected, key=lambda number: (expected[number], -number))
        num_since = sum(1 for number in expected if number > best and trials[number].created_at >= began)
        waited = now - max(_came_at(trials[best]), began)
        return (self.patience_trials is not None and num_since >= self.patience_trials) or (
            self.patience_seconds is not None and waited >= self.patience_seconds
        )


def has_nothing_to_gain(trials: Sequence[Trial], objective: str) -> bool:
    """Say whether enough complete trials answer every validation image rightly: no other could be seen to be better."""
    return sum(trial.state is State.COMPLETE for trial in perfect(trials, objective)) >= ENOUGH_PERFECT


def perfect(trials: Sequence[Trial], objective: str) -> list[Trial]:
    """Return the trials that answer every image rightly, as far as they were read, whoever is farthest first."""
    if OBJECTIVES[objective] < 0:
        return []
    counted = (State.COMPLETE, State.PAUSED, State.RUNNING)
    read = [trial for trial in trials if trial.state in counted and trial.results]
    # before an epoch is over, only a part of the images is looked at
    found = [t for t in read if t.results[-1].epoch >= 1 and score(t.results[-1], objective) >= PERFECT]
    return sorted(found, key=lambda trial: (-trial.results[-1].epoch, trial.number))


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
        found = self._perfect(trials)
        if self.enough.has_nothing_to_gain(found, objective) or self.enough.target_trial(trials, objective) is not None:
            return Finish()
        is_over = self.enough.is_out_of_patience(trials, self.rungs, objective, began=self.began, now=self.now())
        if len(found) >= ENOUGH_PERFECT:
            is_over = True
            last = self._send_on(found[:ENOUGH_PERFECT], situation)
            if last is not None:
                return last
        most = min(situation.max_trials, len(trials)) if is_over else situation.max_trials
        has_target = self.enough.target is not None
        return self.scheduler.decide(replace(situation, max_trials=most, ends_at_target=has_target))

    def _perfect(self, trials: Sequence[Trial]) -> list[Trial]:
        """Return what `perfect` does, in no time where there are thousands of trials and none of them is."""
        if not self.enough.is_content_with_perfect:
            return []
        any_at_all = (table_of(trials, self.rungs, self.objective).scores >= PERFECT).any()
        return perfect(trials, self.objective) if any_at_all else []

    def _send_on(self, chosen: Sequence[Trial], situation: Situation) -> Action | None:
        """Train those to the end that answer every image rightly; None where there is no time for it."""
        if situation.seconds_left is not None and situation.seconds_left <= 0:
            return None
        for trial in chosen:
            following = following_rung(trial, self.rungs)
            if trial.state is State.PAUSED and fits(trial.seconds_until(following), situation):
                return Resume(trial.number, following) if situation.has_free_slot else Wait()
        return Wait() if any(trial.state is State.RUNNING for trial in chosen) else None
