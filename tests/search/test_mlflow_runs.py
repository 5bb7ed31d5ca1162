"""What MLflow shows of trials, told twice, late, or by a process that knows nothing of the one before."""

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from search_samples import NAME, trial_at

from search.store import Store
from search.tracking.base import DataCard, StudyCard
from search.tracking.connect import connect
from search.trials import State, Trial
from trainer.jobfiles import PREDICTIONS, WEIGHTS

DATA = DataCard(name="d", fingerprint="f", num_classes=2, image_shape=(1, 1, 1), num_images={"train": 2})
RUNNING = trial_at(0, {1.0: 0.5}, going_to=3.0)
PAUSED = trial_at(0, {1.0: 0.5})
COMPLETE = trial_at(0, {1.0: 0.5, 3.0: 0.6, 9.0: 0.7}, ended=State.COMPLETE)
Open = Callable[[], Any]


@pytest.fixture
def open_runs(store: Store, template: Path) -> Open:
    """Begin as another process does: with nothing but the database."""
    shutil.copy(template, store.root / "mlflow.db")
    job = store.job(NAME, 0)
    job.mkdir(parents=True)
    np.savez(job / PREDICTIONS, logits=np.eye(2, dtype=np.float32), labels=np.array([0, 1]))
    (job / WEIGHTS).touch()
    return lambda: connect(store, None, NAME, "study-uid", DATA, ("ant", "bee"))


def _runs_of(runs: Any) -> dict[str, Any]:
    """The runs of the study and of its only trial, by kind."""
    found = runs.client.search_runs([runs.experiment_id])
    assert len(found) == len({run.data.tags["autoclf.kind"] for run in found}), "nothing is doubled"
    return {run.data.tags["autoclf.kind"]: run for run in found}


def _values(client: Any, run: Any) -> list[float]:
    return [metric.value for metric in client.get_metric_history(run.info.run_id, "val/accuracy")]


def test_a_process_that_takes_over_finds_the_runs_and_doubles_nothing(open_runs: Open) -> None:
    open_runs().show(PAUSED)

    runs = open_runs()
    runs.show_files(PAUSED)  # it was not told before whose they are
    runs.show(COMPLETE)
    runs.show_study(
        StudyCard(name=NAME, status="FINISHED", data=DATA, files=((COMPLETE, runs.store.job(NAME, 0) / WEIGHTS),))
    )

    found = _runs_of(open_runs())
    trial = found["trial"]
    assert (trial.info.status, found["study"].info.status) == ("FINISHED", "FINISHED")
    assert _values(runs.client, trial) == [0.5, 0.6, 0.7]
    files = {file.path for file in runs.client.list_artifacts(trial.info.run_id)}
    assert {"confusion_matrix.png", "learning_curve.png", WEIGHTS} <= files


def test_files_of_a_study_go_to_runs_that_were_not_shown_before(open_runs: Open) -> None:
    open_runs().show(COMPLETE)

    runs = open_runs()
    runs.show_study(
        StudyCard(name=NAME, status="FINISHED", data=DATA, files=((COMPLETE, runs.store.job(NAME, 0) / WEIGHTS),))
    )

    trial = _runs_of(runs)["trial"]
    assert [file.path for file in runs.client.list_artifacts(trial.info.run_id)] == [WEIGHTS]


@pytest.mark.parametrize(("status", "shown"), [("FINISHED", "FINISHED"), ("KILLED", "RUNNING")])
def test_a_finished_search_is_shown_whatever_the_clocks_of_its_drivers_say(
    open_runs: Open, status: str, shown: str
) -> None:
    ahead = StudyCard(name=NAME, status="RUNNING", data=DATA, at=1e9 + 3600)
    open_runs().show_study(ahead)

    runs = open_runs()
    runs.show_study(StudyCard(name=NAME, status=status, data=DATA, at=1e9))

    runs.show(COMPLETE)
    assert _runs_of(runs)["study"].info.status == shown


def test_two_drivers_that_miss_a_run_at_once_make_one(open_runs: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    found = import_module("search.tracking.mlflow_runs").find_run  # it loads MLflow
    drivers = [open_runs(), open_runs()]

    def find_and_dawdle(*words: Any) -> Any:
        answer = found(*words)
        time.sleep(0.3)  # in which the other one asks, too
        return answer

    monkeypatch.setattr("search.tracking.mlflow_runs.find_run", find_and_dawdle)
    with ThreadPoolExecutor() as both:
        for shown in [both.submit(runs.show, PAUSED) for runs in drivers]:
            shown.result()

    assert _values(drivers[0].client, _runs_of(drivers[0])["trial"]) == [0.5]


@pytest.mark.parametrize("late", [PAUSED, RUNNING], ids=["paused", "running"])
def test_an_older_look_that_comes_late_does_not_open_an_ended_run_again(open_runs: Open, late: Trial) -> None:
    mine, theirs = open_runs(), open_runs()
    mine.show(replace(PAUSED, results=(), reached=()))
    theirs.show(COMPLETE)

    mine.show(late)

    trial = _runs_of(mine)["trial"]
    assert trial.info.status == "FINISHED"
    assert trial.data.tags["autoclf.state"] == "complete"
    assert _values(mine.client, trial) == [0.5, 0.6, 0.7]
