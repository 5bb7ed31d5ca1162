"""Processes killed for real, and one check of all the books afterwards. Numbers as in docs/faults.md."""

import json
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from filelock import FileLock
from mlflow.tracking import MlflowClient

from search.store import Store
from search.trials import State
from tests.books import assert_books_agree
from tests.command import SLOWER, Desk, is_alive, make_desk, wait_until_gone

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SEARCH = ("search", "--space", "tiny.yaml", "--trials", "4")
SHORT = ("search", "--space", "tiny.yaml", "--trials", "3", "--workers", "1")
Results = dict[int, list[tuple[float, float, float]]]  # by trial: epochs, training loss, validation loss
rest = partial(pytest.param, marks=pytest.mark.thorough)  # of what is much alike
DRIVER_POINTS = ("after_ask", rest("after_log"), rest("after_start"), rest("before_tell"), rest("after_tell"))
TRACKING_POINTS = (rest("after_mlflow_run"), "in_artifact_upload")
WORKER_POINTS = ("mid_epoch", "in_checkpoint_write", rest("after_checkpoint"))


def results_of(desk: Desk) -> Results:
    """Return what decides, by trial: epochs, training losses, validation losses."""
    trials = Store(desk.store).trials("tiny")
    return {t.number: [(r.epoch, r.train_loss, r.val_loss) for r in t.results] for t in trials}


def _found_once(factory: pytest.TempPathFactory, name: str, find: Callable[[], Results]) -> Results:
    """Return what the first of the test processes found for all of them."""
    own = factory.getbasetemp()
    path = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / f"{name}.json"
    with FileLock(f"{path}.lock"):
        if not path.exists():
            path.write_text(json.dumps(find()))
    return {
        int(number): [tuple(result) for result in results] for number, results in json.loads(path.read_text()).items()
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Results:
    """What the search finds when nothing goes wrong, one job at a time."""

    def find() -> Results:
        desk = make_desk(tmp_path_factory.mktemp("undisturbed"), template=template)
        with desk.started(*SEARCH, "--workers", "1") as running:
            running.finish()
        return results_of(desk)

    return _found_once(tmp_path_factory, "undisturbed", find)


@pytest.fixture(scope="module")
def slow_undisturbed(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Results:
    """The same of the slower space."""

    def find() -> Results:
        desk = make_desk(tmp_path_factory.mktemp("slow-undisturbed"), template=template, space=SLOWER)
        with desk.started(*SHORT) as running:
            running.finish()
        return results_of(desk)

    return _found_once(tmp_path_factory, "slow-undisturbed", find)


def test_f1_and_f40_a_killed_worker_is_replaced_and_nothing_changes(slow_desk: Desk, slow_undisturbed: Results) -> None:
    with slow_desk.started(*SHORT) as running:
        os.kill(running.wait_for("started", trial=1)["pid"], signal.SIGKILL)
        died = running.wait_for("died", trial=1)
        running.finish()

    assert died["code"] == -signal.SIGKILL
    trials = assert_books_agree(slow_desk.store, "tiny", num_trials=3)
    assert trials[1].deaths == 1
    assert results_of(slow_desk) == slow_undisturbed, "bit for bit"


def test_f19_a_worker_that_the_system_kills_again_and_again_is_given_up(slow_desk: Desk) -> None:
    with slow_desk.started(*SHORT) as running:
        for _ in range(2):
            os.kill(running.wait_for("started", trial=0)["pid"], signal.SIGKILL)
        failed = running.wait_for("failed", trial=0)
        running.finish()

    assert failed["reason"] == "killed(-9)"
    assert "memory" in failed["message"]
    trials = assert_books_agree(slow_desk.store, "tiny", num_trials=3)
    assert trials[0].deaths == 2


@pytest.mark.parametrize("point", TRACKING_POINTS)
def test_f2_a_tracking_process_killed_at_any_point_is_replaced(desk: Desk, point: str, undisturbed: Results) -> None:
    marker = desk.root / "crashed"

    found = desk.run(*SEARCH, "--workers", "1", AUTOCLF_CRASH_AT=f"{point}:{marker}")

    assert found.returncode == 0, found.stderr
    assert marker.exists()
    assert (
        "The tracking store failed (the process for it has died with exit code -9); it is tried again." in found.stderr
    )
    assert_books_agree(desk.store, "tiny", num_trials=4)
    assert results_of(desk) == undisturbed, "bit for bit"


@pytest.mark.parametrize("point", DRIVER_POINTS)
def test_f2_a_driver_killed_at_any_point_leaves_a_study_that_goes_on(
    desk: Desk, point: str, undisturbed: Results
) -> None:
    marker = desk.root / "crashed"
    killed = desk.run(*SEARCH, "--workers", "1", AUTOCLF_CRASH_AT=f"{point}:{marker}")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert marker.exists()

    resumed = desk.run("resume", "tiny", "--workers", "1")

    assert resumed.returncode == 0, resumed.stderr
    assert_books_agree(desk.store, "tiny", num_trials=4)
    assert results_of(desk) == undisturbed, "bit for bit"


@pytest.mark.parametrize("point", ["in_refit", rest("after_refit")])
def test_f2_a_refit_that_is_killed_is_gone_on_with_and_tested_once(desk: Desk, point: str) -> None:
    marker = desk.root / "crashed"
    killed = desk.run(*SEARCH, "--workers", "1", AUTOCLF_CRASH_AT=f"{point}:{marker}")
    assert marker.exists()
    assert killed.returncode == (0 if point == "in_refit" else -signal.SIGKILL), killed.stderr

    resumed = desk.run("resume", "tiny", "--workers", "1", "--json")

    outcome = json.loads(resumed.stdout.splitlines()[-1])
    assert outcome["refit"]["epochs"] == 4
    assert outcome["test"]["is_refit"] == outcome["refit"]["is_sound"]
    assert outcome["test"]["readings"] == 1
    assert_books_agree(desk.store, "tiny", num_trials=4)


@pytest.mark.parametrize("point", WORKER_POINTS)
def test_f2_a_worker_killed_at_any_point_goes_on_from_its_checkpoint(
    desk: Desk, point: str, undisturbed: Results
) -> None:
    marker = desk.root / "crashed"
    done = desk.run(*SEARCH, "--workers", "1", AUTOCLF_CRASH_AT=f"{point}:{marker}")

    assert done.returncode == 0, done.stderr
    assert marker.exists()
    trials = assert_books_agree(desk.store, "tiny", num_trials=4)
    assert sum(trial.deaths for trial in trials) == 1
    assert results_of(desk) == undisturbed, "bit for bit"


def test_f2_a_promotion_killed_midway_leaves_no_alias_and_succeeds_the_next_time(desk: Desk) -> None:
    assert desk.run(*SEARCH).returncode == 0
    marker = desk.root / "crashed"
    killed = desk.run("promote", "tiny", AUTOCLF_CRASH_AT=f"in_promotion:{marker}")
    assert killed.returncode == -signal.SIGKILL
    client = MlflowClient(tracking_uri=Store(desk.store).tracking_uri)
    assert not client.get_registered_model("tiny").aliases

    done = desk.run("promote", "tiny")

    assert done.returncode == 0, done.stderr
    assert int(client.get_model_version_by_alias("tiny", "champion").version) == 1, "what it had made is taken"
    assert len(client.search_model_versions("name = 'tiny'")) == 1


def test_f3_workers_of_a_killed_driver_end_and_the_study_goes_on(slow_desk: Desk, slow_undisturbed: Results) -> None:
    with slow_desk.started(*SHORT) as running:
        worker = running.wait_for("started", trial=1)["pid"]
        running.process.kill()
        assert wait_until_gone(worker, seconds=10)

    resumed = slow_desk.run("resume", "tiny", "--workers", "1")

    assert resumed.returncode == 0, resumed.stderr
    assert_books_agree(slow_desk.store, "tiny", num_trials=3)
    assert results_of(slow_desk) == slow_undisturbed


@pytest.mark.parametrize("number", [signal.SIGINT, rest(signal.SIGTERM)])
def test_f6_asked_once_it_drains_and_can_be_resumed(
    slow_desk: Desk, number: signal.Signals, slow_undisturbed: Results
) -> None:
    with slow_desk.started(*SHORT) as running:
        worker = running.wait_for("started", trial=1)["pid"]
        running.process.send_signal(number)
        outcome = running.finish()
        assert running.process.returncode == 130
        assert not is_alive(worker)

    assert not outcome["finished"]
    client = MlflowClient(tracking_uri=Store(slow_desk.store).tracking_uri)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    statuses = {run.info.status for run in client.search_runs([experiment.experiment_id])}
    assert not statuses & {"RUNNING"}
    assert all(trial.state is not State.RUNNING for trial in Store(slow_desk.store).trials("tiny"))

    assert slow_desk.run("resume", "tiny", "--workers", "1").returncode == 0
    assert_books_agree(slow_desk.store, "tiny", num_trials=3)
    assert results_of(slow_desk) == slow_undisturbed


def test_f6_asked_twice_it_ends_at_once_and_can_be_resumed(slow_desk: Desk) -> None:
    with slow_desk.started(*SHORT) as running:
        worker = running.wait_for("started", trial=1)["pid"]
        running.process.send_signal(signal.SIGINT)
        time.sleep(0.05)
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(10) == 130
        assert wait_until_gone(worker, seconds=10)

    assert slow_desk.run("resume", "tiny", "--workers", "1").returncode == 0
    assert_books_agree(slow_desk.store, "tiny", num_trials=3)


def test_f25_a_native_crash_fails_the_trial_and_the_study_goes_on(slow_desk: Desk) -> None:
    with slow_desk.started(*SHORT) as running:
        os.kill(running.wait_for("started", trial=0)["pid"], signal.SIGSEGV)
        failed = running.wait_for("failed", trial=0)
        running.finish()

    assert failed["reason"] == "crashed(-11)"
    trials = assert_books_agree(slow_desk.store, "tiny", num_trials=3)
    assert trials[0].state is State.FAILED
