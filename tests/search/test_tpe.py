"""Where configurations come from: baselines in order, then a sampler that sees every trial as comparable."""

import math
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState, create_trial
from search_samples import RUNGS, after, new_trial, ordered, reached, result, trial_at

from search.distributions import distributions
from search.samplers import Random, Tpe
from search.samplers.tpe import MOST_BEST, MOST_UNREAD, MOST_YOUNG, STARTUP_TRIALS, worth_showing
from search.trials import State, Trial
from spaces import SearchSpace, Value, load_space, parse_space, preset_names
from trainer.results import Failed

LINE = """
budget: {rungs: [1, 3, 9], eta: 3}
parameters:
  optimizer: {lr: {float: [0.0001, 1.0]}}
"""
PLANE = """
budget: {rungs: [1, 3, 9], eta: 3}
parameters:
  optimizer:
    choice:
      sgd: {lr: {float: [0.0001, 1.0]}, momentum: {float: [0.0, 0.99]}}
"""
MIDDLE = 0.5
LR = "optimizer.lr"
NUM_PAST = 40
NUM_DRAWN = 15


@pytest.fixture(scope="module")
def line() -> SearchSpace:
    """A space of one number, evenly from 0 to 1."""
    return parse_space(LINE, file=Path("line.yaml"))


def _past(make: Callable[[int, Mapping[str, Value], float], Trial]) -> list[Trial]:
    """Trials spread evenly over the line."""
    places = [(number * 0.381966) % 1.0 for number in range(NUM_PAST)]
    return [make(number, {LR: max(0.0001, place)}, place) for number, place in enumerate(places)]


def _draws(space: SearchSpace, past: list[Trial]) -> list[float]:
    drawn = [Tpe(space=space, seed=seed).draw(past)[LR] for seed in range(NUM_DRAWN)]
    return [value for value in drawn if isinstance(value, float)]


def _share_above(space: SearchSpace, past: list[Trial], limit: float = 0.7) -> float:
    return statistics.fmean(value > limit for value in _draws(space, past))


def test_baselines_come_first_and_in_order(small_space: SearchSpace) -> None:
    sampler = Tpe(space=small_space, seed=0)

    first = sampler.draw([])
    second = sampler.draw([new_trial(0)])

    assert first.items() >= small_space.baselines[0].items()
    assert second.items() >= small_space.baselines[1].items()


def test_what_a_baseline_leaves_open_is_drawn(small_space: SearchSpace) -> None:
    drawn = Tpe(space=small_space, seed=0).draw([new_trial(0)])

    assert set(drawn) == {param.name for param in small_space.active(drawn)}
    assert set(drawn) - set(small_space.baselines[1]) == {
        "training.batch_size",
        "training.label_smoothing",
        "augment.crop_padding",
    }


@pytest.mark.parametrize("number", [0, 1, 2, 5, 20])
def test_equal_trials_and_seed_give_equal_draws(small_space: SearchSpace, number: int) -> None:
    def draw() -> dict[str, Value]:
        sampler = Tpe(space=small_space, seed=3)
        past: list[Trial] = []
        while len(past) < number:
            past.append(trial_at(len(past), {1.0: len(past) / 30}, params=sampler.draw(past)))
        return sampler.draw(past)

    assert draw() == draw()


def test_each_number_and_each_seed_has_its_own_draw(line: SearchSpace) -> None:
    draws = {
        Tpe(space=line, seed=seed).draw([new_trial(n, {LR: 0.5}) for n in range(number)])[LR]
        for seed in range(4)
        for number in range(4)
    }

    assert len(draws) == 16


def test_the_first_trials_spread_over_the_space(line: SearchSpace) -> None:
    sampler = Tpe(space=line, seed=0)
    past: list[Trial] = []

    for number in range(STARTUP_TRIALS):
        past.append(trial_at(number, {1.0: 0.5}, params=sampler.draw(past)))

    values = sorted(float(trial.params[LR]) for trial in past)
    assert values[0] < 0.3
    assert values[-1] > 0.7


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), preset=st.sampled_from(preset_names()), num=st.integers(0, 40))
def test_what_is_drawn_is_whole_lies_in_its_domain_and_can_be_kept_in_a_study(seed: int, preset: str, num: int) -> None:
    space = load_space(preset)
    past: list[Trial] = []
    for number in range(num):
        params = Random(space=space, seed=seed).draw(past)
        past.append(trial_at(number, {space.budget.rungs[0]: number * 0.381966 % 1.0}, params=params))

    drawn = Tpe(space=space, seed=seed).draw(past)

    assert set(drawn) == {param.name for param in space.active(drawn)}
    assert all(param.domain.contains(drawn[param.name]) for param in space.active(drawn))
    create_trial(state=TrialState.RUNNING, params=drawn, distributions=distributions(space, drawn))


def test_what_hangs_on_the_same_option_is_drawn_together() -> None:
    """Of the good trials two numbers are equal, which neither tells by itself."""
    space = parse_space(PLANE, file=Path("plane.yaml"))
    rng = np.random.default_rng(0)
    past = []
    for number, (x, y) in enumerate(rng.random((60, 2)).tolist()):
        params: dict[str, Value] = {"optimizer": "sgd", "optimizer.sgd.lr": x, "optimizer.sgd.momentum": y}
        past.append(trial_at(number, {1.0: 1 - abs(x - y)}, params=params))

    drawn = [Tpe(space=space, seed=seed).draw(past) for seed in range(40)]

    apart = [abs(float(d["optimizer.sgd.lr"]) - float(d["optimizer.sgd.momentum"])) for d in drawn]
    assert statistics.fmean(apart) < 0.2, "of two even draws: 1/3"


def test_a_good_region_is_drawn_more_often_where_trials_are_complete(line: SearchSpace) -> None:
    past = _past(
        lambda number, params, place: trial_at(number, dict.fromkeys(RUNGS, place), params=params, ended=State.COMPLETE)
    )

    assert _share_above(line, past) > 0.7


def test_a_paused_trial_counts_with_its_reading(line: SearchSpace) -> None:
    past = _past(lambda number, params, place: trial_at(number, {1.0: place}, params=params))

    assert _share_above(line, past) > 0.7


def test_a_trial_that_runs_on_counts_with_its_reading(line: SearchSpace) -> None:
    past = _past(lambda number, params, place: trial_at(number, {1.0: place}, params=params, going_to=3.0))

    assert _share_above(line, past) > 0.7


def test_a_pruned_trial_counts_with_its_reading(line: SearchSpace) -> None:
    past = _past(lambda number, params, place: trial_at(number, {1.0: place}, params=params, ended=State.PRUNED))

    assert _share_above(line, past) > 0.7


def test_readings_at_different_rungs_are_made_comparable(line: SearchSpace) -> None:
    def make(number: int, params: Mapping[str, Value], place: float) -> Trial:
        """Everyone gains 0.5 by the third rung, which the worse half alone has reached."""
        readings = {1.0: place / 2} if place > MIDDLE else {1.0: place / 2, 3.0: place / 2 + 0.5}
        return trial_at(number, readings, params=params)

    assert _share_above(line, _past(make)) > 0.6


def test_a_small_loss_is_good() -> None:
    space = parse_space(LINE + "objective: val/loss\n", file=Path("line.yaml"))

    def make(number: int, params: Mapping[str, Value], place: float) -> Trial:
        return after(new_trial(number, params), ordered(1.0), result(1.0, loss=2 - place), reached(1.0))

    assert _share_above(space, _past(make)) > 0.7


def test_where_trials_fail_is_drawn_less_often(line: SearchSpace) -> None:
    def make(number: int, params: Mapping[str, Value], place: float) -> Trial:
        if place < MIDDLE:
            return trial_at(number, {1.0: 0.4 + place / 100}, params=params)
        return after(
            trial_at(number, {}, params=params), Failed(reason="oom", message="", traceback="", at=0.0), _FAILED
        )

    assert _share_above(line, _past(make), limit=MIDDLE + 0.05) < 0.2


def test_few_sound_trials_are_the_good_ones_however_many_failed_before(line: SearchSpace) -> None:
    failed = [trial_at(number, {}, params={LR: 0.6 + 0.03 * number}, ended=State.FAILED) for number in range(12)]
    sound = [trial_at(12, {1.0: 0.90}, params={LR: 0.10}), trial_at(13, {1.0: 0.95}, params={LR: 0.12})]

    assert _share_above(line, [*failed, *sound], limit=0.3) < 0.1
    assert _share_above(line, [*failed, sound[0]], limit=0.3) < 0.1


def test_of_very_many_trials_as_many_are_good_as_of_all(line: SearchSpace) -> None:
    """A tenth, and 25 at most, though a part of the trials is looked at: the best 13, and 12 closer to each other."""
    many = [trial_at(number, {1.0: 0.1}, params={LR: 0.5}) for number in range(250)]
    many[:13] = [trial_at(number, {1.0: 0.99}, params={LR: 0.02 * number + 0.01}) for number in range(13)]
    many[13:25] = [trial_at(number, {1.0: 0.98}, params={LR: 0.8}) for number in range(13, 25)]

    assert _share_above(line, many) > 0.5


def test_where_trials_run_without_a_reading_is_drawn_less_often(line: SearchSpace) -> None:
    def make(number: int, params: Mapping[str, Value], place: float) -> Trial:
        if 0.6 < place < 0.9:
            return trial_at(number, {}, params=params, going_to=1.0)
        return trial_at(number, {1.0: 0.5 - 0.1 * abs(place - MIDDLE)}, params=params)

    draws = _draws(line, _past(make))

    assert statistics.fmean(0.62 < value < 0.88 for value in draws) < 0.2


def test_a_search_in_which_everything_failed_goes_on_drawing(small_space: SearchSpace) -> None:
    sampler = Tpe(space=small_space, seed=0)
    past: list[Trial] = []

    for number in range(STARTUP_TRIALS + 3):
        past.append(trial_at(number, {}, params=sampler.draw(past), ended=State.FAILED))

    assert len({math.log(float(trial.params.get("optimizer.sgd.lr", 1.0))) for trial in past}) > 3


_FAILED = {"kind": "ended", "state": "failed", "reason": "oom", "message": "", "at": 0.0}


def test_of_very_many_trials_the_best_and_the_youngest_are_shown() -> None:
    read = [trial_at(number, {1.0: 0.9 if number == 3 else 0.1}) for number in range(1700)]
    many = [*read, *(trial_at(number, {}, going_to=1.0) for number in range(1700, 2000))]
    scores = np.array([trial.results[-1].val_accuracy if trial.results else math.nan for trial in many])

    shown = worth_showing(scores).tolist()

    assert shown == sorted(shown)
    assert 3 in shown
    assert set(range(1700 - MOST_YOUNG, 1700)) <= set(shown), "however many run beside them"
    assert sum(number >= 1700 for number in shown) == MOST_UNREAD
    assert len(shown) <= MOST_BEST + MOST_YOUNG + MOST_UNREAD
    assert worth_showing(scores[:200]).tolist() == list(range(200)), "of few, all"


def test_what_a_sampler_was_shown_before_changes_nothing(line: SearchSpace) -> None:
    """It keeps the numbers of trials from one draw to the next."""
    past = _past(lambda number, params, place: trial_at(number, {1.0: place}, params=params))
    used = Tpe(space=line, seed=0)
    for number in range(5, NUM_PAST):
        used.draw(list(reversed(past))[:number])

    assert used.draw(past) == Tpe(space=line, seed=0).draw(past)
