"""What the tests of spaces share: reading a space from text, its faults, and random configurations."""

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
import yaml

from spaces import Choice, Float, Integer, Param, SearchSpace, SpaceError, Value, parse_space

MY_FILE = Path("my.yaml")


def _parse(content: str | Mapping[str, object]) -> SearchSpace:
    text = content if isinstance(content, str) else yaml.safe_dump(dict(content), sort_keys=False)
    return parse_space(text, file=MY_FILE)


def _faults(content: str | Mapping[str, object]) -> list[str]:
    with pytest.raises(SpaceError) as caught:
        _parse(content)
    return str(caught.value).splitlines()


def _parameters(text: str) -> str:
    """A space whose parameters begin on line 3."""
    lines = "".join(f"  {line}\n" for line in text.splitlines())
    return f"budget: {{rungs: [1, 3, 9]}}\nparameters:\n{lines}"


def _draw_value(param: Param, rng: random.Random) -> Value:
    match param.domain:
        case Float(low=low, high=high, step=None):
            return rng.uniform(low, high)
        case Float(low=low, step=float(step)):
            return low + step * rng.randrange(int(param.domain.size))
        case Integer(low=low, high=high, step=step):
            return rng.randrange(low, high + 1, step)
        case Choice(options=options):
            return rng.choice(options)
    raise AssertionError(param)


def _draw(
    space: SearchSpace, rng: random.Random, fixed: Mapping[str, Value] = MappingProxyType({})
) -> dict[str, Value]:
    """Draw a value for each active parameter that is not fixed, in the order of declaration."""
    drawn: dict[str, Value] = {}
    for param in space.params:
        if param.is_active(drawn):
            drawn[param.name] = fixed[param.name] if param.name in fixed else _draw_value(param, rng)
    return drawn


@pytest.fixture(scope="session")
def parse() -> Callable[[str | Mapping[str, object]], SearchSpace]:
    return _parse


@pytest.fixture(scope="session")
def faults() -> Callable[[str | Mapping[str, object]], list[str]]:
    return _faults


@pytest.fixture(scope="session")
def parameters() -> Callable[[str], str]:
    return _parameters


@pytest.fixture(scope="session")
def draw() -> Callable[..., dict[str, Value]]:
    return _draw
