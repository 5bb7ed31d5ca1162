"""What the author of a space holds for good, in the file and in the loaded space."""

import re
from collections.abc import Callable

import pytest

from spaces import Prior, SearchSpace, SpaceError

Parse = Callable[[str], SearchSpace]

PRIORS = """
name: small
data: digits
budget: {rungs: [1]}
parameters:
  optimizer:
    choice:
      sgd: {lr: {float: [0.01, 1.0], log: true, prior: 0.1, confidence: high}}
      adamw: {}
    prior: sgd
  training.batch_size: {int: [16, 64], prior: 32}
"""


def test_a_parameter_knows_what_its_author_holds_for_good(parse: Parse) -> None:
    priors = {param.name: param.prior for param in parse(PRIORS).params}

    assert priors == {
        "optimizer": Prior(value="sgd", confidence="medium"),
        "optimizer.sgd.lr": Prior(value=0.1, confidence="high"),
        "training.batch_size": Prior(value=32, confidence="medium"),
    }


def test_priors_are_part_of_the_fingerprint(parse: Parse) -> None:
    without = (
        PRIORS.replace(", prior: 0.1, confidence: high", "").replace("    prior: sgd\n", "").replace(", prior: 32", "")
    )

    found = {parse(text).fingerprint for text in (PRIORS, PRIORS.replace("high", "low"), without)}

    assert len(found) == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("prior: 0.1", "prior: 2.0", "parameters.optimizer.choice.sgd.lr: its `prior` 2.0 is none of its values"),
        ("prior: 32", "prior: 16.5", "training.batch_size: its `prior` 16.5 is none of its values"),
        ("prior: sgd", "prior: lion", "its `prior` 'lion' is none of its values"),
        ("prior: 0.1, confidence: high", "confidence: high", "`confidence` says how sure a `prior` is: give one"),
        ("confidence: high", "confidence: huge", "confidence"),
    ],
)
def test_priors_that_can_not_be_are_told(parse: Parse, old: str, new: str, message: str) -> None:
    with pytest.raises(SpaceError, match=re.escape(message)):
        parse(PRIORS.replace(old, new))
