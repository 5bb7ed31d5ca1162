"""When freeze and thaw trains something to the last rung."""

from dataclasses import replace

import pytest
from search_samples import PARAMS, trial_at

from search.schedulers import FreezeThaw, Resume, Situation, Start
from search.strategies import make_strategy
from spaces import SearchSpace

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


def test_nothing_is_trained_to_the_end_before_three_quarters_of_the_search(scheduler: FreezeThaw) -> None:
    assert scheduler.decide(EARLY) == Start(1.0)
    assert scheduler.decide(replace(EARLY, seconds_left=300.0, seconds_given=1000.0)) == Start(1.0)


@pytest.mark.parametrize(
    "later",
    [
        replace(EARLY, max_trials=8),
        replace(EARLY, max_trials=10),
        replace(EARLY, seconds_left=200.0, seconds_given=1000.0),
        replace(EARLY, ends_at_target=True),
    ],
    ids=["all have begun", "most have begun", "most of the time is used", "the first good enough one ends it"],
)
def test_the_one_of_which_most_is_expected_is_trained_to_the_end(scheduler: FreezeThaw, later: Situation) -> None:
    assert scheduler.decide(later) == LEADER


def test_of_trials_and_time_what_is_further_counts() -> None:
    assert EARLY.share_done == 0.08
    assert replace(EARLY, seconds_left=300.0, seconds_given=1000.0).share_done == pytest.approx(0.7)
    assert replace(EARLY, max_trials=8, seconds_left=300.0, seconds_given=1000.0).share_done == 1.0
    assert replace(EARLY, trials=(), max_trials=0).share_done == 1.0
