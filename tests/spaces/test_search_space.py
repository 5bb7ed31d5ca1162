"""The loaded space as a value: what is active, what a job gets, what its fingerprint covers."""

import dataclasses
import math
import random
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaces import (
    BudgetSpec,
    Constant,
    DataSpec,
    Float,
    Objective,
    Param,
    SearchSpace,
    SpaceError,
    Value,
    parse_space,
)
from tests.pipes import sent

Parse = Callable[[str | Mapping[str, object]], SearchSpace]
Draw = Callable[..., dict[str, Value]]

SPACE = """
name: small
about: for tests
data: {source: cifar10, seed: 7}
objective: val/loss
budget: {rungs: [0.5, 2], eta: 2, trials: 9}
parameters:
  model:
    choice:
      fastnet: {width: {choice: [0.5, 1.0]}, depth: 2}
      vit: {}
  optimizer:
    choice:
      sgd:
        lr: {float: [0.01, 2.0], step: 0.01}
        nesterov:
          choice:
            yes: {damping: {int: [0, 2]}, kind: plain}
            no: {}
      adamw:
        lr: {float: [1e-4, 1e-2], log: true}
  training.batch_size: {choice: [256, 512, 1000]}
  augment: {flip: none, crop: {padding: {int: [0, 4]}}}
baselines:
  - {model: vit, optimizer: adamw, optimizer.lr: 1e-3}
  - {model: fastnet}
"""


@pytest.fixture(scope="module")
def space(parse: Parse) -> SearchSpace:
    return parse(SPACE)


def test_the_heading_becomes_values(space: SearchSpace) -> None:
    assert (space.name, space.about, str(space.file)) == ("small", "for tests", "my.yaml")
    assert space.data == DataSpec(source="cifar10", seed=7)
    assert space.objective == Objective(metric="val/loss")
    assert space.budget == BudgetSpec(rungs=(0.5, 2.0), eta=2, trials=9)
    assert space.budget.epochs == 2.0


def test_what_the_heading_leaves_out_has_defaults(parse: Parse) -> None:
    space = parse("budget: {rungs: [1]}\nparameters: {x: {int: [0, 1]}}")

    assert (space.name, space.about, space.baselines) == ("my", "", ())
    assert space.data == DataSpec(source=None, image_size=None, val_fraction=0.1, test_fraction=0.2, seed=0)
    assert space.objective == Objective(metric="val/accuracy")
    assert (space.budget.eta, space.budget.trials) == (3, 30)


@pytest.mark.parametrize(
    ("text", "source"),
    [("data: digits", "digits"), ("data: {source: ./photos}", "./photos"), ("data: {}", None)],
)
def test_data_may_be_named_or_described_or_left_to_the_user(text: str, source: str | None, parse: Parse) -> None:
    assert parse(f"{text}\nbudget: {{rungs: [1]}}\nparameters: {{x: {{int: [0, 1]}}}}").data.source == source


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("val/accuracy", "maximize"),
        ("val/top5_accuracy", "maximize"),
        ("val/loss", "minimize"),
        ("{metric: val/loss, direction: minimize}", "minimize"),
        ("{direction: maximize}", "maximize"),
    ],
)
def test_the_direction_follows_from_the_metric(text: str, direction: str, parse: Parse) -> None:
    space = parse(f"objective: {text}\nbudget: {{rungs: [1]}}\nparameters: {{x: {{int: [0, 1]}}}}")

    assert space.objective.direction == direction


def test_names_keep_the_options_and_paths_leave_them_out(space: SearchSpace) -> None:
    assert [(param.name, param.path) for param in space.params] == [
        ("model", "model"),
        ("model.fastnet.width", "model.width"),
        ("optimizer", "optimizer"),
        ("optimizer.sgd.lr", "optimizer.lr"),
        ("optimizer.sgd.nesterov", "optimizer.nesterov"),
        ("optimizer.sgd.nesterov.yes.damping", "optimizer.nesterov.damping"),
        ("optimizer.adamw.lr", "optimizer.lr"),
        ("training.batch_size", "training.batch_size"),
        ("augment.crop.padding", "augment.crop.padding"),
    ]


def test_conditions_name_every_choice_above_the_outermost_first(space: SearchSpace) -> None:
    by_name = {param.name: param.when for param in space.params}

    assert by_name["optimizer"] == ()
    assert by_name["optimizer.sgd.nesterov.yes.damping"] == (
        ("optimizer", "sgd"),
        ("optimizer.sgd.nesterov", "yes"),
    )


def test_constants_hang_on_the_options_that_bring_them(space: SearchSpace) -> None:
    assert space.constants == (
        Constant(path="model.depth", value=2, when=(("model", "fastnet"),)),
        Constant(
            path="optimizer.nesterov.kind",
            value="plain",
            when=(("optimizer", "sgd"), ("optimizer.sgd.nesterov", "yes")),
        ),
        Constant(path="augment.flip", value="none"),
    )


@pytest.mark.parametrize(
    ("drawn", "is_active"),
    [
        ({"a": 1, "b": "x"}, True),
        ({"a": 1, "b": "y"}, False),
        ({"a": 1}, False),
        ({}, False),
    ],
)
def test_a_parameter_is_active_where_all_its_conditions_hold(drawn: Mapping[str, Value], is_active: bool) -> None:
    when = (("a", 1), ("b", "x"))

    assert Param(name="p", path="p", domain=Float(low=0, high=1), when=when).is_active(drawn) == is_active
    assert Constant(path="c", value=1, when=when).is_active(drawn) == is_active


def test_a_job_gets_what_was_drawn_by_path_and_what_is_fixed(space: SearchSpace) -> None:
    drawn: dict[str, Value] = {
        "model": "vit",
        "optimizer": "sgd",
        "optimizer.sgd.lr": 0.5,
        "optimizer.sgd.nesterov": "yes",
        "optimizer.sgd.nesterov.yes.damping": 1,
        "training.batch_size": 256,
        "augment.crop.padding": 0,
    }

    assert space.settings(drawn) == {
        "model": "vit",
        "optimizer": "sgd",
        "optimizer.lr": 0.5,
        "optimizer.nesterov": "yes",
        "optimizer.nesterov.damping": 1,
        "optimizer.nesterov.kind": "plain",
        "training.batch_size": 256,
        "augment.crop.padding": 0,
        "augment.flip": "none",
    }


def test_settings_need_a_value_for_every_active_parameter(space: SearchSpace) -> None:
    with pytest.raises(KeyError, match="optimizer"):
        space.settings({"model": "vit"})


def test_paths_are_listed_once_each(space: SearchSpace) -> None:
    assert sorted(space.paths()) == [
        "augment.crop.padding",
        "augment.flip",
        "model",
        "model.depth",
        "model.width",
        "optimizer",
        "optimizer.lr",
        "optimizer.nesterov",
        "optimizer.nesterov.damping",
        "optimizer.nesterov.kind",
        "training.batch_size",
    ]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("{a: {int: [1, 3]}, b: {choice: [x, y]}}", 6),
        ("{a: {float: [0, 1], step: 0.25}, c: 3}", 5),
        ("{a: {float: [0, 1]}, b: {choice: [x, y]}}", math.inf),
        ("{a: {choice: {x: {p: {int: [1, 3]}, q: {int: [1, 2]}}, y: {}}}, b: {int: [1, 2]}}", 14),
        ("{a: {choice: {x: {b: {choice: {u: {p: {int: [1, 5]}}, v: {}}}}, y: {c: 2}}}}", 7),
        ("{a: {choice: {x: {p: {float: [1, 3]}}, y: {}}}}", math.inf),
    ],
)
def test_configurations_are_counted_along_the_conditions(text: str, count: float, parse: Parse) -> None:
    assert parse(f"budget: {{rungs: [1]}}\nparameters: {text}").num_configurations() == count


def test_a_space_can_be_a_key_and_travel_between_processes(space: SearchSpace, parse: Parse) -> None:
    assert {space, parse(SPACE)} == {space}
    assert sent(space) == space


def test_a_fingerprint_is_sixteen_hexadecimal_digits(space: SearchSpace) -> None:
    assert len(space.fingerprint) == 16
    assert set(space.fingerprint) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("for tests", "other words"),
        ("trials: 9", "trials: 10"),
        ("name: small", "name: other"),
        ("step: 0.01", "step: 0.01, log: false"),
        ("rungs: [0.5, 2]", "rungs: [0.5, 2.0]"),
        ("{model: vit, optimizer: adamw,", "{optimizer: adamw, model: vit,"),
        (
            "{flip: none, crop: {padding: {int: [0, 4]}}}",
            "{crop.padding: {int: [0, 4], step: 1}, flip: none}",
        ),
        ("objective: val/loss", "objective: {metric: val/loss, direction: minimize}"),
    ],
)
def test_what_does_not_decide_the_search_leaves_the_fingerprint(
    old: str, new: str, space: SearchSpace, parse: Parse
) -> None:
    assert parse(SPACE.replace(old, new)).fingerprint == space.fingerprint


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("seed: 7", "seed: 8"),
        ("cifar10", "cifar100"),
        ("objective: val/loss", "objective: val/accuracy"),
        ("rungs: [0.5, 2]", "rungs: [0.5, 3]"),
        ("eta: 2", "eta: 3"),
        ("[1e-4, 1e-2], log: true", "[1e-4, 2e-2], log: true"),
        ("[1e-4, 1e-2], log: true", "[1e-4, 1e-2]"),
        ("[256, 512, 1000]", "[512, 256, 1000]"),
        ("depth: 2", "depth: 3"),
        ("vit: {}", "vit: {depth: 2}"),
        ("int: [0, 4]", "float: [0, 4]"),
        ("  - {model: fastnet}", "  - {model: vit}"),
        ("- {model: fastnet}", "- {model: fastnet, model.width: 1.0}"),
    ],
)
def test_what_decides_the_search_changes_the_fingerprint(old: str, new: str, space: SearchSpace, parse: Parse) -> None:
    changed = parse(SPACE.replace(old, new))

    assert changed.fingerprint != space.fingerprint


# Any space ----------------------------------------------------------------------------------------------

QUICK = settings(max_examples=12, deadline=None, database=None)
KEYS = st.sampled_from(["lr", "width", "depth", "flip_x", "a", "b-c"])
NUMBERS = st.floats(-1e6, 1e6).map(lambda number: float(f"{number:.6g}"))
FLOATS = st.tuples(NUMBERS, NUMBERS).filter(lambda pair: pair[0] != pair[1]).map(lambda pair: {"float": sorted(pair)})
LOGS = st.tuples(st.integers(1, 9), st.integers(10, 99)).map(lambda p: {"int": list(p), "log": True})
STEPS = st.tuples(st.integers(-9, 9), st.integers(1, 20), st.sampled_from([0.5, 0.25, 2.0])).map(
    lambda p: {"float": [p[0], p[0] + p[1] * p[2]], "step": p[2]}
)
INTS = st.tuples(st.integers(-9, 9), st.integers(1, 20), st.integers(1, 5)).map(
    lambda p: {"int": [p[0], p[0] + p[1] * p[2]], "step": p[2]}
)
OPTIONS = st.lists(st.sampled_from(["u", "v", "w", 2, 0.5]), min_size=1, unique=True)
LISTS = OPTIONS.map(lambda options: {"choice": options})
LEAVES = st.one_of(FLOATS, LOGS, STEPS, INTS, LISTS, st.integers(0, 9), st.sampled_from(["x", True, 0.25]))


def _grown(settings: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    groups = st.dictionaries(KEYS, settings, max_size=3)
    branches = st.dictionaries(st.sampled_from(["u", "v", 3, False]), groups, min_size=1, max_size=3)
    return st.one_of(groups, branches.map(lambda options: {"choice": options}))


TREES = st.dictionaries(KEYS, st.recursive(LEAVES, _grown, max_leaves=8), max_size=4)
SPACES = TREES.map(lambda tree: {"budget": {"rungs": [1, 3]}, "parameters": {**tree, "always": {"float": [0.0, 1.0]}}})


@QUICK
@given(content=SPACES, seed=st.integers(0, 999))
def test_whatever_is_drawn_from_any_space_lies_in_it(
    content: Mapping[str, object], seed: int, parse: Parse, draw: Draw
) -> None:
    space = parse(content)

    drawn = draw(space, random.Random(seed))

    settings = space.settings(drawn)
    assert {param.name for param in space.active(drawn)} == set(drawn)
    assert all(param.domain.contains(settings[param.path]) for param in space.active(drawn))
    assert len(settings) == len(drawn) + sum(constant.is_active(drawn) for constant in space.constants)
    assert set(settings) <= set(space.paths())


@QUICK
@given(content=SPACES, seed=st.integers(0, 999))
def test_any_drawn_configuration_may_be_written_as_a_baseline(
    content: Mapping[str, object], seed: int, parse: Parse, draw: Draw
) -> None:
    space = parse(content)
    drawn = draw(space, random.Random(seed))

    again = parse({**content, "baselines": [space.settings(drawn)]})

    assert again.baselines == (drawn,)


@QUICK
@given(content=SPACES)
def test_any_space_keeps_its_fingerprint_until_something_decisive_changes(
    content: Mapping[str, object], parse: Parse
) -> None:
    space = parse(content)
    wider = {**content, "parameters": {**content["parameters"], "always": {"float": [0.0, 2.0]}}}  # type: ignore[dict-item]

    assert parse({**content, "about": "something"}).fingerprint == space.fingerprint
    assert parse(wider).fingerprint != space.fingerprint


@QUICK
@given(content=SPACES)
def test_a_space_names_each_parameter_once(content: Mapping[str, object], parse: Parse) -> None:
    names = [param.name for param in parse(content).params]

    assert len(names) == len(set(names))


@QUICK
@given(text=st.text(max_size=200))
def test_any_random_text_is_refused_in_words(text: str) -> None:
    with pytest.raises(SpaceError, match=r"^my\.yaml:"):
        parse_space(text, file=Path("my.yaml"))


def test_a_space_can_be_narrowed_in_code(space: SearchSpace) -> None:
    with_data = dataclasses.replace(space, data=dataclasses.replace(space.data, source="./photos"))

    assert with_data.data.source == "./photos"
    assert with_data.fingerprint != space.fingerprint
