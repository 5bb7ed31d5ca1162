"""Event files through the real command, read back as TensorBoard reads them."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from search.book import step_of
from search.store import Store
from search.trials import Trial
from tests.books import assert_books_agree
from tests.command import Desk, make_desk

pytestmark = [pytest.mark.slow, pytest.mark.thorough, pytest.mark.timeout(600)]

JOB = ("train", "--space", "tiny.yaml", "--set", "training.epochs=2", "--set", "model.width=4", "--study", "one")
SEARCH = ("search", "--space", "tiny.yaml", "--trials", "3", "--workers", "1")


def assert_board_agrees(root: Path, trials: list[Trial]) -> None:
    """Check that each metric of each trial is shown once at each step, and a picture of its last rung."""
    assert {path.name for path in root.iterdir() if path.is_dir()} == {str(trial.number) for trial in trials}
    for trial in trials:
        assert len(list((root / str(trial.number)).glob("*tfevents*"))) == 1
        board = EventAccumulator(str(root / str(trial.number)), size_guidance={"scalars": 0, "images": 0}).Reload()
        for name in trial.results[-1].metrics():
            shown = [(event.step, event.value) for event in board.Scalars(name)]
            known = [(step_of(one.epoch), float(np.float32(one.metrics()[name]))) for one in trial.results]
            assert shown == known, f"{name} of trial {trial.number}"
        assert board.Images("confusion_matrix")[-1].step == step_of(trial.reached[-1])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Desk:
    """A desk on which one job has run."""
    desk = make_desk(tmp_path_factory.mktemp("trained"), template=template)
    done = desk.run(*JOB, "--tensorboard", "board")
    assert done.returncode == 0, done.stderr
    (desk.root / "printed.txt").write_text(done.stdout)
    return desk


def test_a_job_leaves_event_files_that_show_what_its_log_tells(trained: Desk) -> None:
    assert_board_agrees(trained.root / "board" / "one", Store(trained.store).trials("one"))


def test_it_says_how_training_went_and_how_the_curves_are_seen(trained: Desk) -> None:
    printed = (trained.root / "printed.txt").read_text()

    assert "Too early: 2 results" in printed
    assert "tensorboard --logdir board" in printed


def test_a_resumed_study_remembers_its_event_files_and_writes_nothing_twice(trained: Desk) -> None:
    (path,) = (trained.root / "board" / "one" / "0").iterdir()
    before = path.read_bytes()

    done = trained.run("resume", "one")

    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == before


def test_another_study_of_the_name_leaves_them_alone(trained: Desk) -> None:
    done = trained.run(*JOB, "--tensorboard", "board", "--store", "other")

    assert done.returncode == 2, done.stderr
    assert "event files of another study" in done.stderr


def test_a_killed_search_goes_on_with_nothing_missing_and_nothing_doubled(slow_desk: Desk) -> None:
    root = slow_desk.root / "board" / "tiny"
    with slow_desk.started(*SEARCH, "--tensorboard", "board") as running:
        running.wait_for("epoch", trial=1)
        _wait_for(root / "0")
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait(10)
    (torn,) = (root / "0").iterdir()
    torn.write_bytes(torn.read_bytes()[:-5])

    resumed = slow_desk.run("resume", "tiny", "--workers", "1")

    assert resumed.returncode == 0, resumed.stderr
    assert_board_agrees(root, assert_books_agree(slow_desk.store, "tiny", num_trials=3))


def _wait_for(path: Path) -> None:
    until = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < until, f"there is no {path}"
        time.sleep(0.05)
