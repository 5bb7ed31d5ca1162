"""What a model may cost, in the file and in the loaded space."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from spaces import Constraints, SearchSpace, SpaceError, parse_space, with_changes

Parse = Callable[[str], SearchSpace]

PLAIN = """
name: small
data: digits
budget: {rungs: [1]}
parameters:
  optimizer.lr: {float: [0.01, 1.0], log: true}
"""
LIMITED = f"{PLAIN}constraints: {{parameters: 2000000, latency_ms: 1.5}}\n"


def test_a_space_knows_what_a_model_may_cost(parse: Parse) -> None:
    found = parse(LIMITED).constraints

    assert found == Constraints(parameters=2_000_000, latency_ms=1.5)
    assert found.limits() == {"parameters": 2_000_000, "latency_ms": 1.5}
    assert parse(PLAIN).constraints.limits() == {}


def test_constraints_are_part_of_the_fingerprint_where_there_are_some(parse: Parse) -> None:
    texts = (PLAIN, LIMITED, LIMITED.replace("1.5", "2.5"), f"{PLAIN}constraints: {{}}\n")

    plain, *others, empty = (parse(text).fingerprint for text in texts)

    assert len({plain, *others}) == 3
    assert empty == plain


def test_a_constraint_can_be_set_from_outside() -> None:
    for text in (PLAIN, LIMITED):
        changed = with_changes(text, {"constraints.size_mb": 4}, name="small.yaml")
        assert parse_space(changed, file=Path("small.yaml")).constraints.size_mb == 4


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        ("{latency_ms: 0}", "constraints.latency_ms: must be above 0, got 0"),
        ("{size_mb: -3}", "constraints.size_mb: must be above 0, got -3"),
        ("{flops: .inf}", "constraints.flops: must be a finite number"),
        ("{parameters: many}", "constraints.parameters: must be a number, got 'many'"),
        ("{latency: 3}", "Did you mean 'latency_ms'?"),
        ("[3]", "constraints: must be a mapping"),
    ],
)
def test_constraints_that_can_not_be_are_told(parse: Parse, constraints: str, message: str) -> None:
    with pytest.raises(SpaceError, match=re.escape(message)):
        parse(f"{PLAIN}constraints: {constraints}\n")
