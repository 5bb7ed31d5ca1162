"""Ranges with few values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.samplers.steps import step_at, steps_of
from spaces import Float, Integer
from spaces.places import value_at

RATE = Float(low=0.01, high=1.0, log=True)
STEPPED: tuple[Float | Integer, ...] = (
    Float(low=0.0, high=0.3, step=0.1),
    Integer(low=0, high=4),
    Integer(low=0, high=12, step=2),
    Integer(low=1, high=128, log=True),
)


@given(st.sampled_from(STEPPED), st.floats(0.0, 1.0))
def test_the_place_of_a_step_leads_to_its_value(domain: Float | Integer, place: float) -> None:
    steps = steps_of(domain)

    assert steps is not None
    number = step_at(domain, value_at(domain, place))

    assert steps.edges[number] - 1e-9 <= place <= steps.edges[number + 1] + 1e-9
    assert steps.edges[number] < steps.middles[number] < steps.edges[number + 1]
    assert step_at(domain, value_at(domain, float(steps.middles[number]))) == number


@pytest.mark.parametrize("domain", [RATE, Float(low=0.2, high=0.6), Integer(low=1, high=10_000)])
def test_a_range_without_steps_or_with_very_many_has_none(domain: Float | Integer) -> None:
    assert steps_of(domain) is None
