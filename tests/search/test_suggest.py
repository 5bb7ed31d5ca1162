"""A declared space as Optuna sees it."""

from collections.abc import Mapping
from pathlib import Path

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
from optuna.trial import FixedTrial, TrialState, create_trial

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


def _ask(seed: int) -> optuna.Trial:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()


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
    trial = FixedTrial({**fixed, "runtime.channels_last": True})

    drawn = suggest(trial, nested, given={})

    assert drawn == {**fixed, "runtime.channels_last": True}
    assert list(drawn) == names
    assert trial.distributions == distributions(nested, drawn)


def test_what_is_given_is_taken_and_the_rest_is_drawn(nested: SearchSpace) -> None:
    given_values: dict[str, Value] = {
        "model": "vit",
        "model.vit.patch": 4,
        "optimizer": "adamw",
        "optimizer.adamw.lr": 0.03,
    }

    drawn = suggest(_ask(seed=0), nested, given=given_values)

    assert drawn.items() >= given_values.items()
    assert drawn.keys() - given_values == {"model.vit.depth", "runtime.channels_last"}


def test_a_given_value_of_another_option_is_left_out(nested: SearchSpace) -> None:
    drawn = suggest(_ask(seed=0), nested, given={"model": "vit", "model.resnet9.width": 16})

    assert "model.resnet9.width" not in drawn


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), preset=st.sampled_from(preset_names()))
def test_what_is_drawn_lies_in_its_domain_and_can_be_kept_in_a_study(seed: int, preset: str) -> None:
    space = load_space(preset)

    drawn = suggest(_ask(seed), space, given={})

    assert all(param.domain.contains(drawn[param.name]) for param in space.active(drawn))
    assert set(drawn) == {param.name for param in space.active(drawn)}
    create_trial(state=TrialState.RUNNING, params=drawn, distributions=distributions(space, drawn))


@pytest.mark.parametrize("preset", preset_names())
def test_baselines_of_presets_can_be_kept_in_a_study(preset: str) -> None:
    space = load_space(preset)

    for baseline in space.baselines:
        create_trial(state=TrialState.RUNNING, params=dict(baseline), distributions=distributions(space, baseline))
