"""The connection to a Ray cluster: its head and nodes, lost or hanging, and what an executor leaves behind."""

import os
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from search.errors import StudyError
from search.executors import Cluster, Gone
from search.interruptions import interruptions
from tests.faults.cluster import LONG, SECONDS, order, wait_for
from trainer.data import DataSet
from trainer.results import EpochResult, Reached

pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore")]


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

    with pytest.raises(StudyError, match=r"No node .* has had room"):
        wait_for(executor, Gone, [])


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

    os.kill(head.process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(StudyError, match=r"The head of the Ray cluster does not answer"):
            wait_for(executor, Gone, [])
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


def test_a_cluster_that_is_not_there_is_told() -> None:
    from search.executors.ray_cluster import RayExecutor

    with pytest.raises(StudyError, match="No Ray cluster answers at"):
        RayExecutor(Cluster(address="127.0.0.1:1"))
