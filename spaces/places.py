"""Values as places on the unit interval, and back: for whoever measures distances, or draws without Optuna."""

import math
from typing import assert_never

from spaces.domains import Choice, Domain, Float, Integer, Value

DIGITS = 12  # of a value on a step
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
