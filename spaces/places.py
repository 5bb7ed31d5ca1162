"""Values as places on the unit interval, and back: for whoever measures distances, or draws without Optuna."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from spaces.domains import Choice, Domain, Float, Integer, Value

DIGITS = 12  # of a value on a step
MOST_STEPS = 1000  # of a range, that are told apart
BELOW_ONE = math.nextafter(1.0, 0.0)


def place_of(domain: Domain, value: Value) -> float:
    """Return where a value of a domain lies, in [0, 1]: its lower bound at 0, its upper at 1.

    A range that is drawn evenly in its logarithm is even in it here, too; whole numbers then lie within their shares,
    as options always do. `value_at` leads back to the value.
    """
    match domain:
        case Integer(low=low, high=high, log=True):
            return (math.log(float(value)) - math.log(low - 0.5)) / (math.log(high + 0.5) - math.log(low - 0.5))
        case Float(low=low, high=high, log=log) | Integer(low=low, high=high, log=log):
            return (_scaled(float(value), log=log) - _scaled(low, log=log)) / (
                _scaled(high, log=log) - _scaled(low, log=log)
            )
        case Choice(options=options):
            return (options.index(value) + 0.5) / len(options)
        case _:
            assert_never(domain)


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """The values of a range that has few: each has a share of the interval, all places of which lead to it.

    Attributes:
        edges: float64 (K + 1,), where the shares of K values begin and end, from 0 to 1.
        middles: float64 (K,), the places of the values themselves in these shares.
    """

    edges: NDArray[np.float64]
    middles: NDArray[np.float64]


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


def value_at(domain: Domain, place: float) -> Value:
    """Return the value at a place in [0, 1]; an even draw of the place is an even draw of the value.

    With a step, and for whole numbers, each value has an equal share of the interval (with `log`, an equal share of
    the logarithms that round to it).
    """
    place = min(max(place, 0.0), BELOW_ONE)
    match domain:
        case Float(low=low, high=high, log=log, step=None):
            at = _scaled(low, log=log) + place * (_scaled(high, log=log) - _scaled(low, log=log))
            return min(max(math.exp(at) if log else at, low), high)
        case Float(low=low, high=high, step=step) if step is not None:
            return min(float(f"{low + step * math.floor(place * domain.size):.{DIGITS}g}"), high)  # 0.3, not 0.1 + 0.2
        case Integer(low=low, high=high, log=True):
            at = math.log(low - 0.5) + place * (math.log(high + 0.5) - math.log(low - 0.5))
            return min(max(round(math.exp(at)), low), high)
        case Integer(low=low, step=step):
            return low + step * math.floor(place * domain.size)
        case Choice(options=options):
            return options[math.floor(place * len(options))]
        case _:
            raise AssertionError(f"{domain} is no domain")


def _scaled(value: float, *, log: bool) -> float:
    return math.log(value) if log else float(value)
