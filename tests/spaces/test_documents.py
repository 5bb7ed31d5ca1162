"""YAML that is broken, hostile, or means something else than it seems."""

from collections.abc import Callable

import pytest

from spaces import SearchSpace

Faults = Callable[[str], list[str]]
Parse = Callable[[str], SearchSpace]
Text = Callable[[str], str]

TOO_LARGE = "holds over 10,000 values (aliases count each time), or over 32 levels."
MAPPING = "must be a mapping with keys such as `budget` and `parameters`"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"1: {MAPPING}, got nothing."),
        ("# nothing but a remark", f"1: {MAPPING}, got nothing."),
        ("cifar10", f"1: {MAPPING}, got 'cifar10'."),
        ("- a\n- b", f"1: {MAPPING}, got a list."),
        (
            "a: [1, 2\nb: 3",
            "2: column 2: is not YAML: while parsing a flow sequence expected ',' or ']', but got ':'.",
        ),
        (
            "a: 1\n\tb: 2",
            "2: column 1: is not YAML: while scanning for the next token "
            "found character '\\t' that cannot start any token.",
        ),
        ("a: *nowhere", "1: column 4: is not YAML: found undefined alias 'nowhere'."),
        (
            "a: 1\n---\nb: 2",
            "2: column 1: is not YAML: expected a single document in the stream but found another document.",
        ),
        ("a: 1\nb: \x00", "2: is not YAML: the character '\\x00' is not allowed."),
        ("a: &x [*x]", f"1: a{'.0' * 32}: {TOO_LARGE}"),
        ("a: " + "[" * 1000, f"1: {TOO_LARGE}"),
        ("a: [" + "1, " * 10_001 + "]", f"1: {TOO_LARGE}"),
    ],
)
def test_text_that_is_no_mapping_in_yaml_is_refused(text: str, message: str, faults: Faults) -> None:
    assert faults(text) == [f"my.yaml:{message}"]


def test_a_bomb_of_aliases_is_refused_before_it_bursts(faults: Faults) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 20)]

    (message,) = faults("\n".join(lines))

    assert message.endswith(TOO_LARGE)


def test_an_alias_repeats_what_its_anchor_holds(parameters: Text, parse: Parse) -> None:
    space = parse(parameters("a: &range {float: [0, 1]}\nb: *range"))

    assert [param.name for param in space.params] == ["a", "b"]
    assert space.params[0].domain == space.params[1].domain


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x: !!python/object/apply:os.system ls", "the tag `!!python/object/apply:os.system` is refused"),
        ("x: !!python/name:os.system", "the tag `!!python/name:os.system` is refused"),
        ("x: !mine 3", "the tag `!mine` is refused"),
        ("x: !!binary aGk=", "the tag `!!binary` is refused"),
        ("x: !!set {a: b}", "the tag `!!set` is refused"),
        ("!!python/name:os.system x: 3", "the tag `!!python/name:os.system` is refused"),
        ("x: !!int abc", "'abc' does not fit its tag `!!int`: leave the tag out."),
        ("x: !!bool yes", "'yes' does not fit its tag `!!bool`: leave the tag out."),
        ("x: 1\nx: 2", "is there twice, first on line 4: leave one out."),
        ("1: 1\ntrue: 2", "is there twice, first on line 4: leave one out."),
        ("<<: {a: 1}", "the merge key `<<` is not supported: write the keys out."),
        ("[a, b]: 1", "a key must be text, a number, true or false."),
        ("{a: b}: 1", "a key must be text, a number, true or false."),
        ("~: 1", "a key must not be null: write a name, or quote it."),
    ],
)
def test_yaml_that_a_space_has_no_use_for_is_refused(text: str, message: str, parameters: Text, faults: Faults) -> None:
    found = faults(parameters(f"lr: {{float: [0, 1]}}\n{text}"))

    assert any(f": {message}" in fault for fault in found)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-4", 1e-4),
        ("5E3", 5000.0),
        ("-.5", -0.5),
        ("+3", 3),
        ("012", 12),
        ("true", True),
        ("FALSE", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("'1e-4'", "1e-4"),
        ("!!str 5", "5"),
        ("!!float 3", 3.0),
        ("1.2.3", "1.2.3"),
    ],
)
def test_plain_values_are_read_as_yaml_1_2_means_them(
    written: str, value: object, parameters: Text, parse: Parse
) -> None:
    space = parse(parameters(f"lr: {{float: [0, 1]}}\nx: {written}"))

    assert space.constants[0].value == value
    assert type(space.constants[0].value) is type(value)


def test_options_called_yes_and_off_keep_their_names(parameters: Text, parse: Parse) -> None:
    space = parse(parameters("x: {choice: {yes: {a: {int: [0, 1]}}, off: {}}}"))

    assert [param.name for param in space.params] == ["x", "x.yes.a"]


def test_options_may_be_numbers_and_booleans(parameters: Text, parse: Parse) -> None:
    space = parse(parameters("x: {choice: {0.5: {a: {int: [0, 1]}}, true: {b: {int: [0, 1]}}, 7: {}}}"))

    assert [param.name for param in space.params] == ["x", "x.0.5.a", "x.true.b"]
    assert [param.when for param in space.params] == [(), (("x", 0.5),), (("x", True),)]


def test_a_fault_under_an_option_that_is_no_text_is_placed(parameters: Text, faults: Faults) -> None:
    found = faults(parameters("x:\n  choice:\n    0.5: {a: [1]}\n    true: {b: [1]}\n    7: {c: [1]}"))

    assert [message.split(": ")[0] for message in found] == ["my.yaml:5", "my.yaml:6", "my.yaml:7"]
    assert [message.split(": ")[1].rpartition("choice.")[2] for message in found] == [
        "0.5.a",
        "true.b",
        "7.c",
    ]
