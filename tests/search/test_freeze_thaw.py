"""When freeze and thaw trains something to the last rung."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from search_samples import PARAMS, trial_at, trials_of

from search.executors.scripted import Script, reading
from search.schedulers import FreezeThaw, Resume, Situation, Start
from search.strategies import make_strategy
from search.trials import State, Trial
from spaces import SearchSpace, parse_space
from trainer.config import JobConfig
from trainer.settings import Sgd

TRIALS = tuple(
    trial_at(number, {1.0: 0.3 + 0.02 * number, 3.0: 0.5 + 0.03 * number}, params=PARAMS) for number in range(8)
)
LEADER = Resume(7, 9.0)
EARLY = Situation(trials=TRIALS, max_trials=100, seconds_left=None, has_free_slot=True)


@pytest.fixture
def scheduler(small_space: SearchSpace) -> FreezeThaw:
    found = make_strategy(small_space, seed=0, sampler="gp", scheduler="freeze-thaw").scheduler
    assert isinstance(found, FreezeThaw)
    return found


def _at(share: float, trials: tuple[Trial, ...]) -> Situation:
    """A search of which so much is over, by its time."""
    return replace(EARLY, trials=trials, seconds_left=1000.0 * (1 - share), seconds_given=1000.0)


def test_with_each_tenth_of_a_search_one_more_may_be_trained_to_the_end(scheduler: FreezeThaw) -> None:
    complete = trial_at(8, dict.fromkeys((1.0, 3.0, 9.0), 0.55), params=PARAMS, ended=State.COMPLETE)
    on_its_way = trial_at(8, {1.0: 0.45, 3.0: 0.7}, params=PARAMS, going_to=9.0)

    assert scheduler.decide(EARLY) == Start(1.0), "of 100 trials eight have begun"
    assert scheduler.decide(_at(0.11, TRIALS)) == LEADER
    assert scheduler.decide(_at(0.19, (*TRIALS, complete))) == Start(1.0)
    assert scheduler.decide(_at(0.21, (*TRIALS, complete))) == LEADER
    assert scheduler.decide(_at(0.19, (*TRIALS, on_its_way))) == Start(1.0)
    assert scheduler.decide(_at(0.21, (*TRIALS, on_its_way))) == LEADER


@pytest.mark.parametrize(
    "later",
    [
        replace(EARLY, max_trials=8),
        replace(EARLY, max_trials=10, trials=(*TRIALS, trial_at(8, {}, ended=State.FAILED))),
        replace(EARLY, seconds_left=90.0, seconds_given=1000.0),
        replace(EARLY, ends_at_target=True),
    ],
    ids=["all have begun", "most have begun", "most of the time is used", "the first good enough one ends it"],
)
def test_the_one_of_which_most_is_expected_is_trained_to_the_end(scheduler: FreezeThaw, later: Situation) -> None:
    assert scheduler.decide(later) == LEADER


def test_how_far_a_search_is_by_its_trials_and_by_its_time() -> None:
    assert (EARLY.share_begun, EARLY.share_used) == (0.08, 0.0)
    assert replace(EARLY, seconds_left=300.0, seconds_given=1000.0).share_used == pytest.approx(0.7)
    assert replace(EARLY, max_trials=8).share_begun == 1.0
    assert replace(EARLY, trials=(), max_trials=0).share_begun == 1.0


def test_the_time_of_a_resumed_search_is_shared_by_what_it_trains_itself(scheduler: FreezeThaw) -> None:
    before = tuple(
        trial_at(8 + number, dict.fromkeys((1.0, 3.0, 9.0), 0.55), params=PARAMS, ended=State.COMPLETE)
        for number in range(9)
    )
    resumed = replace(_at(0.11, (*TRIALS, *before)), num_complete_before=9)

    assert scheduler.decide(resumed) == LEADER
    assert scheduler.decide(replace(resumed, num_complete_before=8)) == Start(1.0), "it has trained one to its end"


LONG = (1.0, 2.0, 20.0)
FEW = tuple(trial_at(number, {1.0: 0.3 + 0.02 * number}, params=PARAMS) for number in range(3))


@pytest.fixture
def far_sighted(small_space: SearchSpace) -> FreezeThaw:
    space = replace(small_space, budget=replace(small_space.budget, rungs=LONG))
    found = make_strategy(space, seed=0, sampler="gp", scheduler="freeze-thaw").scheduler
    assert isinstance(found, FreezeThaw)
    return found


def test_who_leads_early_is_sent_ahead_at_once(far_sighted: FreezeThaw) -> None:
    assert far_sighted.decide(replace(EARLY, trials=FEW)) == Resume(2, 2.0)
    assert far_sighted.decide(replace(EARLY, trials=FEW[:2])) == Start(1.0), "two are too few to lead"


def test_who_leads_is_not_sent_far(far_sighted: FreezeThaw) -> None:
    ahead = (*FEW[:2], trial_at(2, {1.0: 0.34, 2.0: 0.4}, params=PARAMS))

    assert far_sighted.decide(replace(EARLY, trials=ahead)) == Start(1.0)


def test_who_leads_is_not_sent_where_most_of_the_training_would_be_its_own(far_sighted: FreezeThaw) -> None:
    dear = (*FEW[:2], trial_at(2, {1.0: 0.34}, params=PARAMS, seconds=4.0))

    assert far_sighted.decide(replace(EARLY, trials=dear)) == Start(1.0)


def test_who_leads_is_not_sent_where_there_is_no_time(far_sighted: FreezeThaw) -> None:
    dear = tuple(trial_at(number, {1.0: 0.3 + 0.02 * number}, params=PARAMS, seconds=50.0) for number in range(3))
    late = replace(EARLY, trials=dear, seconds_left=30.0, seconds_given=1000.0)

    assert not isinstance(far_sighted.decide(late), Resume)


MISLEADING = parse_space(
    """
name: misleading
data: digits
budget: {rungs: [1, 3, 9]}
parameters:
  model: lenet5
  optimizer: {choice: {sgd: {lr: {float: [0.001, 1.0], log: true}, momentum: {float: [0.0, 0.99]}}}}
  training: {batch_size: 64}
""",
    file=Path("misleading.yaml"),
)


def _misleads(_number: int, config: JobConfig) -> Script:
    """A training whose first reading is the better the worse it ends."""
    assert isinstance(config.optimizer, Sgd)
    end = 0.9 - 0.15 * abs(math.log10(config.optimizer.lr / 0.1)) - 0.2 * abs(config.optimizer.momentum - 0.6)
    curve = ((1.0, 1 - end, 1.0), (3.0, 0.2 + 0.6 * end, 2.0), (9.0, end, 6.0))
    results = (reading(epoch, val_accuracy=score, val_loss=1.0, seconds=took) for epoch, score, took in curve)
    return Script(results=tuple(results))


def _mean_end(sampler: str, scheduler: str) -> float:
    """What searches of the time of twelve full trainings end with."""
    ends = []
    for seed in range(3):
        trials = trials_of(
            MISLEADING,
            sampler=sampler,
            scheduler=scheduler,
            scripts=_misleads,
            max_trials=1000,
            seconds=12 * 9.0,
            num_slots=1,
            seed=seed,
        )
        ends.append(max(t.results[-1].val_accuracy for t in trials if t.state is State.COMPLETE))
    return float(np.mean(ends))


def test_a_first_rung_that_ranks_everything_the_wrong_way_round_sinks_no_search() -> None:
    by_chance = _mean_end("random", "none")

    assert _mean_end("mixed", "freeze-thaw") > by_chance
    assert _mean_end("tpe", "promotion") < by_chance - 0.1, "who trusts it is misled"
