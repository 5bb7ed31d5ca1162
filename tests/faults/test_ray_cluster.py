"""Jobs on a Ray cluster of several nodes, whose workers and nodes are killed for real. Numbers as in docs/faults.md."""

import errno
import os
import shutil
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from search.errors import StudyError
from search.executors import Cluster, Event, Gone
from search.executors.parcels import Depot, own_folder
from search.interruptions import interruptions
from tests.faults.cluster import pids
from trainer.config import JobConfig, job_config
from trainer.data import DataSet, prepare
from trainer.jobfiles import CHECKPOINT, PREDICTIONS, WEIGHTS
from trainer.orders import TrainOrder
from trainer.results import EpochResult, Failed, Reached, Started, StepResult, Stopped

pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore")]

SECONDS = 90.0
LONG = 400.0  # epochs of the digits: a minute or more


@pytest.fixture
def connect(nodes: Any) -> "Iterator[Callable[..., Any]]":
    made: list[Any] = []

    def make(**options: float) -> Any:
        from search.executors.ray_cluster import RayExecutor

        made.append(RayExecutor(Cluster(address=nodes.address, **options)))
        return made[-1]

    yield make
    for executor in made:
        executor.close()
        until = time.monotonic() + SECONDS
        while executor.free_slots < executor.num_slots and time.monotonic() < until:
            executor.events(timeout_seconds=0.1)


@pytest.fixture
def digits(tmp_path: Path) -> DataSet:
    return prepare(
        "digits", cache=tmp_path / "cache", data_dir=tmp_path, val_fraction=0.2, test_fraction=0.2, seed=0,
        image_size=None,
    )  # fmt: skip


def job(data: DataSet, epochs: float = 4.0) -> JobConfig:
    return job_config(
        {
            "data": data.fingerprint,
            "model": "lenet5",
            "optimizer": "adamw",
            "optimizer.lr": 0.001,
            "training.epochs": epochs,
            "training.batch_size": 64,
            "runtime.micro_batch": 64,
            "runtime.precision": "float32",
        }
    )


def order(data: DataSet, directory: Path, *, until: float = 2.0, epochs: float = 4.0) -> TrainOrder:
    return TrainOrder(config=job(data, epochs), data_root=data.root, directory=directory, until=until)


def wait_for(executor: Any, kind: type, heard: list[Event], *, number: int | None = None) -> Any:
    """Take events until there is one of a kind; return what it is."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        heard += executor.events(timeout_seconds=0.2)
        for event in heard:
            if isinstance(event.what, kind) and number in (None, event.job):
                return event.what
    raise AssertionError(f"no {kind.__name__} in {heard}")


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


def test_a_signal_that_asks_for_an_end_is_ours_to_answer(connect: Any) -> None:
    """Ray would end the process at once, without checkpoints."""
    with interruptions() as interruption:
        connect()

        assert signal.getsignal(signal.SIGTERM) is interruption


def test_what_a_dead_node_has_to_say_stays_out_of_our_output(connect: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from ray._private.worker import print_to_stdstream

    connect()
    print_to_stdstream({"lines": ["Raylet is terminated."], "pid": "raylet", "is_err": False}, ignore_prefix=False)

    assert capsys.readouterr().out == "", "standard output is for the search, with --json for lines of JSON alone"


def test_when_there_are_no_nodes_any_more_that_is_told_in_the_end(
    connect: Any, nodes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.executors.ray_cluster.ROOMLESS_SECONDS", 5.0)
    executor = connect()

    for node in list(nodes.worker_nodes):
        nodes.remove_node(node, allow_graceful=False)

    def wait() -> None:
        for _ in range(int(SECONDS)):
            executor.events(timeout_seconds=1.0)

    with pytest.raises(StudyError, match=r"No node .* has had room"):
        wait()


def test_a_job_that_is_begun_as_the_head_dies_is_not_waited_for(
    connect: Any, digits: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor, dead = connect(), threading.Event()
    monkeypatch.setattr(executor, "_task", SimpleNamespace(remote=lambda *_: dead.wait(SECONDS)))
    threading.Timer(1.0, executor._has_lost_head.set).start()

    began = time.monotonic()
    with pytest.raises(StudyError, match=r"The head of the Ray cluster does not answer"):
        executor.start(0, order(digits, tmp_path / "job"))

    assert time.monotonic() - began < 10
    dead.set()


def test_a_head_that_hangs_is_told_in_the_end(connect: Any, nodes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.executors.ray_cluster.HUNG_SECONDS", 4.0)
    executor = connect()
    (head,) = nodes.head_node.all_processes["gcs_server"]

    def wait() -> None:
        for _ in range(int(SECONDS)):
            executor.events(timeout_seconds=1.0)

    os.kill(head.process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(StudyError, match=r"The head of the Ray cluster does not answer"):
            wait()
        executor.close()
    finally:
        os.kill(head.process.pid, signal.SIGCONT)


def test_what_nobody_uses_any_more_leaves_nothing_behind(nodes: Any) -> None:
    from search.executors.ray_cluster import RayExecutor

    def depots() -> set[int]:
        found = psutil.process_iter(["pid", "cmdline"])
        return {process.info["pid"] for process in found if "ray::Depot" in (process.info["cmdline"] or [""])[0]}

    before, others = depots(), set(threading.enumerate())
    executor = RayExecutor(Cluster(address=nodes.address))
    watching = [thread for thread in set(threading.enumerate()) - others if thread.name == "head"]
    until = time.monotonic() + SECONDS
    while not depots() - before and time.monotonic() < until:
        time.sleep(0.2)
    during = depots()
    executor.close()
    del executor

    until = time.monotonic() + SECONDS
    while (depots() - before or any(thread.is_alive() for thread in watching)) and time.monotonic() < until:
        time.sleep(0.2)
    assert watching
    assert during - before
    assert not depots() - before
    assert not any(thread.is_alive() for thread in watching)


def test_one_that_is_closed_asks_the_cluster_nothing_more(nodes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray would connect it again, perhaps to the cluster of another, in whose process Ray was imported before us."""
    import ray

    monkeypatch.setattr("ray._private.auto_init_hook.enable_auto_connect", True)
    from search.executors.ray_cluster import RayExecutor

    others = set(threading.enumerate())
    executor = RayExecutor(Cluster(address=nodes.address))
    (watching,) = (thread for thread in set(threading.enumerate()) - others if thread.name == "head")
    executor.close()
    ray.shutdown()
    watching.join(timeout=SECONDS)

    assert not watching.is_alive()
    assert not ray.is_initialized()


def test_one_that_is_closed_and_used_again_watches_the_cluster_again(
    connect: Any, nodes: Any, digits: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a search does for its last trainings."""
    executor, heard = connect(), []
    executor.close()
    monkeypatch.setattr("search.executors.ray_cluster.ROOMLESS_SECONDS", 5.0)
    time.sleep(6)

    executor.start(0, order(digits, tmp_path / "job", until=LONG, epochs=LONG))
    wait_for(executor, EpochResult, heard)
    time.sleep(6)
    executor.events(timeout_seconds=0.1)  # there is room still

    for node in list(nodes.worker_nodes):
        nodes.remove_node(node, allow_graceful=False)
    with pytest.raises(StudyError, match=r"No node .* has had room"):
        wait_for(executor, Reached, heard)


def test_f30_a_cluster_without_room_for_a_job_is_told(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.executors.ray_cluster.JOINING_SECONDS", 1.0)

    with pytest.raises(StudyError, match=r"No node .* has room for a job of 1 CPUs and 4 GPUs.*1 CPUs and 1 GPUs"):
        connect(gpus_per_trial=4.0)


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


def test_a_cluster_that_is_not_there_is_told() -> None:
    from search.executors.ray_cluster import RayExecutor

    with pytest.raises(StudyError, match="No Ray cluster answers at"):
        RayExecutor(Cluster(address="127.0.0.1:1"))
