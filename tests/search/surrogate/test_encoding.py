"""Configurations as places and as points."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.surrogate.candidates import propose
from search.surrogate.encoding import CHOSEN, Encoding
from spaces import SearchSpace, parse_space

SPACE = parse_space(
    """
name: nested
budget: {rungs: [1, 3]}
parameters:
  optimizer:
    choice:
      sgd:
        lr: {float: [0.01, 1.0], log: true}
        nesterov: {choice: [true, false]}
      adamw:
        lr: {float: [0.0001, 0.01], log: true}
      lion: {}
  training.batch_size: {choice: [32, 64]}
  augment.crop_padding: {int: [0, 4]}
""",
    file=Path("nested.yaml"),
)
ENCODING = Encoding(SPACE)
NUM_PARAMS, NUM_AXES = 6, 10


def _point(**params: object) -> list[float]:
    named = {name.replace("__", "."): value for name, value in params.items()}
    return ENCODING.points(ENCODING.places([named]))[0].tolist()  # type: ignore[list-item]


def test_a_range_has_an_axis_and_a_choice_one_for_each_option() -> None:
    assert ENCODING.num_axes == NUM_AXES
    assert ENCODING.points(np.zeros((7, NUM_PARAMS))).shape == (7, NUM_AXES)


def test_what_is_not_active_stands_where_it_says_nothing() -> None:
    point = _point(optimizer="adamw", optimizer__adamw__lr=0.01, training__batch_size=64, augment__crop_padding=0)

    names = [param.name for param in SPACE.params]
    assert names[:2] == ["optimizer", "optimizer.sgd.lr"]
    assert point == [0, pytest.approx(CHOSEN), 0, 0.5, 0, 0, 1.0, 0, pytest.approx(CHOSEN), 0.0]


def test_two_options_are_at_a_distance_of_one() -> None:
    one, other = (_point(optimizer="lion", training__batch_size=size, augment__crop_padding=0) for size in (32, 64))

    assert np.linalg.norm(np.subtract(one, other)) == pytest.approx(1.0)


@given(st.lists(st.floats(0, 1), min_size=NUM_PARAMS, max_size=NUM_PARAMS))
def test_a_configuration_stands_where_it_was_read_off(places: list[float]) -> None:
    params = ENCODING.params(np.array(places))

    assert set(params) == {param.name for param in SPACE.active(params)}
    assert all(param.domain.contains(params[param.name]) for param in SPACE.active(params))
    again = ENCODING.params(ENCODING.places([params])[0])
    assert again.keys() == params.keys()
    assert all(again[name] == pytest.approx(params[name]) for name in params)


def test_values_that_are_given_are_taken_and_decide_what_is_active() -> None:
    params = ENCODING.params(np.full(NUM_PARAMS, 0.5), {"optimizer": "sgd", "optimizer.sgd.lr": 0.3})

    assert params["optimizer.sgd.lr"] == 0.3
    assert "optimizer.sgd.nesterov" in params
    assert "optimizer.adamw.lr" not in params


def test_candidates_are_near_what_promises_and_anywhere(small_space: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    promising = np.full((1, NUM_PARAMS), 0.9)

    found = propose(SPACE, rng, promising, num=400)

    assert found.shape == (400, NUM_PARAMS)
    assert found.min() >= 0.0
    assert found.max() <= 1.0
    numeric = found[:, [1, 3, 5]]
    assert np.abs(numeric[:300] - 0.9).mean() < 0.25
    assert numeric[300:].mean() == pytest.approx(0.5, abs=0.1)
    assert 0.5 < (found[:300, 0] == 0.9).mean() < 0.95, "most keep the option"


def test_candidates_are_from_anywhere_where_nothing_promises() -> None:
    found = propose(SPACE, np.random.default_rng(0), np.zeros((0, NUM_PARAMS)), num=40)

    assert found.shape == (40, NUM_PARAMS)
