"""How a setting of a job is declared: a field with the numbers that it may hold."""

import math
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Range:
    """The numbers that a field may hold; an absent bound is open to infinity."""

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, value: float) -> bool:
        try:
            value = float(value)
        except OverflowError:  # a whole number beyond the floats
            return False
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return above and below and math.isfinite(value)

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"{'above' if self.low_open else 'at least'} {self.low:g}"
        return f"in {'(' if self.low_open else '['}{self.low:g}, {self.high:g}{')' if self.high_open else ']'}"


POSITIVE = Range(0, low_open=True)
NOT_NEGATIVE = Range(0)
FRACTION = Range(0, 1)
BELOW_ONE = Range(0, 1, high_open=True)


def number(default: float, allowed: Range, *, detail_of: str = "") -> Any:
    """Declare a numeric field.

    Args:
        default: What a job has that does not say.
        allowed: The range that a value must lie in.
        detail_of: The field of the same section without which this one decides nothing; empty if there is none.
    """
    metadata: dict[str, Any] = {"range": allowed}
    if detail_of:
        metadata["detail_of"] = detail_of
    return field(default=default, metadata=metadata)
