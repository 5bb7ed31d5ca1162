"""Jobs on a Ray cluster of several nodes, whose workers and nodes are killed for real. Numbers as in docs/faults.md."""

import errno
import os
import shutil
import signal
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search.executors import Event, Gone
from search.executors.parcels import Depot, own_folder
from tests.faults.cluster import LONG, order, pids, wait_for
from trainer.config import job_config
from trainer.data import DataSet
from trainer.jobfiles import CHECKPOINT, PREDICTIONS, WEIGHTS
from trainer.orders import TrainOrder
from trainer.results import EpochResult, Failed, Reached, Started, StepResult, Stopped

pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore")]


def kinds(heard: list[Event]) -> list[str]:
    return [type(event.what).__name__ for event in heard if not isinstance(event.what, StepResult)]


def test_jobs_run_where_there_is_room(connect: Any, digits: DataSet, tmp_path: Path) -> None:
    executor, heard = connect(), []
    assert (executor.num_slots, executor.free_slots) == (2, 2)

    executor.start(7, order(digits, tmp_path / "job"))
    assert executor.free_slots == 1
    wait_for(executor, Gone, heard)

    assert kinds(heard) == ["Started", "EpochResult", "EpochResult", "Reached", "Gone"]
    assert heard[-1].what == Gone(0)
    assert {path.name for path in (tmp_path / "job").iterdir()} >= {CHECKPOINT, PREDICTIONS, WEIGHTS}
    assert not (tmp_path / "job" / ".place").exists()
    assert executor.free_slots == 2


def test_where_directories_are_not_shared_files_come_back_and_go_out_again(
    connect: Any, digits: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.executors.ray_cluster.PLACE", ".elsewhere")  # so that no node finds its mark
    executor, heard = connect(), []

    executor.start(0, order(digits, tmp_path / "job", until=2.0))
    wait_for(executor, Gone, heard)
    assert {path.name for path in (tmp_path / "job").iterdir()} >= {CHECKPOINT, PREDICTIONS, WEIGHTS}
    again: list[Event] = []
    executor.start(0, order(digits, tmp_path / "job", until=4.0))
    wait_for(executor, Gone, again)

    started = next(event.what for event in again if isinstance(event.what, Started))
    assert started.epoch == 2.0, "it went on from its checkpoint"
    assert [event.what.epoch for event in again if isinstance(event.what, EpochResult)] == [1.0, 2.0, 3.0, 4.0]


def test_a_data_set_that_no_node_sees_is_brought_to_it(
    connect: Any, digits: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, hidden = digits.root, tmp_path / f"hidden-{uuid.uuid4().hex}"

    class Elsewhere(Depot):  # on a machine where what is hidden here can be seen
        def files(self, folder: str) -> list[tuple[str, int]]:
            return super().files(folder.replace(str(hidden), str(seen)))

        def read(self, folder: str, name: str, start: int) -> bytes:
            return super().read(folder.replace(str(hidden), str(seen)), name, start)

    monkeypatch.setattr("search.executors.ray_cluster.Depot", Elsewhere)
    executor, heard = connect(), []

    executor.start(0, replace(order(digits, tmp_path / "job"), data_root=hidden))
    wait_for(executor, Gone, heard)

    brought = own_folder() / hidden.name
    assert "Reached" in kinds(heard)
    assert {path.name for path in brought.iterdir()} == {path.name for path in seen.iterdir() if path.is_file()}
    shutil.rmtree(brought)


def test_a_full_disk_of_the_driver_fails_the_trial_and_ends_its_job(
    connect: Any, digits: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("search.executors.ray_cluster.PLACE", ".elsewhere")
    monkeypatch.setattr("search.executors.ray_cluster.receive", refuse)
    executor, heard = connect(), []

    executor.start(0, order(digits, tmp_path / "job", until=LONG, epochs=LONG))
    failed = wait_for(executor, Failed, heard)
    wait_for(executor, Gone, heard)

    assert (failed.reason, "No space left" in failed.message) == ("disk_full", True)
    assert executor.free_slots == 2


def test_a_directory_may_be_relative(
    connect: Any, digits: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    executor, heard = connect(), []

    executor.start(0, order(digits, Path("job"), until=2.0))
    wait_for(executor, Gone, heard)
    again: list[Event] = []
    executor.start(0, order(digits, Path("job"), until=4.0))
    wait_for(executor, Gone, again)

    assert next(event.what.epoch for event in again if isinstance(event.what, Started)) == 2.0
    assert not list(tmp_path.glob("job/.place"))


def test_a_job_that_is_stopped_leaves_a_checkpoint(connect: Any, digits: DataSet, tmp_path: Path) -> None:
    executor, heard = connect(), []
    executor.start(0, order(digits, tmp_path / "job", until=LONG, epochs=LONG))
    wait_for(executor, EpochResult, heard)

    executor.stop(0)
    wait_for(executor, Gone, heard)

    stopped = next(event.what for event in heard if isinstance(event.what, Stopped))
    assert 0 < stopped.epoch < LONG
    assert (tmp_path / "job" / CHECKPOINT).exists()


def test_f28_a_killed_worker_is_one_attempt(connect: Any, digits: DataSet, tmp_path: Path) -> None:
    executor, heard = connect(), []
    executor.start(0, order(digits, tmp_path / "job", until=LONG, epochs=LONG))
    started = wait_for(executor, Started, heard)

    os.kill(started.pid, signal.SIGKILL)
    gone = wait_for(executor, Gone, heard)

    assert gone == Gone(-signal.SIGKILL)
    time.sleep(3)
    heard += executor.events(timeout_seconds=0.1)
    assert kinds(heard).count("Started") == 1, "Ray did not try again"
    assert executor.free_slots == 2


def test_f27_a_node_that_is_lost_says_nothing_against_its_job(
    connect: Any, nodes: Any, digits: DataSet, tmp_path: Path
) -> None:
    executor, heard = connect(), []
    executor.start(0, order(digits, tmp_path / "job", until=LONG, epochs=LONG))
    started = wait_for(executor, Started, heard)
    mine = [node for node in nodes.worker_nodes if started.pid in pids(node)]

    nodes.remove_node(mine[0], allow_graceful=False)
    gone = wait_for(executor, Gone, heard)

    assert gone.is_innocent
    again: list[Event] = []
    executor.start(0, order(digits, tmp_path / "job", until=2.0, epochs=4.0))
    wait_for(executor, Reached, again)


@pytest.mark.thorough
def test_f30_two_jobs_share_a_gpu_and_a_third_waits(connect: Any, digits: DataSet, tmp_path: Path) -> None:
    executor = connect(cpus_per_trial=0.25, gpus_per_trial=0.5)
    assert executor.num_slots == 4
    heard: list[Event] = []
    for number in range(4):
        executor.start(number, order(digits, tmp_path / str(number), until=LONG, epochs=LONG))
    assert executor.free_slots == 0, "a fifth has to wait"
    pids = [wait_for(executor, Started, heard, number=number).pid for number in range(4)]

    for pid in set(pids):
        os.kill(pid, signal.SIGKILL)
    for number in range(4):
        wait_for(executor, Gone, heard, number=number)

    assert executor.free_slots == 4, "what the dead had is free again"
    executor.start(9, order(digits, tmp_path / "9"))
    wait_for(executor, Reached, heard, number=9)


def test_a_job_that_fails_says_why(connect: Any, digits: DataSet, tmp_path: Path) -> None:
    executor, heard = connect(), []
    config = job_config({"data": "another"})

    executor.start(0, TrainOrder(config=config, data_root=digits.root, directory=tmp_path / "job", until=1.0))
    wait_for(executor, Gone, heard)

    failed = heard[0].what
    assert isinstance(failed, Failed)
    assert failed.reason == "bad_data"
