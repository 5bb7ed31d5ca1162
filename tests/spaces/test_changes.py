"""Settings of a space fixed from outside."""

from pathlib import Path

import pytest

from spaces import (
    Param,
    SearchSpace,
    SpaceError,
    Value,
    load_space,
    parse_space,
    preset_names,
    preset_text,
    with_changes,
)

TEXT = """
name: small
data: digits
objective: val/accuracy
budget: {rungs: [1, 3]}
parameters:
  model:
    choice:
      fastnet: {width: {choice: [0.5, 1.0]}}
      resnet9: {width: {int: [4, 64]}}
  optimizer.lr: {float: [0.01, 1.0], log: true}
  training: {batch_size: {choice: [16, 32]}, ema: 0.5}
baselines:
- {model: fastnet, model.width: 0.5, optimizer.lr: 0.1}
- {model: resnet9, optimizer.lr: 0.2}
- {model: resnet9, optimizer.lr: 0.3}
"""


def changed(**changes: Value) -> SearchSpace:
    """Parse the space with changes; `__` stands for the dot in a path."""
    paths = {name.replace("__", "."): value for name, value in changes.items()}
    return parse_space(with_changes(TEXT, paths, name="small.yaml"), file=Path("small.yaml"))


def names(space: SearchSpace) -> set[str]:
    return {param.name for param in space.params}


def constants(space: SearchSpace) -> dict[str, Value]:
    return {item.path: item.value for item in space.constants}


def test_no_change_leaves_the_text() -> None:
    assert with_changes(TEXT, {}, name="a.yaml") is TEXT


def test_a_fixed_parameter_is_no_longer_searched_and_leaves_the_baselines() -> None:
    space = changed(optimizer__lr=0.7)

    assert "optimizer.lr" not in names(space)
    assert constants(space)["optimizer.lr"] == 0.7
    assert [dict(baseline) for baseline in space.baselines] == [
        {"model": "fastnet", "model.fastnet.width": 0.5},
        {"model": "resnet9"},
    ]


def test_a_nested_parameter_is_found() -> None:
    space = changed(training__batch_size=64)

    assert "training.batch_size" not in names(space)
    assert constants(space) == {"training.ema": 0.5, "training.batch_size": 64}


def test_a_constant_gets_another_value() -> None:
    assert constants(changed(training__ema=0.9))["training.ema"] == 0.9


def test_a_setting_below_a_choice_is_fixed_for_each_option_that_has_it() -> None:
    space = changed(model__width=8)

    assert names(space) == {"model", "optimizer.lr", "training.batch_size"}
    assert [(item.value, item.when) for item in space.constants if item.path == "model.width"] == [
        (8, (("model", "fastnet"),)),
        (8, (("model", "resnet9"),)),
    ]


def test_a_chosen_option_keeps_its_settings_and_its_baselines() -> None:
    space = changed(model="resnet9")

    assert names(space) == {"model", "model.resnet9.width", "optimizer.lr", "training.batch_size"}
    assert [baseline["optimizer.lr"] for baseline in space.baselines] == [0.2, 0.3]


def test_an_option_that_the_space_does_not_have_stands_alone() -> None:
    space = changed(model="vit")

    assert constants(space)["model"] == "vit"
    assert not any(name.startswith("model") for name in names(space))


def test_a_setting_that_the_space_leaves_alone_is_added() -> None:
    assert constants(changed(augment__flip="random"))["augment.flip"] == "random"


def test_what_is_no_parameter_is_set_where_it_stands() -> None:
    space = changed(data__image_size=48, objective="val/loss", budget__eta=2)

    assert (space.data.source, space.data.image_size) == ("digits", 48)
    assert space.objective.metric == "val/loss"
    assert (space.budget.eta, space.budget.rungs) == (2, (1.0, 3.0))


@pytest.mark.parametrize(
    ("path", "value", "told"), [("data.image_siez", 4, "image_size"), ("budget.eta", 1, "eta"), ("objective", "x", "x")]
)
def test_a_wrong_change_is_refused_as_a_wrong_file_is(path: str, value: Value, told: str) -> None:
    text = with_changes(TEXT, {path: value}, name="small.yaml")

    with pytest.raises(SpaceError, match=told):
        parse_space(text, file=Path("small.yaml"))


@pytest.mark.parametrize("text", ["a: [", "- a", "parameters: 3\nbudget: {rungs: [1]}", "a: !!python/name:x 1"])
def test_a_broken_file_is_left_to_whoever_parses_it(text: str) -> None:
    with pytest.raises(SpaceError):
        parse_space(with_changes(text, {"model": "vit"}, name="a.yaml"), file=Path("a.yaml"))


@pytest.mark.parametrize("preset", preset_names())
def test_every_parameter_of_every_preset_can_be_fixed_at_a_value_of_its_own(preset: str) -> None:
    before = load_space(preset)
    for param in before.params:
        value = end_of(param)
        text = with_changes(preset_text(preset), {param.path: value}, name=preset)

        space = parse_space(text, file=Path(f"{preset}.yaml"))

        assert all(item.path != param.path or item.domain.contains(value) for item in space.params), param.name
        assert space != before


def end_of(param: Param) -> Value:
    options = getattr(param.domain, "options", None)
    value: Value = options[0] if options else param.domain.high  # type: ignore[union-attr]
    return value
