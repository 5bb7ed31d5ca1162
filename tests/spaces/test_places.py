"""Values as places on the unit interval."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaces import Choice, Domain, Float, Integer, Value
from spaces.places import place_of, value_at

RATE = Float(low=0.01, high=1.0, log=True)
FRACTION = Float(low=0.2, high=0.6)
SMOOTHING = Float(low=0.0, high=0.3, step=0.1)
PADDING = Integer(low=0, high=4)
EVEN = Integer(low=0, high=12, step=2)
BATCH = Integer(low=1, high=128, log=True)
MODEL = Choice(options=("small", "middle", "large", 7))
DOMAINS = (RATE, FRACTION, SMOOTHING, PADDING, EVEN, BATCH, MODEL)

places = st.floats(min_value=0.0, max_value=1.0)


@pytest.mark.parametrize(
    ("domain", "value", "place"),
    [
        (RATE, 0.01, 0.0),
        (RATE, 0.1, 0.5),
        (RATE, 1.0, 1.0),
        (FRACTION, 0.3, 0.25),
        (PADDING, 4, 1.0),
        (EVEN, 6, 0.5),
        (MODEL, "small", 0.125),
        (MODEL, 7, 0.875),
    ],
)
def test_a_value_has_its_place(domain: Domain, value: Value, place: float) -> None:
    assert place_of(domain, value) == pytest.approx(place)


@given(st.sampled_from(DOMAINS), places)
def test_every_place_holds_a_value_of_the_domain(domain: Domain, place: float) -> None:
    value = value_at(domain, place)

    assert domain.contains(value)
    assert 0.0 <= place_of(domain, value) <= 1.0


@given(st.sampled_from((RATE, FRACTION)), places)
def test_a_range_gives_back_the_place_of_its_value(domain: Domain, place: float) -> None:
    assert place_of(domain, value_at(domain, place)) == pytest.approx(place, abs=1e-9)


@given(st.sampled_from(DOMAINS), places, places)
def test_what_is_farther_up_has_no_smaller_value(domain: Domain, one: float, other: float) -> None:
    low, high = sorted((one, other))

    assert place_of(domain, value_at(domain, low)) <= place_of(domain, value_at(domain, high))


@pytest.mark.parametrize("domain", [SMOOTHING, PADDING, EVEN, MODEL], ids=str)
def test_values_have_equal_shares(domain: Domain) -> None:
    counts = Counter(value_at(domain, (number + 0.5) / 840) for number in range(840))

    assert len(counts) == domain.size
    assert max(counts.values()) - min(counts.values()) <= 1


def test_whole_numbers_on_a_logarithm_are_those_that_its_places_round_to() -> None:
    assert [value_at(BATCH, place) for place in (0.0, 0.5, 1.0)] == [1, 8, 128]


@given(st.sampled_from((BATCH, Integer(low=16, high=512, log=True), PADDING, EVEN, SMOOTHING, MODEL)), places)
def test_the_place_of_a_value_leads_back_to_it(domain: Domain, place: float) -> None:
    value = value_at(domain, place)

    assert value_at(domain, place_of(domain, value)) == value


def test_values_on_a_step_are_what_one_would_write() -> None:
    assert [value_at(SMOOTHING, place) for place in (0.1, 0.3, 0.6, 0.9)] == [0.0, 0.1, 0.2, 0.3]
