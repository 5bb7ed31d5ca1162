"""The values that a hyperparameter may take: a range of numbers, or one of several options.

A domain that exists can be drawn from: the constructors refuse empty and contradictory ones.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from spaces.errors import SpaceError, shown, written

Value = str | int | float | bool

ON_STEP = 1e-8  # how far from a whole number of steps a value may lie, in steps
MOST_STEPS = 1e9  # a finer grid than this is no grid


@dataclass(frozen=True, slots=True, kw_only=True)
class Float:
    """A number between two bounds, which belong to it.

    Raises:
        SpaceError: If nothing, or only one value, could be drawn from it.
    """

    low: float
    high: float
    log: bool = False  # drawn evenly in its logarithm
    step: float | None = None  # only `low`, `low + step`, ... up to `high`

    def __post_init__(self) -> None:
        _refuse(_float_faults(self))

    @property
    def size(self) -> int | float:
        """The number of values; infinite without a step."""
        return math.inf if self.step is None else round((self.high - self.low) / self.step) + 1

    def fit(self, value: object) -> float | None:
        """Return the value as this domain holds it, or None if it lies outside."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return None
        if self.step is None:
            return float(value) if self.low <= value <= self.high else None
        steps = (value - self.low) / self.step
        is_on_step = abs(steps - round(steps)) < ON_STEP and 0 <= round(steps) < self.size
        return float(value) if is_on_step else None

    def contains(self, value: object) -> bool:
        """Whether the value is a number (a whole one will do) in the range and on the step."""
        return self.fit(value) is not None

    def __str__(self) -> str:
        return _printed(self.low, self.high, log=self.log, step=self.step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Integer:
    """A whole number between two bounds, which belong to it.

    Raises:
        SpaceError: If nothing, or only one value, could be drawn from it.
    """

    low: int
    high: int
    log: bool = False  # drawn evenly in its logarithm
    step: int = 1

    def __post_init__(self) -> None:
        _refuse(_integer_faults(self))

    @property
    def size(self) -> int:
        """The number of values."""
        return (self.high - self.low) // self.step + 1

    def fit(self, value: object) -> int | None:
        """Return the value as this domain holds it, or None if it lies outside."""
        if isinstance(value, bool) or not isinstance(value, int):
            return None
        is_inside = self.low <= value <= self.high and (value - self.low) % self.step == 0
        return value if is_inside else None

    def contains(self, value: object) -> bool:
        """Whether the value is a whole number (true and false are none) in the range and on the step."""
        return self.fit(value) is not None

    def __str__(self) -> str:
        return _printed(self.low, self.high, log=self.log, step=None if self.step == 1 else self.step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of several options, in the order in which they were written.

    Raises:
        SpaceError: If there is no option, or one is there twice; 1, 1.0 and true count as the same.
    """

    options: tuple[Value, ...]

    def __post_init__(self) -> None:
        _refuse(_choice_faults(self.options))

    @property
    def size(self) -> int:
        """The number of options."""
        return len(self.options)

    def fit(self, value: object) -> Value | None:
        """Return the option that equals the value, or None; a number is never true or false."""
        for option in self.options:
            if option == value and isinstance(option, bool) == isinstance(value, bool):
                return option
        return None

    def contains(self, value: object) -> bool:
        """Whether the value is one of the options."""
        return self.fit(value) is not None

    def __str__(self) -> str:
        return " | ".join(written(option) for option in self.options)


Domain = Float | Integer | Choice


def _refuse(faults: Iterable[str]) -> None:
    if text := "\n".join(faults):
        raise SpaceError(text)


def _printed(low: float, high: float, *, log: bool, step: float | None) -> str:
    remarks = ["log"] * log + ([] if step is None else [f"step {written(step)}"])
    return f"{written(low)} … {written(high)}" + (f" ({', '.join(remarks)})" if remarks else "")


def _float_faults(domain: Float) -> Iterator[str]:
    head = f"float: [{written(domain.low)}, {written(domain.high)}]"
    bounds = list(_bound_faults(head, domain.low, domain.high, log=domain.log))
    yield from bounds
    if domain.step is None:
        return
    if domain.log:
        yield f"{head} takes `log: true` or `step`, not both: leave one out."
    if not domain.step > 0 or not math.isfinite(domain.step):
        yield f"{head} needs a finite `step` above 0, got {written(domain.step)}."
    elif not bounds:
        yield from _step_faults(head, domain.low, domain.high, step=domain.step)


def _integer_faults(domain: Integer) -> Iterator[str]:
    head = f"int: [{domain.low}, {domain.high}]"
    bounds = list(_bound_faults(head, domain.low, domain.high, log=domain.log))
    yield from bounds
    if domain.log and domain.step != 1:
        yield f"{head} takes `log: true` or `step`, not both: leave one out."
    if domain.step < 1:
        yield f"{head} needs a `step` of at least 1, got {written(domain.step)}."
    elif not bounds:
        yield from _step_faults(head, domain.low, domain.high, step=domain.step)


def _bound_faults(head: str, low: float, high: float, *, log: bool) -> Iterator[str]:
    if not (math.isfinite(low) and math.isfinite(high)):
        yield f"{head} must have finite bounds: write two numbers."
    elif low > high:
        yield f"{head} is empty: the low bound must be below the high bound."
    elif low == high:
        yield f"{head} holds one value: write {written(low)} as a constant."
    if log and low <= 0:
        yield f"{head} must have a low bound above 0 with `log: true`, got {written(low)}."


def _step_faults(head: str, low: float, high: float, *, step: float) -> Iterator[str]:
    """Yield what is wrong with a positive step between good bounds."""
    width = Decimal(str(high)) - Decimal(str(low))
    if Decimal(str(step)) > width:
        yield f"{head} is narrower than its `step` {written(step)}: at most {written(float(width))} fits."
    elif (high - low) / step > MOST_STEPS:
        yield f"{head} holds over a billion values with `step` {written(step)}: leave the step out."
    elif rest := width % Decimal(str(step)):
        last = written(float(Decimal(str(high)) - rest))
        yield f"{head} does not end on its `step` {written(step)}: write {last} as the high bound."


def _choice_faults(options: tuple[Value, ...]) -> Iterator[str]:
    if not options:
        yield "choice: is empty: it must hold at least one option."
    seen: set[Value] = set()
    for option in options:
        if isinstance(option, float) and not math.isfinite(option):
            yield f"choice: an option must be a finite number, got {shown(option)}."
        elif option in seen:
            yield f"choice: {shown(option)} is there twice: leave one out."
        seen.add(option)
