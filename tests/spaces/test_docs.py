"""docs/spaces.md: every example in it loads, every message in it is the one a user gets."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from spaces import BudgetSpec, SearchSpace, load_space, preset_names

PAGE = (Path(__file__).parents[2] / "docs" / "spaces.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
*EXAMPLES, FAULTY = BLOCKS
(ANSWER,) = re.findall(r"```text\n(.*?)```", PAGE, flags=re.DOTALL)

Parse = Callable[[str], SearchSpace]
Text = Callable[[str], str]


@pytest.fixture
def examples(parse: Parse, parameters: Text) -> list[SearchSpace]:
    """The examples; one that is no whole space is what stands under `parameters`."""
    return [parse(block if "budget:" in block else parameters(block)) for block in EXAMPLES]


def test_every_example_loads(examples: list[SearchSpace]) -> None:
    assert [len(space.params) for space in examples] == [9, 4, 5, 2]


def test_the_table_of_names_is_that_of_its_example(examples: list[SearchSpace]) -> None:
    rows = re.findall(r"^\| `(optimizer[\w.]*)` \| `(optimizer[\w.]*)` \|", PAGE, flags=re.MULTILINE)

    assert rows == [(param.name, param.path) for param in examples[2].params]


def test_the_faulty_file_is_answered_as_the_page_says(faults: Callable[[str], list[str]]) -> None:
    assert faults(FAULTY) == ANSWER.splitlines()


@pytest.mark.parametrize("name", preset_names())
def test_the_table_of_presets_is_true(name: str) -> None:
    space = load_space(name)
    (row,) = re.findall(rf"^\| `{name}` \|(.*)\|$", PAGE, flags=re.MULTILINE)
    _, models, optimizers, rungs, trials = (cell.strip() for cell in row.split("|"))

    options = {param.name: str(param.domain) for param in space.params}
    assert models == options["model"].replace(" | ", ", ")
    assert optimizers == options.get("optimizer", "").replace(" | ", ", ")
    assert space.budget == BudgetSpec(rungs=tuple(float(rung) for rung in rungs.split(",")), trials=int(trials))
