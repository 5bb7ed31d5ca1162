"""Baselines: from paths of settings in the file to names of parameters in the study."""

from collections.abc import Callable

import pytest

from spaces import Baseline, SearchSpace
from tests.pipes import sent

Faults = Callable[[str], list[str]]
Parse = Callable[[str], SearchSpace]

SPACE = """
budget: {rungs: [1]}
parameters:
  model:
    choice:
      fastnet: {width: {choice: [0.5, 1.0]}, depth: 2}
      vit: {depth: {int: [2, 8]}}
  optimizer:
    choice:
      sgd:
        lr: {float: [0.01, 2.0], log: true}
        nesterov:
          choice:
            yes: {damping: {float: [0, 1], step: 0.5}}
            no: {}
      adamw: {lr: {float: [1e-4, 1e-2], log: true}}
      lion: {beta: {float: [0.8, 0.9]}}
  flip: {choice: [none, random]}
  size: 3
baselines:
"""


def test_paths_become_the_names_of_the_active_parameters(parse: Parse) -> None:
    space = parse(f"{SPACE}  - {{optimizer.lr: 0.5, optimizer: sgd, model: fastnet, model.width: 1}}")

    assert [dict(baseline) for baseline in space.baselines] == [
        {"model": "fastnet", "model.fastnet.width": 1.0, "optimizer": "sgd", "optimizer.sgd.lr": 0.5}
    ]
    assert type(space.baselines[0]["model.fastnet.width"]) is float


def test_baselines_keep_their_order(parse: Parse) -> None:
    space = parse(f"{SPACE}  - {{flip: random}}\n  - {{flip: none}}")

    assert space.baselines == ({"flip": "random"}, {"flip": "none"})


def test_a_baseline_may_repeat_a_constant(parse: Parse) -> None:
    space = parse(f"{SPACE}  - {{size: 3, model: fastnet, model.depth: 2}}")

    assert dict(space.baselines[0]) == {"model": "fastnet"}


BASELINE_FAULTS = [
    (
        "{model.widht: 1.0, model: fastnet}",
        "model.widht: this space has no such setting. Did you mean 'model.width'?",
    ),
    ("{zzz: 1}", "zzz: this space has no such setting."),
    (
        "{optimizer: sdg, optimizer.lr: 3}",
        "optimizer: must be one of sgd | adamw | lion, got 'sdg'. Did you mean 'sgd'?",
    ),
    (
        "{optimizer: sgd, optimizer.lr: 5}",
        "optimizer.lr: must be a number in 0.01 … 2 (log), got 5.",
    ),
    (
        "{optimizer: sgd, optimizer.lr: fast}",
        "optimizer.lr: must be a number in 0.01 … 2 (log), got 'fast'.",
    ),
    (
        "{optimizer: sgd, optimizer.lr: true}",
        "optimizer.lr: must be a number in 0.01 … 2 (log), got true.",
    ),
    (
        "{optimizer: sgd, optimizer.nesterov: yes, optimizer.nesterov.damping: 0.3}",
        "optimizer.nesterov.damping: must be a number in 0 … 1 (step 0.5), got 0.3.",
    ),
    ("{model: vit, model.depth: 2.0}", "model.depth: must be a whole number in 2 … 8, got 2.0."),
    ("{model: vit, model.depth: 9}", "model.depth: must be a whole number in 2 … 8, got 9."),
    (
        "{optimizer: lion, optimizer.lr: 0.1}",
        "optimizer.lr: belongs to `optimizer: sgd` or `optimizer: adamw`, and this baseline has `optimizer: lion`.",
    ),
    (
        "{optimizer.lr: 0.1}",
        "optimizer.lr: belongs to `optimizer: sgd` or `optimizer: adamw`: add `optimizer: sgd` to this baseline.",
    ),
    (
        "{optimizer: sgd, optimizer.nesterov.damping: 0.5}",
        "optimizer.nesterov.damping: belongs to `optimizer.nesterov: yes`: "
        "add `optimizer.nesterov: yes` to this baseline.",
    ),
    (
        "{optimizer: sgd, optimizer.nesterov: no, optimizer.nesterov.damping: 0.5}",
        "optimizer.nesterov.damping: belongs to `optimizer.nesterov: yes`, "
        "and this baseline has `optimizer.nesterov: no`.",
    ),
    ("{size: 4}", "size: is fixed at 3 in this space, got 4: leave it out."),
    ("{size: true}", "size: is fixed at 3 in this space, got true: leave it out."),
    ("{model: fastnet, model.depth: 4}", "model.depth: is fixed at 2 in this space, got 4: leave it out."),
    (
        "{model.depth: 2}",
        "model.depth: belongs to `model: vit` or `model: fastnet`: add `model: vit` to this baseline.",
    ),
]


@pytest.mark.parametrize(("entry", "message"), BASELINE_FAULTS, ids=[entry for entry, _ in BASELINE_FAULTS])
def test_a_baseline_that_the_space_cannot_draw_is_refused(entry: str, message: str, faults: Faults) -> None:
    assert faults(f"{SPACE}  - {entry}") == [f"my.yaml:21: baselines.0.{message}"]


def test_a_fault_is_placed_at_the_line_of_its_setting(faults: Faults) -> None:
    found = faults(f"{SPACE}  - flip: none\n  - model: vit\n    model.depth: 1")

    assert found == ["my.yaml:23: baselines.1.model.depth: must be a whole number in 2 … 8, got 1."]


def test_the_same_baseline_twice_is_refused(faults: Faults) -> None:
    found = faults(f"{SPACE}  - {{flip: none, model: vit}}\n  - {{model: vit, flip: none}}")

    assert found == ["my.yaml:22: baselines.1: is the same as the baseline on line 21: leave one out."]


def test_a_baseline_is_a_mapping_that_can_be_a_key() -> None:
    baseline = Baseline((("a", 1), ("b", 2)))

    assert baseline == {"b": 2, "a": 1}
    assert {baseline, Baseline((("b", 2), ("a", 1)))} == {baseline}
    assert sent(baseline) == baseline
    with pytest.raises(KeyError, match="c"):
        baseline["c"]
