"""A declared space as Optuna sees it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState, create_trial

from search.suggest import distribution, distributions, suggest
from spaces import Choice, Domain, Float, Integer, Param, SearchSpace, Value, load_space, parse_space, preset_names

NESTED = """
budget: {rungs: [1]}
parameters:
  model:
    choice:
      vit:
        depth: {int: [1, 8], log: true}
        patch: {choice: [2, 4]}
      resnet9:
        width: {int: [8, 64], step: 8}
  optimizer:
    choice:
      sgd: {lr: {float: [0.01, 1.0], log: true}, momentum: 0.9}
      adamw: {lr: {float: [0.0, 0.1], step: 0.01}}
  runtime: {channels_last: {choice: [true, false]}}
"""


@pytest.fixture(scope="module")
def nested() -> SearchSpace:
    return parse_space(NESTED, file=Path("nested.yaml"))


def _study(seed: int = 0) -> optuna.Study:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        (Float(low=0.0, high=1.0), FloatDistribution(0.0, 1.0)),
        (Float(low=0.1, high=1.0, log=True), FloatDistribution(0.1, 1.0, log=True)),
        (Float(low=0.0, high=0.2, step=0.05), FloatDistribution(0.0, 0.2, step=0.05)),
        (Integer(low=1, high=4), IntDistribution(1, 4)),
        (Integer(low=1, high=64, log=True), IntDistribution(1, 64, log=True)),
        (Integer(low=8, high=64, step=8), IntDistribution(8, 64, step=8)),
        (Choice(options=("sgd", "adamw")), CategoricalDistribution(("sgd", "adamw"))),
        (Choice(options=(16, 0.5, True, "x")), CategoricalDistribution((16, 0.5, True, "x"))),
    ],
)
def test_a_domain_becomes_the_distribution_of_its_kind(domain: Domain, expected: BaseDistribution) -> None:
    assert distribution(Param(name="x", path="x", domain=domain)) == expected


@pytest.mark.parametrize("step", [0.1, 0.05, 0.01, 0.003])
def test_the_ends_of_a_stepped_range_can_be_drawn(step: float) -> None:
    drawn = distribution(Param(name="x", path="x", domain=Float(low=0.0, high=60 * step, step=step)))

    assert isinstance(drawn, FloatDistribution)
    assert drawn.high == pytest.approx(60 * step)


@pytest.mark.parametrize(
    ("fixed", "names"),
    [
        (
            {"model": "vit", "model.vit.depth": 2, "model.vit.patch": 4, "optimizer": "sgd", "optimizer.sgd.lr": 0.1},
            ["model", "model.vit.depth", "model.vit.patch", "optimizer", "optimizer.sgd.lr", "runtime.channels_last"],
        ),
        (
            {"model": "resnet9", "model.resnet9.width": 16, "optimizer": "adamw", "optimizer.adamw.lr": 0.05},
            ["model", "model.resnet9.width", "optimizer", "optimizer.adamw.lr", "runtime.channels_last"],
        ),
    ],
)
def test_only_what_hangs_on_the_options_drawn_is_drawn(
    nested: SearchSpace, fixed: Mapping[str, Value], names: list[str]
) -> None:
    drawn = suggest(_study(), nested, given={**fixed, "runtime.channels_last": True})

    assert drawn == {**fixed, "runtime.channels_last": True}
    assert list(drawn) == names
    assert list(distributions(nested, drawn)) == names


def test_what_is_given_is_taken_and_the_rest_is_drawn(nested: SearchSpace) -> None:
    given_values: dict[str, Value] = {
        "model": "vit",
        "model.vit.patch": 4,
        "optimizer": "adamw",
        "optimizer.adamw.lr": 0.03,
    }

    drawn = suggest(_study(), nested, given=given_values)

    assert drawn.items() >= given_values.items()
    assert drawn.keys() - given_values == {"model.vit.depth", "runtime.channels_last"}


def test_a_given_value_of_another_option_is_left_out(nested: SearchSpace) -> None:
    drawn = suggest(_study(), nested, given={"model": "vit", "model.resnet9.width": 16})

    assert "model.resnet9.width" not in drawn


class _Asked(optuna.samplers.RandomSampler):
    """Notes what it is asked to draw together."""

    def __init__(self) -> None:
        super().__init__(seed=0)
        self.groups: list[set[str]] = []

    def sample_relative(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        self.groups.append(set(search_space))
        return super().sample_relative(study, trial, search_space)


def test_what_hangs_on_the_same_option_is_drawn_together_and_nothing_else_is(nested: SearchSpace) -> None:
    sampler = _Asked()

    suggest(optuna.create_study(sampler=sampler), nested, given={"model": "vit", "optimizer": "adamw"})

    assert sampler.groups == [
        {"runtime.channels_last"},
        {"model.vit.depth", "model.vit.patch"},
        {"optimizer.adamw.lr"},
    ]


def test_an_option_that_is_the_only_one_is_drawn() -> None:
    space = parse_space(
        "{budget: {rungs: [1]}, parameters: {optimizer: {choice: {sgd: {lr: {float: [0.1, 1.0]}}}}}}",
        file=Path("one.yaml"),
    )
    sampler = optuna.samplers.TPESampler(seed=0, multivariate=True, n_startup_trials=1)
    study = optuna.create_study(sampler=sampler)
    params: dict[str, Value] = {"optimizer": "sgd", "optimizer.sgd.lr": 0.5}
    for value in (0.1, 0.2):
        study.add_trial(create_trial(value=value, params=params, distributions=distributions(space, params)))

    assert suggest(study, space, given={})["optimizer"] == "sgd"


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), preset=st.sampled_from(preset_names()))
def test_what_is_drawn_lies_in_its_domain_and_can_be_kept_in_a_study(seed: int, preset: str) -> None:
    space = load_space(preset)

    drawn = suggest(_study(seed), space, given={})

    assert all(param.domain.contains(drawn[param.name]) for param in space.active(drawn))
    assert set(drawn) == {param.name for param in space.active(drawn)}
    create_trial(state=TrialState.RUNNING, params=drawn, distributions=distributions(space, drawn))


@pytest.mark.parametrize("preset", preset_names())
def test_baselines_of_presets_can_be_kept_in_a_study(preset: str) -> None:
    space = load_space(preset)

    for baseline in space.baselines:
        create_trial(state=TrialState.RUNNING, params=dict(baseline), distributions=distributions(space, baseline))
