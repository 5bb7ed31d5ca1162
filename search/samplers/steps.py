"""Ranges with few values, as shares of the unit interval."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from search.surrogate.gp import Array
from spaces import Float, Integer, Value
from spaces.places import place_of

MOST_STEPS = 1000  # of a range, that are told apart


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """The values of a range that has few: each has a share of the interval, all places of which lead to it.

    Attributes:
        edges: float64 (K + 1,), where the shares of K values begin and end, from 0 to 1.
        middles: float64 (K,), the places of the values themselves in these shares.
    """

    edges: Array
    middles: Array


@lru_cache(maxsize=1024)
def steps_of(domain: Float | Integer) -> Steps | None:
    """Return the steps of a range; None where it has none, or so many that it might have none."""
    if domain.size > MOST_STEPS:
        return None
    values = domain.low + (domain.step or 0.0) * np.arange(int(domain.size))
    if not domain.log:
        edges = np.arange(len(values) + 1) / len(values)
        return Steps(edges, (edges[1:] + edges[:-1]) / 2)
    edges = np.log(np.append(values, domain.high + 1) - 0.5)
    places = np.array([place_of(domain, int(value)) for value in values])
    return Steps((edges - edges[0]) / (edges[-1] - edges[0]), places)


def step_at(domain: Float | Integer, value: Value) -> int:
    """Return the number of a value's step, from 0."""
    return round((float(value) - domain.low) / (domain.step or 1.0))
