"""Samplers and schedulers by name, each with each, through the whole engine."""

from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import mean

import numpy as np
import pytest
from scipy.stats.qmc import discrepancy
from search_samples import PARAMS, learns, new_trial, quality, trial_at, trials_of
from typer.models import OptionInfo

from autoclf.commands import searching
from search.book import best_of
from search.errors import StudyError
from search.executors.scripted import ScriptedExecutor
from search.request import DEFAULT_SAMPLER, DEFAULT_SCHEDULER
from search.schedulers import FreezeThaw
from search.schedulers.hyperband import bracket_of
from search.strategies import SAMPLERS, SCHEDULERS, make_strategy
from search.surrogate.encoding import Encoding
from search.trials import State, Trial
from spaces import SearchSpace, parse_space

PAIRS = list(product(SAMPLERS, SCHEDULERS))
METRIC = "val/accuracy"


def _numeric(space: SearchSpace) -> SearchSpace:
    """The same with ranges alone: what cmaes draws."""
    text = "\n".join(
        (
            "name: ranges",
            "data: digits",
            "budget: {rungs: [1, 3, 9], eta: 3, trials: 20}",
            "objective: val/accuracy",
            "parameters:",
            "  model: resnet9",
            "  optimizer: {choice: {sgd: {lr: {float: [0.001, 1.0], log: true}}}}",
            "  training: {label_smoothing: {float: [0.0, 0.2]}}",
            "baselines:",
            "  - {optimizer: sgd, optimizer.lr: 0.01, training.label_smoothing: 0.1}",
        )
    )
    return parse_space(text, file=Path("ranges.yaml"))


def _space_for(sampler: str, space: SearchSpace) -> SearchSpace:
    return _numeric(space) if sampler == "cmaes" else space


def _search(
    space: SearchSpace,
    *,
    sampler: str,
    scheduler: str,
    seed: int = 0,
    max_trials: int = 20,
    num_slots: int = 2,
    stop_after: float = float("inf"),
    seconds: float | None = None,
) -> list[Trial]:
    """The trials of a scripted search; one that is stopped goes on with nothing but its trials."""
    run = partial(
        trials_of,
        _space_for(sampler, space),
        sampler=sampler,
        scheduler=scheduler,
        seed=seed,
        max_trials=max_trials,
        seconds=seconds,
        executor=ScriptedExecutor(learns, num_slots=num_slots),
    )
    trials = run(stop_after=stop_after)
    return trials if all(trial.state.is_over for trial in trials) else run(before=trials)


@pytest.mark.parametrize(("sampler", "scheduler"), PAIRS)
def test_a_search_ends_and_its_best_is_the_best_that_it_drew(
    small_space: SearchSpace, sampler: str, scheduler: str
) -> None:
    found = _search(small_space, sampler=sampler, scheduler=scheduler)

    assert len(found) == 20
    assert all(trial.state in (State.COMPLETE, State.PRUNED) for trial in found)
    best = best_of(found, METRIC)
    assert best is not None
    assert best.state is State.COMPLETE
    assert quality(best.config) == pytest.approx(max(quality(trial.config) for trial in found), abs=0.005)


@pytest.mark.parametrize(("sampler", "scheduler"), PAIRS)
def test_baselines_come_first(small_space: SearchSpace, sampler: str, scheduler: str) -> None:
    found = _search(small_space, sampler=sampler, scheduler=scheduler, max_trials=4)

    for trial, baseline in zip(found, _space_for(sampler, small_space).baselines, strict=False):
        assert trial.params.items() >= dict(baseline).items()


@pytest.mark.parametrize(("sampler", "scheduler"), PAIRS)
def test_a_search_that_was_interrupted_draws_the_same_with_one_worker(
    small_space: SearchSpace, sampler: str, scheduler: str
) -> None:
    search = partial(_search, small_space, sampler=sampler, scheduler=scheduler, max_trials=12, num_slots=1)

    whole, resumed = search(), search(stop_after=15.0)

    assert [trial.params for trial in resumed] == [trial.params for trial in whole]
    assert [trial.state for trial in resumed] == [trial.state for trial in whole]


@pytest.mark.parametrize(("sampler", "scheduler"), PAIRS)
def test_a_search_keeps_to_its_time_and_trains_something_to_the_end(
    small_space: SearchSpace, sampler: str, scheduler: str
) -> None:
    found = _search(small_space, sampler=sampler, scheduler=scheduler, max_trials=1000, seconds=60.0)

    assert sum(result.epoch_seconds for trial in found for result in trial.results) <= 2 * 60.0
    assert any(trial.state is State.COMPLETE for trial in found)


def test_a_model_of_the_readings_finds_better_configurations_than_chance(small_space: SearchSpace) -> None:
    unaided = replace(small_space, baselines=())  # one of which is the best there is
    best = {
        sampler: mean(
            max(quality(t.config) for t in _search(unaided, sampler=sampler, scheduler="freeze-thaw", seed=seed))
            for seed in range(5)
        )
        for sampler in ("gp", "random")
    }

    assert 0.9 - best["gp"] < 0.5 * (0.9 - best["random"])


@pytest.mark.parametrize("sampler", ["cmaes", "evolution", "tpe"])
def test_who_learns_from_scores_finds_better_configurations_than_chance(small_space: SearchSpace, sampler: str) -> None:
    unaided = replace(_space_for(sampler, small_space), baselines=())

    def missed(name: str) -> float:
        """How far the last ten of forty configurations are from the best there is, over five seeds."""
        runs = (_search(unaided, sampler=name, scheduler="none", seed=seed, max_trials=40) for seed in range(5))
        return mean(0.9 - quality(trial.config) for run in runs for trial in run[-10:])

    assert missed(sampler) < 0.7 * missed("random")


def test_points_of_qmc_are_spread_more_evenly_than_chance(small_space: SearchSpace) -> None:
    space = replace(_numeric(small_space), baselines=())

    def unevenness(name: str) -> float:
        drawer = make_strategy(space, seed=1, sampler=name, scheduler="none").sampler
        drawn = [drawer.draw([new_trial(n) for n in range(number)]) for number in range(64)]
        places = Encoding(space).places(drawn)
        return float(discrepancy(places[:, np.ptp(places, axis=0) > 0]))  # an option without others stands still

    assert unevenness("qmc") < 0.5 * unevenness("random")


def test_cmaes_says_what_it_can_not_draw(small_space: SearchSpace) -> None:
    with pytest.raises(StudyError, match=r"choices are in this space: `optimizer`.* Fix `optimizer` with --set"):
        make_strategy(small_space, seed=0, sampler="cmaes", scheduler="none")


def test_brackets_of_hyperband_get_their_shares_at_any_time() -> None:
    brackets = [bracket_of(number, num_rungs=3, eta=3) for number in range(34)]

    assert Counter(brackets) == {0: 18, 1: 10, 2: 6}, "9, 5 and 3 of 17"
    assert brackets[:17] == brackets[17:]
    assert set(brackets[:4]) == {0, 1, 2}


@pytest.mark.parametrize(
    ("sampler", "scheduler", "message"),
    [
        ("tpee", "promotion", "no sampler 'tpee'. Did you mean 'tpe'"),
        ("tpe", "freeze", "no scheduler 'freeze'. Did you mean 'freeze-thaw'"),
    ],
)
def test_unknown_names_are_told_with_the_known_ones(
    small_space: SearchSpace, sampler: str, scheduler: str, message: str
) -> None:
    with pytest.raises(StudyError, match=message):
        make_strategy(small_space, seed=0, sampler=sampler, scheduler=scheduler)


def test_the_command_line_names_them_all_and_has_the_same_defaults() -> None:
    for option, known in ((searching.Sampler, SAMPLERS), (searching.Scheduler, SCHEDULERS)):
        (described,) = (item for item in option.__metadata__ if isinstance(item, OptionInfo))
        assert described.help is not None
        assert all(name in described.help for name in known)
    defaults = searching.search.__defaults__
    assert defaults is not None
    assert DEFAULT_SAMPLER in defaults
    assert DEFAULT_SCHEDULER in defaults


def test_who_gives_way_is_judged_as_the_scheduler_judges(small_space: SearchSpace) -> None:
    trials = [trial_at(n, {1.0: 0.3 + 0.02 * n, 3.0: 0.5 + 0.03 * n}, params=PARAMS) for n in range(8)]
    by_model = make_strategy(small_space, seed=0, sampler="gp", scheduler="freeze-thaw")
    by_ranks = make_strategy(small_space, seed=0, sampler="tpe", scheduler="promotion")

    assert isinstance(by_model.scheduler, FreezeThaw)
    outlook = by_model.scheduler.surrogate.outlook(trials)
    assert outlook is not None
    assert by_model.expected(trials) == outlook.expected()
    assert by_ranks.expected(trials) == {n: pytest.approx(0.5 + 0.03 * n) for n in range(8)}
    assert by_model.expected([]) == by_ranks.expected([]) == {}
