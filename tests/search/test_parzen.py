"""The densities that TPE compares, held against those of Optuna's own estimator."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.sampler import default_weights

from search.distributions import distribution
from search.samplers.parzen import Axes, mixture_of
from search.samplers.steps import step_at, steps_of
from search.surrogate.gp import Array
from spaces import Choice, Domain, Float, Integer, Param, Value
from spaces.places import place_of, value_at

DOMAINS: Mapping[str, Domain] = {
    "even": Float(low=-1.0, high=3.0),
    "log": Float(low=1e-4, high=1.0, log=True),
    "steps": Float(low=0.0, high=0.2, step=0.001),
    "whole": Integer(low=2, high=400),
    "every fourth": Integer(low=4, high=1000, step=4),
    "log whole": Integer(low=1, high=512, log=True),
    "letter": Choice(options=("a", "b", "c")),
    "alone": Choice(options=(True,)),
}
FEW: Mapping[str, Domain] = {
    "steps": Float(low=0.0, high=0.2, step=0.05),
    "whole": Integer(low=2, high=4),
    "every fourth": Integer(low=4, high=32, step=4),
    "log whole": Integer(low=1, high=8, log=True),
}
SETTINGS = _ParzenEstimatorParameters(
    prior_weight=1.0, consider_magic_clip=True, consider_endpoints=False, weights=default_weights, multivariate=True
)


def _values(domain: Domain, rng: np.random.Generator, num: int) -> list[Value]:
    """Values of a domain, no two of which are equal if it is a range."""
    places = rng.random(num)
    if not isinstance(domain, Choice) and (steps := steps_of(domain)) is not None:
        places = rng.permutation(steps.middles)[:num]
    return [value_at(domain, place) for place in places.tolist()]


def _ours(domains: Mapping[str, Domain], tried: Mapping[str, list[Value]], wanted: Mapping[str, list[Value]]) -> Array:
    ranges = {name: domain for name, domain in domains.items() if not isinstance(domain, Choice)}
    choices = {name: domain for name, domain in domains.items() if isinstance(domain, Choice)}
    axes = Axes(tuple(map(steps_of, ranges.values())), tuple(len(choice.options) for choice in choices.values()))

    def numbers(values: Mapping[str, list[Value]]) -> tuple[Array, NDArray[np.int64]]:
        num = len(next(iter(values.values())))
        of_ranges = [
            [place_of(domain, value) if steps_of(domain) is None else step_at(domain, value) for value in values[name]]
            for name, domain in ranges.items()
        ]
        options = [[choice.options.index(value) for value in values[name]] for name, choice in choices.items()]
        return (
            np.array(of_ranges, dtype=np.float64).reshape(len(ranges), num).T,
            np.array(options, dtype=np.int64).reshape(len(choices), num).T,
        )

    return mixture_of(axes, *numbers(tried)).log_density(*numbers(wanted))


def _theirs(
    domains: Mapping[str, Domain], tried: Mapping[str, list[Value]], wanted: Mapping[str, list[Value]]
) -> Array:
    space = {name: distribution(Param(name=name, path=name, domain=domain)) for name, domain in domains.items()}

    def inner(values: Mapping[str, list[Value]]) -> dict[str, Array]:
        return {name: np.array([space[name].to_internal_repr(v) for v in values[name]], dtype=float) for name in space}

    return np.asarray(_ParzenEstimator(inner(tried), space, SETTINGS).log_pdf(inner(wanted)))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), num=st.sampled_from([0, 1, 2, 3, 10, 24, 25, 26, 60, 150]))
def test_densities_are_those_of_optuna(seed: int, num: int) -> None:
    rng = np.random.default_rng(seed)
    tried = {name: _values(domain, rng, num) for name, domain in DOMAINS.items()}
    wanted = {name: _values(domain, rng, 40) for name, domain in DOMAINS.items()}

    apart = _ours(DOMAINS, tried, wanted) - _theirs(DOMAINS, tried, wanted)

    assert apart == pytest.approx(np.full(40, apart[0]), abs=1e-6), "but for the unit of length"


@pytest.mark.parametrize("name", FEW)
def test_densities_of_few_values_are_those_of_optuna(name: str) -> None:
    """By themselves, as it is chance which of equal values Optuna sorts first."""
    domains, rng = {name: FEW[name]}, np.random.default_rng(0)
    tried, wanted = ({name: [value_at(FEW[name], at) for at in rng.random(20).tolist()]} for _ in range(2))

    assert _ours(domains, tried, wanted) == pytest.approx(_theirs(domains, tried, wanted), abs=1e-6)


@pytest.mark.parametrize("num", [0, 1, 40])
def test_what_is_drawn_has_the_density_that_is_told(num: int) -> None:
    axes = Axes((None, steps_of(Integer(low=1, high=5))), (3,))
    rng = np.random.default_rng(0)
    mixture = mixture_of(
        axes,
        np.stack([rng.beta(5, 2, size=num), rng.integers(5, size=num)], axis=1),
        rng.integers(3, size=(num, 1)),
    )

    ranges, options = mixture.draw(np.random.default_rng(1), 40_000)

    at = (np.arange(400) + 0.5) / 400
    steps, chosen = (grid.ravel() for grid in np.meshgrid(np.arange(5), np.arange(3)))
    cells = np.stack([np.tile(at, 15), np.repeat(steps, 400)], axis=1), np.repeat(chosen, 400)[:, None]
    told = np.exp(mixture.log_density(*cells)).reshape(15, 20, 20).sum(axis=2) / 400
    counted = np.histogramdd(
        np.concatenate([options, ranges[:, [1, 0]]], axis=1), bins=(3, 5, 20), range=((0, 3), (0, 5), (0, 1))
    )[0].reshape(15, 20)
    assert told.sum() == pytest.approx(1.0, abs=1e-3)
    assert counted / 40_000 == pytest.approx(told, abs=5 * np.sqrt(told.max() / 40_000))
