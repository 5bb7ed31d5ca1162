"""Searches of spaces that say what a model may cost."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_samples import (
    METRIC,
    PARAMS,
    Stage,
    after,
    learns,
    new_trial,
    ordered,
    reached,
    result,
    states,
    trial_at,
    with_mishaps,
)

from search import trials
from search.book import best_of, contenders
from search.executors.scripted import Failure, Script
from search.leaderboard import leaderboard
from search.pareto import pareto_front
from search.samplers import Random, WithinLimits
from search.schedulers.promotion import estimate
from search.surrogate.gp import Array, Kernel, Posterior, condition
from search.trials import OVER_LIMITS, State, Trial
from spaces import Constraints, SearchSpace, Value, parse_space
from trainer.config import JobConfig
from trainer.results import REASONS, Footprint, to_record

WIDTHS = parse_space(
    """
name: widths
data: digits
budget: {rungs: [1]}
parameters:
  model.width: {float: [0.1, 1.0]}
  optimizer.lr: {float: [0.01, 1.0], log: true}
constraints: {parameters: 250}
""",
    file=Path("widths.yaml"),
)


def costs(parameters: int = 100, *, latency_ms: float = 1.0) -> Footprint:
    return Footprint(parameters=parameters, flops=None, latency_ms=latency_ms, size_mb=4 * parameters / 1e6)


def weighed(number: int, params: Mapping[str, Value]) -> Trial:
    """A trial of a model whose parameters grow with the square of its width."""
    width = params["model.width"]
    assert isinstance(width, float)
    return after(new_trial(number, params), costs(round(1000 * width**2)))


def finished(number: int, accuracy: float, latency_ms: float) -> Trial:
    trial = after(new_trial(number), costs(latency_ms=latency_ms), ordered(1.0), result(1.0, accuracy), reached(1.0))
    return after(trial, trials.ended(State.COMPLETE, at=0.0))


def over(trial: Trial) -> Trial:
    return after(trial, trials.ended(State.PRUNED, reason=OVER_LIMITS, at=0.0))


def test_a_space_limits_just_what_is_measured() -> None:
    assert {item.name for item in fields(Constraints)} == {item.name for item in fields(Footprint)}
    assert OVER_LIMITS in REASONS


def test_a_configuration_that_costs_too_much_is_pruned_and_the_search_goes_on(stage: Stage) -> None:
    refused = Failure(epoch=1.0, reason=OVER_LIMITS, message="Too slow.")
    scene = stage(scripts=with_mishaps({2: (refused,), 3: (refused,)}), max_trials=6)

    assert scene.run()

    assert [scene.trials[n].state for n in (2, 3)] == [State.PRUNED] * 2
    assert [scene.trials[n].reason for n in (2, 3)] == [OVER_LIMITS] * 2
    assert states(scene.trials)[State.COMPLETE] >= 1
    assert scene.book.study.trials()[2].state.name == "PRUNED"


def test_a_model_is_weighed_once_and_held_against_the_limits_of_its_space(
    stage: Stage, small_space: SearchSpace
) -> None:
    def script(number: int, config: JobConfig) -> Script:
        return replace(learns(number, config), footprint=costs(100 * (number % 2 + 1)))

    space = replace(small_space, constraints=Constraints(parameters=150))
    scene = stage(scripts=script, space=space, max_trials=6)

    assert scene.run()

    for number, trial in enumerate(scene.trials):
        assert trial.footprint == costs(100 * (number % 2 + 1))
        assert (trial.reason == OVER_LIMITS) == bool(number % 2)
        assert [record["kind"] for record in scene.records(number)].count("Footprint") == 1
    assert any(len(trial.reached) > 1 for trial in scene.trials), "some began again"


def test_the_study_tells_costs_and_how_far_they_are_over(stage: Stage, small_space: SearchSpace) -> None:
    scene = stage(space=replace(small_space, constraints=Constraints(parameters=80, flops=1.0)), max_trials=1)
    scene.book.begin_trial(PARAMS)
    scene.book.record(0, to_record(costs(100)))

    scene.book.end(0, State.PRUNED, reason=OVER_LIMITS)
    scene.book.catch_up()

    (told,) = scene.book.study.trials()
    assert told.user_attrs["autoclf.parameters"] == 100
    assert told.constraints == {"parameters": pytest.approx(0.25)}


def test_what_costs_too_much_is_no_winner_and_no_guide() -> None:
    dear = over(trial_at(0, {1.0: 0.9}))
    cheap = trial_at(1, {1.0: 0.5}, ended=State.COMPLETE)

    assert best_of([dear, cheap], METRIC) == cheap
    assert contenders([dear]) == []
    assert estimate([dear, cheap], (1.0,), METRIC) == {1: 0.5}
    assert leaderboard([dear, cheap], METRIC)["trial"].tolist() == [1, 0]


def test_the_leaderboard_tells_what_a_model_costs() -> None:
    (row,) = leaderboard([finished(0, 0.9, 2.5)], METRIC).to_dict("records")

    assert (row["latency_ms"], row["parameters"], row["size_mb"]) == (2.5, 7, 0.0004)


# Draws that give way


def draws(space: SearchSpace, num: int) -> list[float]:
    """Widths drawn one after the other, each model weighed before the next draw."""
    sampler = WithinLimits(sampler=Random(space=space, seed=1), space=space, seed=1)
    found: list[Trial] = []
    for number in range(num):
        found.append(weighed(number, sampler.draw(found)))
    return [float(trial.params["model.width"]) for trial in found]


def test_draws_keep_within_a_limit_once_it_is_known_where_that_is() -> None:
    widths, free = draws(WIDTHS, 40), draws(replace(WIDTHS, constraints=Constraints()), 40)

    assert sum(width > 0.5 for width in free[10:]) >= 10, "more than half of the space is over the limit"
    assert sum(width > 0.5 for width in widths[10:]) <= 3


def test_a_draw_that_is_within_limits_is_left_alone() -> None:
    space = replace(WIDTHS, constraints=Constraints(parameters=2000))

    assert draws(space, 20) == draws(replace(WIDTHS, constraints=Constraints()), 20)


def test_draws_are_the_same_for_the_same_trials() -> None:
    assert draws(WIDTHS, 12) == draws(WIDTHS, 12)


def test_a_limit_that_nothing_meets_does_not_end_the_search() -> None:
    assert len(draws(replace(WIDTHS, constraints=Constraints(parameters=1)), 12)) == 12


def test_a_draw_among_thousands_learns_from_some_of_them_with_a_kernel_that_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sampler = WithinLimits(sampler=Random(space=WIDTHS, seed=1), space=WIDTHS, seed=1)
    found = [weighed(number, {"model.width": 0.1 + number % 90 / 100, "optimizer.lr": 0.1}) for number in range(3000)]
    sampler.draw(found)  # chooses the kernel
    readings: list[int] = []

    def counting(kernel: Kernel, points: Array, values: Array) -> Posterior:
        readings.append(len(values))
        return condition(kernel, points, values)

    def choosing(*_: object) -> Kernel:
        raise AssertionError("a kernel is chosen again")

    monkeypatch.setattr("search.samplers.limits.condition", counting)
    monkeypatch.setattr("search.samplers.limits.likeliest", choosing)

    sampler.draw([*found, weighed(3000, {"model.width": 0.3, "optimizer.lr": 0.1})])

    assert readings == [200]


# The front


SOME = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=12)


@given(SOME)
def test_the_front_is_what_no_other_trial_beats(pairs: list[tuple[int, int]]) -> None:
    items = [finished(n, accuracy / 10, float(latency)) for n, (accuracy, latency) in enumerate(pairs)]

    front = pareto_front(items, METRIC, "latency_ms")

    found = {pairs[trial.number] for trial in front}
    unbeaten = {(a, c) for a, c in pairs if not any((a2 >= a and c2 <= c) and (a2, c2) != (a, c) for a2, c2 in pairs)}
    assert found == unbeaten
    assert len(front) == len(found), "of two that are alike one is enough"
    latencies = [pairs[trial.number][1] for trial in front]
    assert latencies == sorted(latencies)


def test_what_was_not_weighed_or_not_finished_is_not_on_the_front() -> None:
    items = [
        finished(0, 0.5, 3.0),
        trial_at(1, {1.0: 0.9}, ended=State.COMPLETE),
        over(finished(2, 0.9, 9.0)),
        trial_at(3, {1.0: 0.9}, ended=State.PRUNED),
    ]

    assert [trial.number for trial in pareto_front(items, METRIC, "latency_ms")] == [0]
    assert pareto_front([], METRIC, "flops") == []
