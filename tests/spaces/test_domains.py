"""Ranges and choices: what they hold, how they print, and which ones cannot be."""

import math
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaces import Choice, Domain, Float, Integer, SpaceError, Value

RATE = Float(low=0.01, high=2.0, log=True)
SMOOTHING = Float(low=0.0, high=0.3, step=0.05)
PADDING = Integer(low=0, high=4)
EVEN = Integer(low=0, high=12, step=2)
WIDTH = Choice(options=(0.5, 1.0))
NESTEROV = Choice(options=(True, False))
MIXED = Choice(options=("none", 2, 0.5))


@pytest.mark.parametrize(
    ("domain", "value"),
    [
        (RATE, 0.01),
        (RATE, 2.0),
        (RATE, 1),
        (SMOOTHING, 0.0),
        (SMOOTHING, 0.15000000000000002),
        (SMOOTHING, 0.3),
        (SMOOTHING, 0.30000000000000004),
        (PADDING, 0),
        (PADDING, 4),
        (EVEN, 12),
        (WIDTH, 0.5),
        (WIDTH, 1),
        (NESTEROV, True),
        (MIXED, "none"),
        (MIXED, 2),
    ],
)
def test_a_domain_contains_its_bounds_its_options_and_what_lies_on_its_step(domain: Domain, value: Value) -> None:
    assert domain.contains(value)


@pytest.mark.parametrize(
    ("domain", "value"),
    [
        (RATE, 0.009),
        (RATE, 2.1),
        (RATE, "1"),
        (RATE, True),
        (RATE, math.nan),
        (RATE, math.inf),
        (RATE, None),
        (SMOOTHING, 0.07),
        (SMOOTHING, -0.05),
        (SMOOTHING, 0.35),
        (PADDING, 5),
        (PADDING, -1),
        (PADDING, 2.0),
        (PADDING, True),
        (PADDING, "2"),
        (EVEN, 3),
        (EVEN, 14),
        (WIDTH, 0.7),
        (WIDTH, True),
        (NESTEROV, 1),
        (NESTEROV, "true"),
        (MIXED, None),
    ],
)
def test_a_domain_contains_nothing_else(domain: Domain, value: Value | None) -> None:
    assert not domain.contains(value)


@pytest.mark.parametrize(("domain", "value", "held"), [(RATE, 1, 1.0), (WIDTH, 1, 1.0), (MIXED, 2.0, 2)])
def test_a_fitting_value_takes_the_type_that_the_domain_holds(domain: Domain, value: Value, held: Value) -> None:
    fitting = domain.fit(value)

    assert fitting == held
    assert type(fitting) is type(held)


@pytest.mark.parametrize(
    ("domain", "text"),
    [
        (RATE, "0.01 … 2 (log)"),
        (SMOOTHING, "0 … 0.3 (step 0.05)"),
        (PADDING, "0 … 4"),
        (EVEN, "0 … 12 (step 2)"),
        (Integer(low=1, high=64, log=True), "1 … 64 (log)"),
        (WIDTH, "0.5 | 1"),
        (NESTEROV, "true | false"),
        (MIXED, "none | 2 | 0.5"),
        (Choice(options=("a\nb", "c")), r"'a\nb' | c"),
    ],
)
def test_a_domain_prints_as_a_person_would_write_it(domain: Domain, text: str) -> None:
    assert str(domain) == text


@pytest.mark.parametrize(
    ("domain", "size"),
    [(RATE, math.inf), (SMOOTHING, 7), (PADDING, 5), (EVEN, 7), (WIDTH, 2), (MIXED, 3)],
)
def test_a_domain_counts_its_values(domain: Domain, size: float) -> None:
    assert domain.size == size


def test_equal_domains_are_equal_keys() -> None:
    assert {RATE, Float(low=0.01, high=2, log=True)} == {RATE}
    assert {PADDING, Integer(low=0, high=4, step=1)} == {PADDING}
    assert {WIDTH, Choice(options=(0.5, 1.0))} == {WIDTH}
    assert Float(low=0.01, high=2.0) != RATE


FLOAT_FAULTS: list[tuple[Mapping[str, object], str]] = [
    ({"low": 2, "high": 0.01}, "float: [2, 0.01] is empty: the low bound must be below the high bound."),
    ({"low": 1, "high": 1}, "float: [1, 1] holds one value: write 1 as a constant."),
    ({"low": math.nan, "high": 1}, "float: [nan, 1] must have finite bounds: write two numbers."),
    ({"low": 0, "high": math.inf}, "float: [0, inf] must have finite bounds: write two numbers."),
    (
        {"low": 0, "high": 1, "log": True},
        "float: [0, 1] must have a low bound above 0 with `log: true`, got 0.",
    ),
    (
        {"low": 0.1, "high": 1, "log": True, "step": 0.1},
        "float: [0.1, 1] takes `log: true` or `step`, not both: leave one out.",
    ),
    ({"low": 0, "high": 1, "step": 0}, "float: [0, 1] needs a finite `step` above 0, got 0."),
    ({"low": 0, "high": 1, "step": -0.1}, "float: [0, 1] needs a finite `step` above 0, got -0.1."),
    ({"low": 0, "high": 1, "step": math.nan}, "float: [0, 1] needs a finite `step` above 0, got nan."),
    ({"low": 0, "high": 1, "step": math.inf}, "float: [0, 1] needs a finite `step` above 0, got inf."),
    ({"low": 0, "high": 1, "step": 2}, "float: [0, 1] is narrower than its `step` 2: at most 1 fits."),
    (
        {"low": 0, "high": 1, "step": 0.3},
        "float: [0, 1] does not end on its `step` 0.3: write 0.9 as the high bound.",
    ),
    (
        {"low": 0, "high": 1e30, "step": 1e-10},
        "float: [0, 1e+30] holds over a billion values with `step` 1e-10: leave the step out.",
    ),
]
INTEGER_FAULTS: list[tuple[Mapping[str, object], str]] = [
    ({"low": 4, "high": 0}, "int: [4, 0] is empty: the low bound must be below the high bound."),
    ({"low": 4, "high": 4}, "int: [4, 4] holds one value: write 4 as a constant."),
    (
        {"low": 0, "high": 4, "log": True},
        "int: [0, 4] must have a low bound above 0 with `log: true`, got 0.",
    ),
    (
        {"low": 1, "high": 9, "log": True, "step": 2},
        "int: [1, 9] takes `log: true` or `step`, not both: leave one out.",
    ),
    ({"low": 0, "high": 4, "step": 0}, "int: [0, 4] needs a `step` of at least 1, got 0."),
    ({"low": 0, "high": 4, "step": 5}, "int: [0, 4] is narrower than its `step` 5: at most 4 fits."),
    (
        {"low": 0, "high": 5, "step": 2},
        "int: [0, 5] does not end on its `step` 2: write 4 as the high bound.",
    ),
]
CHOICE_FAULTS: list[tuple[tuple[Value, ...], str]] = [
    ((), "choice: is empty: it must hold at least one option."),
    (("a", "b", "a"), "choice: 'a' is there twice: leave one out."),
    ((1, True), "choice: true is there twice: leave one out."),
    ((math.inf,), "choice: an option must be a finite number, got inf."),
]


@pytest.mark.parametrize(("arguments", "message"), FLOAT_FAULTS)
def test_a_float_that_cannot_be_drawn_from_is_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        Float(**arguments)

    assert str(caught.value) == message


@pytest.mark.parametrize(("arguments", "message"), INTEGER_FAULTS)
def test_an_integer_that_cannot_be_drawn_from_is_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        Integer(**arguments)

    assert str(caught.value) == message


@pytest.mark.parametrize(("options", "message"), CHOICE_FAULTS)
def test_a_choice_that_cannot_be_drawn_from_is_refused(options: tuple[Value, ...], message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        Choice(options=options)

    assert str(caught.value) == message


def test_all_faults_of_a_range_are_told_at_once() -> None:
    with pytest.raises(SpaceError) as caught:
        Float(low=-1, high=-2, log=True, step=-1)

    assert len(str(caught.value).splitlines()) == 4


@settings(max_examples=40, deadline=None, database=None)
@given(low=st.integers(-1000, 1000), steps=st.integers(1, 500), step=st.sampled_from([0.05, 0.1, 0.3, 1.0, 2.5]))
def test_every_point_of_a_grid_lies_in_its_domain(low: int, steps: int, step: float) -> None:
    domain = Float(low=low, high=float(f"{low + steps * step:.10g}"), step=step)

    assert domain.size == steps + 1
    assert all(domain.contains(low + step * position) for position in range(steps + 1))
    assert not domain.contains(low + step / 2)
    assert not domain.contains(low + step * (steps + 1))
