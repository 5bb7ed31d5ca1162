"""What every scheduler keeps to, whatever order things happen in."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_samples import METRIC, RUNGS, after, new_trial, ordered, reached, result

import search.schedulers
from search import trials
from search.samplers import Gp
from search.schedulers import (
    Action,
    Enough,
    Finish,
    FreezeThaw,
    Hyperband,
    Promotion,
    Prune,
    Resume,
    Scheduler,
    Situation,
    Start,
    Stop,
    Stopping,
    UntilEnough,
    Wait,
    above_the_median,
    always,
    among_the_best,
)
from search.surrogate.encoding import Encoding
from search.surrogate.outlook import Surrogate
from search.trials import Record, State, Trial
from spaces import parse_space
from trainer.results import JobEvent, Stopped

Make = Callable[[], Scheduler]


SPACE = """
name: two
about: Two parameters.
budget: {rungs: [1, 3, 9], trials: 20}
parameters:
  optimizer:
    choice:
      sgd: {lr: {float: [0.01, 1.0], log: true}}
      adamw: {}
"""


def freeze_thaw() -> FreezeThaw:
    space = parse_space(SPACE, file=Path("two.yaml"))
    surrogate = Surrogate(Encoding(space))
    return FreezeThaw(rungs=RUNGS, surrogate=surrogate, sampler=Gp(surrogate=surrogate, seed=0))


SCHEDULERS: Mapping[str, Make] = {
    "FreezeThaw": freeze_thaw,
    "UntilEnough": lambda: UntilEnough(
        scheduler=Promotion(rungs=RUNGS, eta=3, objective=METRIC),
        enough=Enough(target=2.0),
        rungs=RUNGS,
        objective=METRIC,
        began=0.0,
        now=lambda: 0.0,
    ),
    "Hyperband": lambda: Hyperband(rungs=RUNGS, eta=3, objective=METRIC),
    "Promotion": lambda: Promotion(rungs=RUNGS, eta=3, objective=METRIC),
    "Stopping: asha": lambda: Stopping(rungs=RUNGS, objective=METRIC, stays=among_the_best(3)),
    "Stopping: median": lambda: Stopping(rungs=RUNGS, objective=METRIC, stays=above_the_median),
    "Stopping: none": lambda: Stopping(rungs=RUNGS[-1:], objective=METRIC, stays=always),
}
MOST_DEATHS = 2


@dataclass(kw_only=True)
class World:
    """Workers that do what a scheduler says, each at a pace of its own."""

    max_trials: int
    num_slots: int
    rng: random.Random
    seconds_left: float | None = None
    trials: list[Trial] = field(default_factory=list)
    is_finished: bool = False

    @property
    def running(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.state is State.RUNNING]

    @property
    def situation(self) -> Situation:
        return Situation(
            trials=tuple(self.trials),
            max_trials=self.max_trials,
            seconds_left=self.seconds_left,
            has_free_slot=len(self.running) < self.num_slots,
        )

    def play(self, scheduler: Scheduler) -> None:
        """Go on until the scheduler finishes; fail if it never does."""
        for _ in range(self.max_trials * (len(RUNGS) + MOST_DEATHS) * 3 + 1):
            self._settle(scheduler)
            if self.is_finished:
                return
            self._happen(self.rng.choice(self.running))
        raise AssertionError("the search does not end")

    def _settle(self, scheduler: Scheduler) -> None:
        """Carry out decisions until there is nothing to do now."""
        for _ in range(self.num_slots + self.max_trials + 1):
            action = self._decide(scheduler)
            match action:
                case Start(until=until):
                    self._begin(until)
                case Resume(number=number, until=until):
                    self._change(number, ordered(until))
                case Stop(number=number):
                    self._change(number, Stopped(epoch=self.trials[number].epoch + 0.25, at=0.0))
                    return
                case Prune(number=number):
                    self._change(number, trials.ended(State.PRUNED, at=0.0))
                case Wait():
                    return
                case Finish():
                    self.is_finished = True
                    return
                case _:
                    assert_never(action)
        raise AssertionError("more decisions without a pause than slots and trials")

    def _begin(self, until: float) -> None:
        self.trials.append(new_trial(len(self.trials)))
        if self.rng.random() < 0.9:  # otherwise its driver dies, and the next one goes on
            self._change(len(self.trials) - 1, ordered(until))

    def _decide(self, scheduler: Scheduler) -> Action:
        situation = self.situation
        action = scheduler.decide(situation)
        self._check(action, situation)
        assert action == scheduler.decide(situation), "equal situations, equal decisions"
        return action

    def _check(self, action: Action, situation: Situation) -> None:
        """Check that an action can be carried out."""
        if isinstance(action, Start | Resume):
            assert situation.has_free_slot
            assert action.until <= RUNGS[-1]
            assert situation.seconds_left is None or situation.seconds_left > 0
        if isinstance(action, Start):
            assert len(self.trials) < self.max_trials
        if isinstance(action, Resume):
            assert self.trials[action.number].state is State.PAUSED
            assert action.until > self.trials[action.number].epoch
        if isinstance(action, Prune):
            assert self.trials[action.number].state is State.PAUSED
            assert not self.trials[action.number].is_owed
        if isinstance(action, Stop):
            assert self.trials[action.number].state is State.RUNNING
        if isinstance(action, Wait):
            assert self.running, "nothing will happen"
        if isinstance(action, Finish):
            assert not self.running or situation.seconds_left is not None

    def _happen(self, trial: Trial) -> None:
        """Let something happen to a running trial, and time pass."""
        until = trial.target
        match self.rng.choice(("reach", "reach", "reach", "reach", "fail", "die", "stop")):
            case "reach":
                self._change(trial.number, result(until, self.rng.random()), reached(until))
                if until == RUNGS[-1]:
                    self._change(trial.number, trials.ended(State.COMPLETE, at=0.0))
            case "die" if trial.deaths < MOST_DEATHS:
                self._change(trial.number, trials.died(-9, at=0.0))
            case "stop":
                self._change(trial.number, Stopped(epoch=(trial.epoch + until) / 2, at=0.0))
            case _:
                self._change(trial.number, trials.ended(State.FAILED, at=0.0))
        if self.seconds_left is not None:
            self.seconds_left -= self.rng.random()

    def _change(self, number: int, *happened: Record | JobEvent) -> None:
        self.trials[number] = after(self.trials[number], *happened)


@pytest.fixture(params=list(SCHEDULERS), scope="module")
def make(request: pytest.FixtureRequest) -> Make:
    return SCHEDULERS[request.param]


def test_every_scheduler_is_held_to_this() -> None:
    public = {name for name in search.schedulers.__all__ if hasattr(getattr(search.schedulers, name), "decide")}

    assert public - {"Scheduler"} == {name.partition(":")[0] for name in SCHEDULERS}


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Worlds without a time limit, for a scheduler that is named later."""
    return World(
        max_trials=draw(st.integers(1, 12)),
        num_slots=draw(st.integers(1, 4)),
        rng=random.Random(draw(st.integers(0, 2**32))),
    )


@given(world=worlds())
def test_a_search_ends_with_as_many_trials_as_allowed(make: Make, world: World) -> None:
    world.play(make())

    assert len(world.trials) == world.max_trials
    assert not [trial for trial in world.trials if trial.is_owed]


@given(world=worlds(), seconds=st.floats(0.1, 60))
def test_a_search_with_a_time_limit_ends(make: Make, world: World, seconds: float) -> None:
    world.seconds_left = seconds

    world.play(make())

    assert len(world.trials) <= world.max_trials


def test_a_search_without_a_trial_to_spend_ends_at_once(make: Make) -> None:
    situation = Situation(trials=(), max_trials=0, seconds_left=None, has_free_slot=True)

    assert make().decide(situation) == Finish()


@pytest.mark.parametrize("seconds_left", [0.0, -1.0])
def test_nothing_begins_after_the_time_is_up(make: Make, seconds_left: float) -> None:
    running = after(new_trial(), ordered(RUNGS[0]))
    situation = Situation(trials=(running,), max_trials=5, seconds_left=seconds_left, has_free_slot=True)

    assert make().decide(situation) == Finish()
