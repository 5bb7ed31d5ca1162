"""Runs in a process of their own, which may die, and does not outlive the driver."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest
from search_samples import trial_at

from search.tracking.base import DataCard, StudyCard, TrackingError
from search.tracking.process import TrackingProcess
from search.trials import Trial

TRIAL = trial_at(3, {1.0: 0.5, 3.0: 0.6})
DATA = DataCard(name="d", fingerprint="f", num_classes=2, image_shape=(1, 1, 1), num_images={})
CARD = StudyCard(name="study", status="RUNNING", data=DATA)
LEFT_BEHIND = """
import os, sys
from test_tracking_process import Notes, TRIAL
from functools import partial
from pathlib import Path
from search.tracking.process import TrackingProcess
process = TrackingProcess(partial(Notes, Path(sys.argv[1])))
process.open()
print(process.pid, flush=True)
os.kill(os.getpid(), 9)
"""
Open = Callable[[], TrackingProcess]


class UnsendableError(Exception):
    """An error of the kind that can be sent, but not be unpacked."""

    def __init__(self, _one: str, _other: str) -> None:
        super().__init__("of two parts\nand two lines")


class Notes:
    """Runs that write down what they are told, and read it as orders: to raise, to die, to print."""

    def __init__(self, path: Path) -> None:
        if not path.parent.exists():
            raise FileNotFoundError(str(path.parent))
        self.path = path

    def show(self, trial: Trial) -> None:
        self._write(f"show {trial.number} {trial.results[-1].val_accuracy}")

    def needs_files(self, trial: Trial) -> bool:
        return trial.number == TRIAL.number

    def show_files(self, trial: Trial) -> None:
        self._write(f"files {trial.number}")
        if trial.message == "raise":
            raise UnsendableError("one", "other")
        if trial.message == "die":
            os.kill(os.getpid(), signal.SIGKILL)

    def show_study(self, card: StudyCard) -> None:
        self._write(f"study {card.status}")
        print("a library says something")  # noqa: T201

    def addresses(self, number: int | None) -> dict[str, str]:
        return {"study_run": "s"} if number is None else {"study_run": "s", "winner_run": f"run-{number}"}

    def _write(self, line: str) -> None:
        with self.path.open("a") as file:
            file.write(f"{line}\n")


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes"


@pytest.fixture
def process(notes: Path) -> Iterator[TrackingProcess]:
    made = TrackingProcess(partial(Notes, notes))
    yield made
    made.close()


def _is_gone(pid: int) -> bool:
    """Whether a process is no more, or waits for nothing but that its parent hears of it."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def _wait_until_gone(pid: int) -> None:
    until = time.monotonic() + 20
    while not _is_gone(pid):
        assert time.monotonic() < until, "it lives on"
        time.sleep(0.05)


def test_the_runs_are_told_there_what_the_process_is_told_here(
    process: TrackingProcess, notes: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = process.addresses(3)
    process.open()
    opened = process.addresses(3)
    process.show(TRIAL)
    needs = process.needs_files(TRIAL), process.needs_files(trial_at(0, {1.0: 0.5}))
    process.show_files(TRIAL)
    process.show_study(CARD)

    assert notes.read_text().splitlines() == ["show 3 0.6", "files 3", "study RUNNING"]
    assert needs == (True, False)
    assert (before, opened) == ({}, {"study_run": "s"})
    assert process.addresses(3) == {"study_run": "s", "winner_run": "run-3"}
    assert process.addresses(None) == process.addresses(0) == {"study_run": "s"}
    assert capfd.readouterr().out == "", "standard output is the driver's"


def test_what_is_raised_there_is_said_here(process: TrackingProcess, notes: Path) -> None:
    process.open()
    first = process.pid

    with pytest.raises(TrackingError, match=r"^UnsendableError: of two parts$"):
        process.show_files(replace(TRIAL, message="raise"))

    process.open()
    process.show(TRIAL)
    assert process.pid == first, "it goes on"
    assert notes.read_text().splitlines() == ["files 3", "show 3 0.6"]


def test_a_store_that_can_not_be_reached_is_reached_later(tmp_path: Path) -> None:
    process = TrackingProcess(partial(Notes, tmp_path / "folder" / "notes"))
    for _ in range(2):
        with pytest.raises(TrackingError, match=r"^FileNotFoundError: .*folder$"):
            process.open()
    (tmp_path / "folder").mkdir()

    process.open()
    process.show(TRIAL)

    assert (tmp_path / "folder" / "notes").read_text() == "show 3 0.6\n"
    process.close()


def test_another_process_takes_the_place_of_one_that_dies(process: TrackingProcess, notes: Path) -> None:
    process.open()
    process.show(TRIAL)
    first = process.pid
    assert first is not None

    with pytest.raises(TrackingError, match=r"^the process for it has died with exit code -9$"):
        process.show_files(replace(TRIAL, message="die"))
    with pytest.raises(TrackingError, match="has died"):
        process.show(TRIAL)
    process.open()
    process.show(TRIAL)

    assert _is_gone(first)
    assert process.pid != first
    assert notes.read_text().splitlines() == ["show 3 0.6", "files 3", "show 3 0.6"]
    assert process.addresses(3)["winner_run"] == "run-3"


def test_it_ends_with_a_driver_that_is_killed(notes: Path) -> None:
    left = subprocess.run(
        [sys.executable, "-c", LEFT_BEHIND, str(notes)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )

    assert left.returncode == -signal.SIGKILL, left.stderr
    _wait_until_gone(int(left.stdout))


def test_it_is_closed_whatever_it_is_at(process: TrackingProcess) -> None:
    process.open()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)

    process.close()

    assert _is_gone(process.pid)
