"""Whole searches on a Ray cluster whose workers, nodes and head are lost for real. Numbers as in docs/faults.md."""

import os
import signal
from typing import Any

import pytest

from tests.books import assert_books_agree
from tests.command import SLOWER, Desk, Running
from tests.faults.cluster import NODE, pids

pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore")]

SECONDS = 90.0


def test_a_whole_search_runs_on_ray(desk: Desk) -> None:
    done = desk.run("search", "--space", "tiny.yaml", "--trials", "3", "--executor", "ray", "--no-race")

    assert done.returncode == 0, done.stderr
    assert "Test accuracy" in done.stdout


def killed_at_work(running: Running) -> dict[str, Any]:
    """Kill a worker that begins a job, and another one if it was done before; return how the one that died began."""
    while True:
        begun = running.wait_for("started")
        os.kill(begun["pid"], signal.SIGKILL)
        for event in running.events():
            if event.get("trial") == begun["trial"] and event["event"] in ("died", "paused", "complete"):
                break
        if event["event"] == "died":
            return begun


@pytest.mark.thorough
def test_f27_f28_a_search_goes_on_though_a_worker_is_killed_and_a_node_is_lost(slow_desk: Desk, nodes: Any) -> None:
    desk = slow_desk
    (desk.root / "tiny.yaml").write_text(SLOWER.replace("rungs: [4, 12]", "rungs: [40, 80]"))  # there is time to strike
    nodes.add_node(wait=True, **NODE)
    search = ("search", "--space", "tiny.yaml", "--trials", "4", "--no-race", "--executor", "ray")
    with desk.started(*search, "--address", nodes.address) as running:
        running.wait_for("epoch")
        killed = killed_at_work(running)
        again = running.wait_for("started", trial=killed["trial"])
        (home,) = (node for node in nodes.worker_nodes if again["pid"] in pids(node))
        nodes.remove_node(home, allow_graceful=False)
        lost = running.wait_for("died", trial=killed["trial"])
        elsewhere = running.wait_for("started", trial=killed["trial"])
        outcome = running.finish()

    assert lost["at"] - again["at"] < SECONDS
    assert elsewhere["pid"] != again["pid"] != killed["pid"]
    assert outcome["finished"]
    trials = assert_books_agree(desk.store, "tiny", num_trials=4)
    struck = trials[killed["trial"]]
    assert struck.deaths == 1, "a lost node counts against nobody"
    assert struck.state.value in ("complete", "pruned")


@pytest.mark.thorough
def test_f29_a_head_that_is_lost_ends_the_search_which_goes_on_without_it(slow_desk: Desk, nodes: Any) -> None:
    desk = slow_desk
    search = ("search", "--space", "tiny.yaml", "--trials", "16", "--no-race", "--set", "data.val_fraction=0.5")
    with desk.started(*search, "--executor", "ray", "--address", nodes.address) as running:
        running.wait_for("epoch")
        nodes.head_node.kill_gcs_server()
        code = running.process.wait(SECONDS)
        told = running.errors()

    assert code == 2, told
    assert "The head of the Ray cluster does not answer" in told
    assert "Traceback" not in told

    resumed = desk.run("resume", "tiny", "--executor", "local")

    assert resumed.returncode == 0, resumed.stderr
    assert_books_agree(desk.store, "tiny", num_trials=16)
