"""What a user reads who got something in a space file wrong: place, finding, what is allowed."""

from collections.abc import Callable

import pytest

Faults = Callable[[str], list[str]]

TO_SEARCH = "To search over it, write {choice: [...]}, {float: [low, high]} or {int: [low, high]}."

PARAMETER_FAULTS = [  # what stands under `parameters`, from line 3; the one fault
    (
        "lr: {float: [2, 0.01]}",
        "3: parameters.lr: float: [2, 0.01] is empty: the low bound must be below the high bound.",
    ),
    ("lr: {float: [1, 1]}", "3: parameters.lr: float: [1, 1] holds one value: write 1 as a constant."),
    (
        "lr: {float: [.nan, 1]}",
        "3: parameters.lr: float: [nan, 1] must have finite bounds: write two numbers.",
    ),
    (
        "lr: {float: [-.inf, 1]}",
        "3: parameters.lr: float: [-inf, 1] must have finite bounds: write two numbers.",
    ),
    (
        "lr: {float: [0, 1], log: true}",
        "3: parameters.lr: float: [0, 1] must have a low bound above 0 with `log: true`, got 0.",
    ),
    (
        "lr: {float: [0.1, 1], log: true, step: 0.1}",
        "3: parameters.lr: float: [0.1, 1] takes `log: true` or `step`, not both: leave one out.",
    ),
    (
        "lr: {float: [0, 1], step: 2}",
        "3: parameters.lr: float: [0, 1] is narrower than its `step` 2: at most 1 fits.",
    ),
    ("lr: {float: [0, 1], step: 0}", "3: parameters.lr: float: [0, 1] needs a finite `step` above 0, got 0."),
    ("lr: {float: [0, x]}", "3: parameters.lr.float.1: must be a number, got 'x'."),
    (
        "lr: {float: [0]}",
        "3: parameters.lr.float: has too few entries (at least 2), got [0]. Write, for example, `float: [0.1, 0.9]`.",
    ),
    (
        "lr: {float: [0, 1, 2]}",
        "3: parameters.lr.float: has too many entries (at most 2), got [0, 1, 2]. "
        "Write, for example, `float: [0.1, 0.9]`.",
    ),
    (
        "lr: {float: 3}",
        "3: parameters.lr.float: must be a list, got 3. Write, for example, `float: [0.1, 0.9]`.",
    ),
    ("lr: {float: [0, 1], log: 1}", "3: parameters.lr.log: must be true or false, got 1."),
    ("lr: {float: [0, 1], log: yes}", "3: parameters.lr.log: must be true or false, got 'yes'."),
    (
        "lr: {float: [0, 1], stp: 1}",
        "3: parameters.lr.stp: there is no such key here. Did you mean 'step'? "
        "Known: confidence, float, log, prior, step.",
    ),
    (
        "n: {int: [4, 0]}",
        "3: parameters.n: int: [4, 0] is empty: the low bound must be below the high bound.",
    ),
    ("n: {int: [0.5, 4]}", "3: parameters.n.int.0: must be a whole number, got 0.5."),
    ("n: {int: [true, 4]}", "3: parameters.n.int.0: must be a whole number, got true."),
    (
        "n: {int: [1, 9], log: true, step: 2}",
        "3: parameters.n: int: [1, 9] takes `log: true` or `step`, not both: leave one out.",
    ),
    ("n: {int: [0, 4], step: 0}", "3: parameters.n: int: [0, 4] needs a `step` of at least 1, got 0."),
    (
        "n: {int: [0, 4], step: 9}",
        "3: parameters.n: int: [0, 4] is narrower than its `step` 9: at most 4 fits.",
    ),
    ("f: {choice: []}", "3: parameters.f: choice: is empty: it must hold at least one option."),
    ("f: {choice: {}}", "3: parameters.f: choice: is empty: it must hold at least one option."),
    ("f: {choice: [a, b, a]}", "3: parameters.f: choice: 'a' is there twice: leave one out."),
    ("f: {choice: [1, 1.0]}", "3: parameters.f: choice: 1.0 is there twice: leave one out."),
    ("f: {choice: [a, .nan]}", "3: parameters.f.choice.1: must be a finite number, got nan."),
    ("f: {choice: [a, [b]]}", "3: parameters.f.choice.1: must be text, a number, true or false, got ['b']."),
    (
        "f: {choice: 3}",
        "3: parameters.f.choice: must be a list of options, or a mapping from options to their settings, "
        "got 3. "
        "Write, for example, `choice: [a, b]`.",
    ),
    (
        "f:\n  choice:\n    a: {}\n    b:",
        "6: parameters.f.choice.b: must be a mapping, got nothing. An option without settings of its own has {}.",
    ),
    (
        "f: {choice: [a], int: [1, 2]}",
        "3: parameters.f: must have exactly one of `float`, `int` and `choice`, got {'choice': ['a'], 'int': [1, 2]}.",
    ),
    ("lr: [0.1, 1]", f"3: parameters.lr: a list is not a setting, got [0.1, 1]. {TO_SEARCH}"),
    (
        "lr: {choices: [0.1, 1]}",
        f"3: parameters.lr.choices: a list is not a setting, got [0.1, 1]. {TO_SEARCH} Did you mean 'choice'?",
    ),
    ("lr:", "3: parameters.lr: has no value. Write one, or {} for an option without parameters of its own."),
    ("lr: .inf", "3: parameters.lr: must be a finite number, got inf."),
    (
        "a b: 3",
        "3: parameters.a b: the key must be made of letters, digits, `_`, `-` and single dots between them, got 'a b'.",
    ),
    (
        "a..b: 3",
        "3: parameters.a..b: the key must be made of letters, digits, `_`, `-` and single dots between them, "
        "got 'a..b'.",
    ),
    ("5: 3", "3: parameters.5: the key must be text, got 5."),
    (
        "float: 3",
        "3: parameters.float: `float` tells what values a setting has: put the name of the setting above it.",
    ),
    ("lr: 0.1", "2: parameters: there is nothing to search: give a setting a range."),
]


@pytest.mark.parametrize(("text", "message"), PARAMETER_FAULTS, ids=[text for text, _ in PARAMETER_FAULTS])
def test_a_parameter_with_a_fault_is_refused(
    text: str, message: str, parameters: Callable[[str], str], faults: Faults
) -> None:
    assert faults(parameters(text)) == [f"my.yaml:{message}"]


HEAD_FAULTS = [  # what stands above `parameters`; the one fault
    (
        "bugdet: {rungs: [1]}\nbudget: {rungs: [1]}",
        "1: bugdet: there is no such key here. Did you mean 'budget'? "
        "Known: about, baselines, budget, constraints, data, name, objective, parameters.",
    ),
    ("about: hi", "1: budget: is missing. Write, for example, `budget: {rungs: [1, 3, 9]}`."),
    ("budget: 3", "1: budget: must be a mapping, got 3. Write, for example, `budget: {rungs: [1, 3, 9]}`."),
    ("budget:\n  eta: 3", "1: budget.rungs: is missing. Write, for example, `rungs: [1, 3, 9]`."),
    (
        "budget: {rungs: []}",
        "1: budget.rungs: has too few entries (at least 1), got []. Write, for example, `rungs: [1, 3, 9]`.",
    ),
    ("budget: {rungs: 3}", "1: budget.rungs: must be a list, got 3. Write, for example, `rungs: [1, 3, 9]`."),
    ("budget:\n  rungs:\n    - 1\n    - 0", "4: budget.rungs.1: must be above 0, got 0."),
    ("budget: {rungs: [-1, 2]}", "1: budget.rungs.0: must be above 0, got -1."),
    ("budget: {rungs: [.nan, 2]}", "1: budget.rungs.0: must be a finite number, got nan."),
    ("budget: {rungs: [1, .inf]}", "1: budget.rungs.1: must be a finite number, got inf."),
    ("budget: {rungs: [1, a]}", "1: budget.rungs.1: must be a number, got 'a'."),
    ("budget: {rungs: [3, 1]}", "1: budget.rungs: must increase from each rung to the next, got [3, 1]."),
    ("budget: {rungs: [1, 1]}", "1: budget.rungs: must increase from each rung to the next, got [1, 1]."),
    ("budget: {rungs: [1], eta: 1}", "1: budget.eta: must be at least 2, got 1."),
    ("budget: {rungs: [1], eta: 2.5}", "1: budget.eta: must be a whole number, got 2.5."),
    ("budget: {rungs: [1], trials: 0}", "1: budget.trials: must be at least 1, got 0."),
    ("budget: {rungs: [1], trials: -3}", "1: budget.trials: must be at least 1, got -3."),
    ("budget: {rungs: [1], trials: ten}", "1: budget.trials: must be a whole number, got 'ten'."),
    (
        "budget: {rungs: [1], trials: 99999999999999999999}",
        "1: budget.trials: must be a whole number, got 1e+20.",
    ),
    (
        "budget: {rungs: [1]}\nobjective: val/acuracy",
        "2: objective: must be one of val/accuracy, val/top5_accuracy, val/balanced_accuracy, val/f1_macro, val/loss, "
        "got 'val/acuracy'. "
        "Did you mean 'val/accuracy'?",
    ),
    (
        "budget: {rungs: [1]}\nobjective: [val/loss]",
        "2: objective: must be the name of a metric, or a mapping with `metric`, got ['val/loss'].",
    ),
    (
        "budget: {rungs: [1]}\nobjective:\n  metric: val/loss\n  direction: maximize",
        "4: objective.direction: must be minimize for val/loss, got 'maximize': leave it out.",
    ),
    (
        "budget: {rungs: [1]}\nobjective: {direction: minimize}",
        "2: objective.direction: must be maximize for val/accuracy, got 'minimize': leave it out.",
    ),
    (
        "budget: {rungs: [1]}\nobjective: {direction: minimise}",
        "2: objective.direction: must be one of maximize, minimize, got 'minimise'. Did you mean 'minimize'?",
    ),
    ("budget: {rungs: [1]}\ndata: ''", "2: data: must not be empty, got ''."),
    (
        "budget: {rungs: [1]}\ndata:",
        "2: data: must be the name of a data set, a folder, or a mapping with `source`, got nothing.",
    ),
    ("budget: {rungs: [1]}\ndata: {source: 3}", "2: data.source: must be text, got 3."),
    ("budget: {rungs: [1]}\ndata: {image_size: 0}", "2: data.image_size: must be at least 1, got 0."),
    ("budget: {rungs: [1]}\ndata: {image_size: 5000}", "2: data.image_size: must be at most 4096, got 5000."),
    ("budget: {rungs: [1]}\ndata: {val_fraction: 0}", "2: data.val_fraction: must be above 0, got 0."),
    ("budget: {rungs: [1]}\ndata: {test_fraction: 1}", "2: data.test_fraction: must be below 1, got 1."),
    (
        "budget: {rungs: [1]}\ndata: {val_fraction: 0.5, test_fraction: 0.5}",
        "2: data: `val_fraction` and `test_fraction` must sum to less than 1, got 0.5 and 0.5.",
    ),
    ("budget: {rungs: [1]}\nabout: 3", "2: about: must be text, got 3."),
    (
        "budget: {rungs: [1]}\nbaselines: {lr: 1}",
        "2: baselines: must be a list, got {'lr': 1}. Write, for example, `baselines: [{optimizer.lr: 0.1}]`.",
    ),
    ("budget: {rungs: [1]}\nbaselines: [3]", "2: baselines.0: must be a mapping, got 3."),
    ("budget: {rungs: [1]}\nbaselines: [{}]", "2: baselines.0: has too few entries (at least 1), got {}."),
    ("budget: {rungs: [1]}\nbaselines: [{5: 3}]", "2: baselines.0.5: the key must be text, got 5."),
    (
        "budget: {rungs: [1]}\nbaselines: [{x: [3]}]",
        "2: baselines.0.x: must be text, a number, true or false, got [3].",
    ),
]


@pytest.mark.parametrize(("text", "message"), HEAD_FAULTS, ids=[text for text, _ in HEAD_FAULTS])
def test_a_heading_with_a_fault_is_refused(text: str, message: str, faults: Faults) -> None:
    assert faults(f"{text}\nparameters: {{x: {{int: [0, 1]}}}}") == [f"my.yaml:{message}"]


def test_missing_parameters_are_shown_how_to_write(faults: Faults) -> None:
    assert faults("budget: {rungs: [1]}") == [
        "my.yaml:1: parameters: is missing. "
        "Write, for example, `parameters: {optimizer.lr: {float: [0.01, 1.0], log: true}}`."
    ]


@pytest.mark.parametrize("name", ["a/b", "..", "a..b", ".hidden", '"quoted"', "it's", "with space", "é", "a\n", ""])
def test_a_name_that_no_study_could_bear_is_refused(name: str, faults: Callable[..., list[str]]) -> None:
    found = faults({"name": name, "budget": {"rungs": [1]}, "parameters": {"x": {"int": [0, 1]}}})

    allowed = "must be made of letters, digits, `_`, `-` and single dots between them"
    assert found == [f"my.yaml:1: name: {allowed}, got {name!r}."]


def test_a_long_name_is_refused_in_a_short_message(faults: Faults) -> None:
    (message,) = faults(f"name: {'a' * 1000}\nbudget: {{rungs: [1]}}\nparameters: {{x: {{int: [0, 1]}}}}")

    assert message.startswith("my.yaml:1: name: must have at most 64 characters, got 'aaa")
    assert len(message) < 200


def test_all_faults_of_a_file_are_told_together_in_the_order_of_its_lines(faults: Faults) -> None:
    found = faults(
        """
name: a/b
objective: val/acc
budget: {rungs: [3, 1], eta: 1}
parameters:
  lr: {float: [2, 1]}
  flip: {choice: []}
  flip: none
baselines:
  - [lr]
"""
    )

    places = [":".join(message.split(":")[1:3]) for message in found]
    assert places == [
        "2: name",
        "3: objective",
        "4: budget.eta",
        "4: budget.rungs",
        "6: parameters.lr",
        "7: parameters.flip",
        "8: parameters.flip",
        "10: baselines.0",
    ]


def test_conflicts_and_baselines_are_told_beside_faults_of_the_heading(faults: Faults) -> None:
    found = faults(
        """
budget: {rungs: [3, 1]}
parameters:
  a.b: {int: [0, 1]}
  a: {b: 3}
  c: {int: [0, 4]}
baselines:
  - {c: 9}
"""
    )

    assert [message.split(" ")[1] for message in found] == [
        "budget.rungs:",
        "parameters.a.b:",
        "baselines.0.c:",
    ]


def test_a_fault_of_a_multi_line_parameter_is_placed_at_its_name(
    parameters: Callable[[str], str], faults: Faults
) -> None:
    text = "optimizer:\n  choice:\n    sgd:\n      lr:\n        float:\n          - 2\n          - 1\n"

    (message,) = faults(parameters(text))

    assert message.startswith("my.yaml:6: parameters.optimizer.choice.sgd.lr: float: [2, 1] is empty")


def test_a_key_that_would_break_the_line_is_quoted(parameters: Callable[[str], str], faults: Faults) -> None:
    (message,) = faults(parameters('"a\\nb": 3'))

    assert message.startswith(r"my.yaml:3: parameters.'a\nb': the key must be made of letters")
