"""A declared space as Optuna sees it."""

from pathlib import Path

import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState, create_trial

from search.distributions import distribution, distributions
from spaces import Choice, Domain, Float, Integer, Param, Value, load_space, parse_space, preset_names

NESTED = """
budget: {rungs: [1]}
parameters:
  model: {choice: {vit: {depth: {int: [1, 8], log: true}}, resnet9: {}}}
  optimizer: {choice: {sgd: {}, adamw: {}}}
"""


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


def test_distributions_are_those_of_what_was_drawn() -> None:
    space = parse_space(NESTED, file=Path("nested.yaml"))
    drawn: dict[str, Value] = {"model": "vit", "model.vit.depth": 2, "optimizer": "adamw"}

    assert distributions(space, drawn) == {
        "model": CategoricalDistribution(("vit", "resnet9")),
        "model.vit.depth": IntDistribution(1, 8, log=True),
        "optimizer": CategoricalDistribution(("sgd", "adamw")),
    }


@pytest.mark.parametrize("preset", preset_names())
def test_baselines_of_presets_can_be_kept_in_a_study(preset: str) -> None:
    space = load_space(preset)

    for baseline in space.baselines:
        create_trial(state=TrialState.RUNNING, params=dict(baseline), distributions=distributions(space, baseline))
