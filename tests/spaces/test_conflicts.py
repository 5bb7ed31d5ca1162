"""Settings that cannot stand in one space, and those that only look so."""

from collections.abc import Callable

import pytest

from spaces import SearchSpace

Faults = Callable[[str], list[str]]
Parse = Callable[[str], SearchSpace]
Text = Callable[[str], str]

CONFLICTS = [
    (
        "training.batch_size: {int: [1, 9]}\ntraining:\n  batch_size: 5",
        "5: parameters.training.batch_size: `training.batch_size` is set on line 3 as well: leave one out.",
    ),
    (
        "training: {batch_size: {int: [1, 9]}}\ntraining.batch_size: {int: [1, 9]}",
        "4: parameters.training.batch_size: `training.batch_size` is set on line 3 as well: leave one out.",
    ),
    (
        "optimizer: {choice: [sgd, adamw]}\noptimizer.lr: 0.1",
        "4: parameters.optimizer.lr: `optimizer.lr` is set here and `optimizer` on line 3: `optimizer` has "
        "a value, so it cannot also hold `optimizer.lr`. Leave one out, or put `optimizer.lr` under an "
        "option: optimizer: {choice: {...}}.",
    ),
    (
        "optimizer.sgd.lr: {float: [0, 1]}\noptimizer: sgd",
        "4: parameters.optimizer: `optimizer` is set here and `optimizer.sgd.lr` on line 3: `optimizer` has "
        "a value, so it cannot also hold `optimizer.sgd.lr`. Leave one out, or put `optimizer.sgd.lr` under "
        "an option: optimizer: {choice: {...}}.",
    ),
    (
        "optimizer: {choice: {sgd: {lr: {float: [0, 1]}, a.b: 1, a: {b: 2}}}}",
        "3: parameters.optimizer.choice.sgd.a.b: `optimizer.a.b` is set on line 3 as well: leave one out.",
    ),
    (
        "o: {choice: {a.b: {c: {int: [0, 1]}}, a: {b.c: {int: [0, 1]}}}}",
        "3: parameters.o.choice.a.b.c: its name 'o.a.b.c' is taken on line 3: rename an option.",
    ),
    (
        "o: {choice: {'1': {c: {int: [0, 1]}}, 1: {c: {int: [0, 1]}}}}",
        "3: parameters.o.choice.1.c: its name 'o.1.c' is taken on line 3: rename an option.",
    ),
    (
        "o: {choice: {a b: {c: {int: [0, 1]}}}}",
        "3: parameters.o.choice.a b.c: the option 'a b' brings settings, so it becomes part of their names: "
        "it must be made of letters, digits and `_ - : . /`.",
    ),
    (
        "o: {choice: {a/../b: {c: {int: [0, 1]}}}}",
        "3: parameters.o.choice.a/../b.c: the option 'a/../b' brings settings, so it becomes part of their "
        "names: it must be made of letters, digits and `_ - : . /`.",
    ),
]


@pytest.mark.parametrize(("text", "message"), CONFLICTS, ids=[text for text, _ in CONFLICTS])
def test_settings_that_cannot_stand_together_are_refused(
    text: str, message: str, parameters: Text, faults: Faults
) -> None:
    assert faults(parameters(text)) == [f"my.yaml:{message}"]


def test_a_name_too_long_for_the_tracking_store_is_refused(parameters: Text, faults: Faults) -> None:
    nested = "{int: [0, 1]}"
    for letter in "abcdef":
        nested = f"{{{letter * 60}: {nested}}}"

    (message,) = faults(parameters(f"x: {nested}"))

    assert message.endswith("its name has 367 characters, at most 250 are allowed. Use shorter options, or nest less.")


@pytest.mark.parametrize(
    "text",
    [
        "o: {choice: {sgd: {lr: {float: [0, 1]}}, adam: {lr: {float: [0, 2]}}}}",
        "o: {choice: {sgd: {lr: {float: [0, 1]}}, adam: {lr: 0.1}}}",
        "o: {choice: {sgd: {a: {int: [0, 1]}}, adam: {a.b: {int: [0, 1]}}}}",
        "a.b: {int: [0, 1]}\na: {c: 3}\na.d: 4",
        "ab: {int: [0, 1]}\na: {c: 3}",
    ],
)
def test_settings_that_are_never_active_together_or_only_begin_alike_are_fine(
    text: str, parameters: Text, parse: Parse
) -> None:
    assert parse(parameters(text)).params


def test_many_options_with_the_same_setting_are_checked_quickly(parameters: Text, parse: Parse) -> None:
    options = ", ".join(f"o{number}: {{lr: {{int: [0, 1]}}}}" for number in range(300))

    assert len(parse(parameters(f"optimizer: {{choice: {{{options}}}}}")).params) == 301
