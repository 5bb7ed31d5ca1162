"""How searches end within their time: nobody holds the others up, and what is nearly there gets there."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_samples import METRIC, PARAMS, after, trial_at, trials_of

from search.book import best_of
from search.executors.scripted import Script, reading
from search.schedulers import Finish, Prune, Resume, Situation, Stop, Wait
from search.schedulers.closing import close, has_leisure
from search.strategies import SCHEDULERS, make_strategy
from search.table import table_of
from search.trials import OUT_OF_TIME, State
from spaces import SearchSpace
from trainer.config import JobConfig
from trainer.results import Stopped

RUNGS = (1.0, 3.0, 9.0)


def scripted(quality: float, seconds: float, *, rungs: tuple[float, ...] = RUNGS) -> Script:
    """A curve with results at whole epochs and rungs."""
    epochs = sorted({*rungs, *map(float, range(1, round(rungs[-1]) + 1))})
    before = [0.0, *epochs]
    return Script(
        results=tuple(
            reading(
                epoch, val_accuracy=quality * (1 - 0.5 * 0.8**epoch), val_loss=1.0, seconds=seconds * (epoch - last)
            )
            for epoch, last in zip(epochs, before, strict=False)
        ),
        ready_seconds=0.5,
    )


@pytest.mark.parametrize("scheduler", ["freeze-thaw", "promotion", "hyperband"])
def test_a_first_trial_that_is_too_slow_holds_nobody_up(small_space: SearchSpace, scheduler: str) -> None:
    def slow_first(number: int, _config: JobConfig) -> Script:
        return scripted(0.9, 100.0) if number == 0 else scripted(0.6, 5.0)

    trials = trials_of(
        small_space, sampler="random", scheduler=scheduler, max_trials=50, scripts=slow_first, seconds=700.0
    )

    assert State.COMPLETE in {trial.state for trial in trials}
    assert trials[0].train_seconds <= 300


@pytest.mark.parametrize("scheduler", sorted(set(SCHEDULERS) - {"none", "asha", "median"}))
def test_no_worker_idles_though_nobody_can_be_in_time(small_space: SearchSpace, scheduler: str) -> None:
    trials = trials_of(
        small_space,
        sampler="random",
        scheduler=scheduler,
        max_trials=200,
        scripts=lambda number, config: scripted(0.5, 100.0),
        seconds=800.0,
        num_slots=4,
    )

    assert {trial.state for trial in trials} == {State.PRUNED}
    assert sum(trial.train_seconds for trial in trials) > 0.6 * 4 * 800


@pytest.mark.parametrize("scheduler", ["freeze-thaw", "promotion", "hyperband"])
def test_whoever_has_the_time_goes_on_though_a_better_one_lacks_it(small_space: SearchSpace, scheduler: str) -> None:
    best_is_slow = [
        trial_at(0, {1.0: 0.6}, seconds=60.0, params=PARAMS),
        trial_at(1, {}, ended=State.FAILED, params=PARAMS),  # of another bracket
        trial_at(2, {1.0: 0.5}, seconds=2.0, params=PARAMS),
    ]
    situation = Situation(trials=best_is_slow, max_trials=3, seconds_left=90.0, has_free_slot=True, seconds_given=150.0)

    decided = make_strategy(small_space, seed=0, sampler="random", scheduler=scheduler).scheduler.decide(situation)

    assert decided == Resume(2, 3.0)


def test_what_runs_when_time_is_up_leaves_a_checkpoint_where_nothing_better_is_there(small_space: SearchSpace) -> None:
    long = replace(small_space, budget=replace(small_space.budget, rungs=(9.0,)))

    trials = trials_of(
        long,
        sampler="random",
        scheduler="none",
        max_trials=1,
        scripts=lambda number, config: scripted(0.5, 10.0, rungs=(9.0,)),
        seconds=47.0,
    )

    (trial,) = trials
    assert (trial.state, trial.reason) == (State.PRUNED, OUT_OF_TIME)
    assert trial.epoch >= trial.results[-1].epoch >= 4, "its checkpoint holds all that was read"
    assert best_of(trials, METRIC) == trial


def test_who_is_not_wanted_any_more_did_not_lack_the_time(small_space: SearchSpace) -> None:
    trials = trials_of(
        small_space,
        sampler="random",
        scheduler="promotion",
        max_trials=9,
        scripts=lambda number, config: scripted(0.5 + number / 100, 1.0),
        seconds=10_000.0,
    )

    assert {trial.reason for trial in trials} == {"", "rung"}


@pytest.mark.parametrize("seconds", range(108, 160, 8))
def test_the_best_is_not_stopped_shortly_before_its_end(small_space: SearchSpace, seconds: int) -> None:
    def best_is_slow(number: int, _config: JobConfig) -> Script:
        return replace(scripted(0.9 if number == 0 else 0.6, 10.0 if number == 0 else 3.0), ready_seconds=6.0)

    trials = trials_of(
        small_space, sampler="random", scheduler="freeze-thaw", max_trials=20, scripts=best_is_slow, seconds=seconds
    )

    assert trials[0].state is State.COMPLETE


RUNNING = [trial_at(0, {1.0: 0.5}, going_to=3.0), trial_at(1, {1.0: 0.9})]
LATE = Situation(trials=RUNNING, max_trials=2, seconds_left=12.0, has_free_slot=False)
EXPECTED = {0: 0.5, 1: 0.9}


def test_nobody_is_stopped_where_a_worker_is_about_to_be_free() -> None:
    assert close(LATE, RUNGS, EXPECTED) == Stop(0)
    assert close(replace(LATE, is_slot_coming=True), RUNGS, EXPECTED) == Wait()


def test_a_trial_of_another_driver_is_not_stopped() -> None:
    assert close(replace(LATE, own={0}), RUNGS, EXPECTED) == Stop(0)
    assert close(replace(LATE, own=set()), RUNGS, EXPECTED) == Wait()


@pytest.mark.parametrize("scheduler", ["freeze-thaw", "promotion", "asha", "hyperband", "median"])
def test_what_was_interrupted_and_can_not_be_in_time_goes_before_nobody(
    small_space: SearchSpace, scheduler: str
) -> None:
    slow = after(trial_at(1, {1.0: 0.3, 3.0: 0.31}, seconds=100.0, going_to=9.0), Stopped(epoch=3.5, at=0.0))
    trials = [trial_at(0, {1.0: 0.5, 3.0: 0.6, 9.0: 0.7}, ended=State.COMPLETE, params=PARAMS)]
    trials += [replace(slow, params=PARAMS), trial_at(2, {1.0: 0.69}, seconds=2.0, params=PARAMS)]
    strategy = make_strategy(small_space, seed=0, sampler="random", scheduler=scheduler)

    def decided(seconds: float) -> object:
        return strategy.scheduler.decide(
            Situation(trials=trials, max_trials=20, seconds_left=seconds, has_free_slot=True, seconds_given=1000.0)
        )

    assert decided(60.0) != Resume(1, 9.0)
    assert decided(900.0) == Resume(1, 9.0)


@pytest.mark.parametrize("max_trials", [8, 16])
@pytest.mark.parametrize("seconds", [200.0, 300.0])
def test_a_search_is_not_over_while_something_can_still_be_trained_to_the_end(
    small_space: SearchSpace, max_trials: int, seconds: float
) -> None:
    def best_is_far_too_slow(number: int, _config: JobConfig) -> Script:
        return scripted(0.95, 100.0) if number == 7 else scripted(0.3 + 0.001 * number, 1.0)

    trials = trials_of(
        small_space,
        sampler="random",
        scheduler="freeze-thaw",
        max_trials=max_trials,
        scripts=best_is_far_too_slow,
        seconds=seconds,
    )

    assert Counter(trial.state for trial in trials)[State.COMPLETE] >= 1


@pytest.mark.parametrize("scheduler", sorted(set(SCHEDULERS) - {"none", "asha"}))
def test_what_time_cut_short_takes_nobodys_place_when_the_search_goes_on(
    small_space: SearchSpace, scheduler: str
) -> None:
    def best_first(number: int, _config: JobConfig) -> Script:
        return scripted(0.95 if number == 0 else 0.6, 10.0)

    first = trials_of(
        small_space, sampler="random", scheduler=scheduler, max_trials=20, scripts=best_first, seconds=60.0
    )
    assert {trial.state for trial in first} == {State.PRUNED}
    both = trials_of(
        small_space,
        sampler="random",
        scheduler=scheduler,
        max_trials=len(first) + 3,
        scripts=best_first,
        before=first,
    )

    assert State.COMPLETE in {trial.state for trial in both}


def test_what_a_worker_has_done_since_the_rung_counts() -> None:
    running = trial_at(0, {1.0: 0.3, 2.0: 0.4, 6.0: 0.5}, going_to=9.0)
    paused = replace(running, state=State.PAUSED, epoch=2.0)

    assert running.progress == 6.0
    assert running.seconds_until(9.0) == pytest.approx(3 * running.train_seconds / 6)
    assert paused.progress == 2.0


@pytest.mark.parametrize("seconds", [None, 8.0, 500.0])
@pytest.mark.parametrize("scheduler", sorted(set(SCHEDULERS) - {"none"}))
def test_what_is_at_its_end_and_not_written_down_as_ended_is_left_alone(
    small_space: SearchSpace, scheduler: str, seconds: float | None
) -> None:
    """As a driver sees a trial of another one, between the two lines of its log."""
    trials = [trial_at(n, {1.0: 0.1 * n}, params=PARAMS) for n in range(7)]
    trials.append(trial_at(7, {1.0: 0.8, 3.0: 0.85, 9.0: 0.9}, params=PARAMS))
    strategy = make_strategy(small_space, seed=0, sampler="random", scheduler=scheduler)

    action = strategy.scheduler.decide(
        Situation(trials=trials, max_trials=8, seconds_left=seconds, has_free_slot=True, seconds_given=1000.0)
    )

    assert not isinstance(action, Finish)
    assert action != Prune(7)


HEIGHTS = {1.0: 0.5, 3.0: 0.6, 9.0: 0.7}
ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.floats(0.1, 50.0), st.sampled_from([None, State.PRUNED, State.FAILED])), max_size=6
)


@given(rows=ROWS, seconds=st.floats(1.0, 1500.0), has_free_slot=st.booleans())
def test_where_all_have_leisure_nothing_is_closed(
    rows: list[tuple[int, float, State | None]], seconds: float, has_free_slot: bool
) -> None:
    """So that the model need not be asked what is expected of each."""
    trials = []
    for number, (num_read, pace, ended) in enumerate(rows):
        read = dict(list(HEIGHTS.items())[:num_read])
        trial = trial_at(number, read, ended=State.COMPLETE if num_read == 3 else ended if num_read else None)
        results = tuple(replace(result, epoch_seconds=pace) for result in trial.results)
        trials.append(replace(trial, results=results))
    situation = Situation(trials=trials, max_trials=99, seconds_left=seconds, has_free_slot=has_free_slot)
    expected = {trial.number: 0.5 for trial in trials if trial.results and trial.state is not State.FAILED}

    if has_leisure(situation, table_of(trials, RUNGS, METRIC)):
        assert close(situation, RUNGS, expected) is None


def test_there_is_leisure_until_the_slowest_needs_what_is_left() -> None:
    slow = trial_at(0, {1.0: 0.5})
    slow = replace(slow, results=(replace(slow.results[0], epoch_seconds=10.0, eval_seconds=0.0),))  # 80 s to the end

    def leisure(seconds: float | None) -> bool:
        situation = Situation(trials=[slow], max_trials=99, seconds_left=seconds, has_free_slot=True)
        return has_leisure(situation, table_of([slow], RUNGS, METRIC))

    assert [leisure(seconds) for seconds in (None, 106.0, 104.0)] == [True, True, False]
