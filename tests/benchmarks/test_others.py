"""Other tools are run in environments of their own, once, and their searches are read as ours are."""

import importlib.util
import math
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from benchmarks.recorded import others
from benchmarks.recorded.blend import tamed
from benchmarks.recorded.others import EVERY, PARTS, TOOLS, Tool, traces_of_others
from benchmarks.recorded.replay import Trainings, space_of
from benchmarks.recorded.tasks import Task
from spaces import Float

SCRIPT = """
import json, sys
import numpy as np
tables, strategy, seed, out = sys.argv[1:]
if strategy == "breaks":
    raise ValueError("it broke")
with np.load(tables) as arrays:
    rows = len(arrays["small/units"])
    assert arrays["small/scores"].shape == (rows, 3)
    assert float(arrays["small/budget"]) > 0
    assert int(arrays["small/first_rung"]) == 2
    assert bool(arrays["small/is_continuous"])
with open(out, "w") as file:
    json.dump({"small": {"readings": [[1.0, int(seed), 1, 0.5], [2.0, int(seed), 2, None]], "ends": [0.75]}}, file)
with open(out + ".calls", "a") as file:
    file.write("called")
"""


@pytest.fixture
def task() -> Task:
    units = np.linspace(0, 1, 4)[:, None]
    return Task(
        name="small",
        names=("x",),
        domains=(Float(low=0.0, high=1.0),),
        values=units,
        units=units,
        scores=np.ones((4, 3)),
        tamed=np.ones((4, 3)),
        seconds=np.ones((4, 3)),
        best=1.0,
        middle=0.5,
        is_continuous=True,
    )


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A tool that is this Python with a script of three lines."""
    (tmp_path / "some_tool_runs.py").write_text(SCRIPT)
    monkeypatch.setattr(others, "SCRIPTS", tmp_path)
    monkeypatch.setattr(others, "TOOLS", (Tool("some-tool", (), {"quick": EVERY, "slow": 2, "breaks": EVERY}),))
    monkeypatch.setattr(others, "_environment", lambda tool, out: Path(sys.executable))


def tables() -> ModuleType:
    """What the scripts share, which is no part of a package."""
    path = Path(others.__file__).parent / "foreign" / "tables.py"
    spec = importlib.util.spec_from_file_location("tables", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(task: Task, out: Path, *only: str) -> dict[tuple[str, str], list[others.Trace]]:
    return traces_of_others([task], seeds=4, out=out, processes=2, only=only)


def test_each_strategy_is_run_with_every_seed_that_it_is_allowed(task: Task, tmp_path: Path) -> None:
    found = run(task, tmp_path, "quick", "slow")

    assert {key: len(traces) for key, traces in found.items()} == {("quick", "small"): 4, ("slow", "small"): 2}
    assert [trace.rows[0] for trace in found["quick", "small"]] == [0, 1, 2, 3], "in the order of the seeds"
    assert found["quick", "small"][0].scores[0] == 0.5
    assert math.isnan(found["quick", "small"][0].scores[1])
    assert found["quick", "small"][0].ends == [0.75]


def test_a_search_that_is_done_is_not_run_again(task: Task, tmp_path: Path) -> None:
    run(task, tmp_path, "quick")
    before = sorted(path.stat().st_mtime_ns for path in tmp_path.rglob("*.json"))

    run(task, tmp_path, "quick")

    assert sorted(path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")) == before
    assert len(before) == 4


def test_searches_of_other_curves_are_run(task: Task, tmp_path: Path) -> None:
    run(task, tmp_path, "quick")

    run(replace(task, scores=task.scores / 2), tmp_path, "quick")

    assert len(list(tmp_path.rglob("*.json"))) == 8


def test_a_search_that_fails_is_told_and_not_kept(
    task: Task, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(task, tmp_path, "breaks", "quick")

    told = capsys.readouterr().err
    assert "it broke" in told
    assert "breaks failed with seed 3; that search is left out." in told
    assert list(found) == [("quick", "small")]
    assert len(list(tmp_path.rglob("*.json"))) == 4


def test_a_tool_that_can_not_be_installed_is_left_out(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(others, "_environment", lambda tool, out: None)

    assert run(task, tmp_path, "quick") == {}


def test_another_release_of_a_tool_is_another_search(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(task, tmp_path, "quick")
    monkeypatch.setattr(others, "TOOLS", (Tool("some-tool", ("some-tool==2",), {"quick": EVERY}),))

    run(task, tmp_path, "quick")

    assert len(list(tmp_path.rglob("*.json"))) == 8


@pytest.mark.parametrize("is_continuous", [True, False])
def test_tables_give_the_scripts_what_they_give_ours(task: Task, is_continuous: bool) -> None:
    """Both draw alike from a table: theirs needs NumPy alone."""
    scores = np.arange(12.0).reshape(4, 3)
    task = replace(task, is_continuous=is_continuous, scores=scores, tamed=tamed(scores))
    rows = Trainings(task, space_of(task, (3.0,)))
    table = tables().Table(*(np.asarray(getattr(task, part)) for part in PARTS))

    for drawn in (0.4, 0.4, 0.0, 0.9):
        taken, told = table.take(np.array([drawn]))
        assert float(told[0]) == rows.take({"x": drawn})["x"]
        assert taken == rows.taken[-1]
        assert table.step(taken, 2) == (pytest.approx(1.0), rows.curve(taken)[0][1])
    assert table.is_used_up == rows.is_used_up == (not is_continuous)


def test_the_scripts_of_the_tools_are_there_and_know_their_strategies() -> None:
    for tool in TOOLS:
        script = Path(others.__file__).parent / "foreign" / tool.script.name
        text = script.read_text()
        assert all(f'"{strategy}"' in text for strategy in tool.strategies)
