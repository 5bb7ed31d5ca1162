"""MLflow runs of a study and its trials, made to look as told.

Everything may be told twice: runs are found by a unique tag, metrics carry their own time and step, so that MLflow
keeps one of two equal ones.
"""

import json
import shutil
import sqlite3
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from filelock import FileLock
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from search.book import step_of
from search.diagnosis import diagnosis_of, in_words
from search.names import run_name
from search.store import Store
from search.tracking.base import DataCard, StudyCard
from search.tracking.figures import write_trial_files
from search.trials import State, Trial
from trainer.config import flat
from trainer.crashpoints import crash_point
from trainer.jobfiles import PREDICTIONS, SAMPLES
from trainer.results import EpochResult, Footprint

UID = "autoclf.uid"
DRAWN = "autoclf.drawn"  # the epoch that a trial's files show
SHOWN_AT = "autoclf.shown_at"  # seconds since 1970, of a study as its run shows it
RUNNING, FINISHED = "RUNNING", "FINISHED"  # as MLflow has it
STATUS = {
    State.RUNNING: RUNNING,
    State.PAUSED: "SCHEDULED",
    State.COMPLETE: FINISHED,
    State.PRUNED: "KILLED",
    State.FAILED: "FAILED",
}
ENDS = {status for state, status in STATUS.items() if state.is_over}
LARGEST_BATCH = 1000  # metrics that MLflow takes at once
LONGEST_TAG = 5000  # characters that every version of MLflow takes


@dataclass(slots=True)
class _Shown:
    """What the run of a trial is known to show already."""

    run_id: str
    num_results: int = 0
    state: State | None = None
    epoch_of_files: float = 0.0
    has_costs: bool = False


@dataclass(slots=True, kw_only=True)
class MlflowRuns:
    """The runs of one study; every call may raise what MLflow and the network raise."""

    client: MlflowClient
    experiment_id: str
    study_run_id: str
    store: Store
    name: str
    data: DataCard
    class_names: tuple[str, ...]
    _shown: dict[int, _Shown] = field(default_factory=dict)

    def show(self, trial: Trial) -> None:
        """Make the trial's run look like this, all but its files."""
        shown = self._run_of(trial)
        metrics = [m for result in trial.results[shown.num_results :] for m in _metrics(result)]
        for start in range(0, len(metrics), LARGEST_BATCH):
            self.client.log_batch(shown.run_id, metrics=metrics[start : start + LARGEST_BATCH])
        shown.num_results = len(trial.results)
        if trial.footprint is not None and not shown.has_costs:
            self.client.log_batch(shown.run_id, metrics=_costs(trial, trial.footprint))
            shown.has_costs = True
        if shown.state is not trial.state and not self._is_late(shown, trial):
            self._show_state(shown, trial)

    def needs_files(self, trial: Trial) -> bool:
        """Say whether the trial has reached a rung that its files do not show yet."""
        shown = self._shown.get(trial.number)
        return shown is not None and bool(trial.reached) and trial.reached[-1] > shown.epoch_of_files

    def show_files(self, trial: Trial) -> None:
        """Draw the trial's figures and upload them with its reports."""
        shown = self._run_of(trial)
        job = self.store.job(self.name, trial.number)
        with tempfile.TemporaryDirectory() as folder:
            write_trial_files(Path(folder), trial, predictions=job / PREDICTIONS, class_names=self.class_names)
            if not shown.epoch_of_files and (job / SAMPLES).exists():  # the same at every rung
                shutil.copy(job / SAMPLES, folder)
            crash_point("in_artifact_upload")
            self.client.log_artifacts(shown.run_id, folder)
        shown.epoch_of_files = trial.reached[-1]
        self.client.set_tag(shown.run_id, DRAWN, repr(shown.epoch_of_files))

    def show_study(self, card: StudyCard) -> None:
        """Make the study's run look like this, unless another driver has shown it as it is later.

        A finished search is shown whatever the clocks say: they may be those of two machines.
        """
        run_id = self.study_run_id
        shown_at = self.client.get_run(run_id).data.tags.get(SHOWN_AT)
        if shown_at is not None and float(shown_at) > card.at and card.status != FINISHED:
            return
        self.client.log_batch(
            run_id,
            # Of two values with one time MLflow shows the greater as the last.
            metrics=[Metric(name, value, round(card.at * 1000), 0) for name, value in card.metrics.items()],
            tags=[RunTag(name, value) for name, value in {**card.tags, SHOWN_AT: repr(card.at)}.items()],
            params=[Param(name, value) for name, value in card.params.items()],
        )
        for file_name, text in card.texts.items():
            self.client.log_text(run_id, text, file_name)
        for trial, path in card.files:
            self.client.log_artifact(self._run_of(trial).run_id, str(path))
        if card.status == RUNNING:
            self.client.update_run(run_id, status=RUNNING)
        else:
            self.client.set_terminated(run_id, card.status)

    def addresses(self, number: int | None) -> dict[str, str]:
        """Return the ids under which the experiment, the study and a trial are found."""
        found = {"experiment": self.experiment_id, "study_run": self.study_run_id}
        if number is not None and number in self._shown:
            found["winner_run"] = self._shown[number].run_id
        return found

    def _run_of(self, trial: Trial) -> _Shown:
        return self._shown.get(trial.number) or self._open(trial)

    def _open(self, trial: Trial) -> _Shown:
        """Find the trial's run, or make it."""
        with FileLock(self.store.tracking_lock):  # another driver may miss it just now, too
            run = find_run(self.client, self.experiment_id, trial.uid) or self._made(trial)
        crash_point("after_mlflow_run")
        params = [Param(path, str(value)) for path, value in flat(trial.config).items()]
        self.client.log_batch(run.info.run_id, params=params)
        log_data(self.client, run.info.run_id, self.data, context="training")
        drawn = float(run.data.tags.get(DRAWN, 0.0))
        self._shown[trial.number] = _Shown(run.info.run_id, epoch_of_files=drawn)
        return self._shown[trial.number]

    def _made(self, trial: Trial) -> Any:
        return self.client.create_run(
            self.experiment_id,
            start_time=round(trial.created_at * 1000),
            run_name=run_name(trial),
            tags={
                UID: trial.uid,
                "mlflow.parentRunId": self.study_run_id,
                "mlflow.source.name": "autoclf",
                "autoclf.kind": "trial",
                "autoclf.study": self.name,
                "autoclf.trial": str(trial.number),
                "autoclf.state": trial.state.value,
            },
        )

    def _is_late(self, shown: _Shown, trial: Trial) -> bool:
        """Say whether another driver has shown the end of a trial that this one saw last before it."""
        return not trial.state.is_over and self.client.get_run(shown.run_id).info.status in ENDS

    def _show_state(self, shown: _Shown, trial: Trial) -> None:
        tags = [RunTag("autoclf.state", trial.state.value)]
        if trial.reason:
            tags.append(RunTag("autoclf.reason", trial.reason))
        if trial.message:
            tags.append(RunTag("autoclf.message", trial.message[:LONGEST_TAG]))
        if trial.state.is_over:
            tags += self._diagnosis(trial)
        self.client.log_batch(shown.run_id, tags=tags)
        if trial.state.is_over:
            assert trial.ended_at is not None
            ended_at = round(trial.ended_at * 1000)
            self.client.set_terminated(shown.run_id, STATUS[trial.state], end_time=ended_at)
        else:
            self.client.update_run(shown.run_id, status=STATUS[trial.state])
        shown.state = trial.state

    def _diagnosis(self, trial: Trial) -> list[RunTag]:
        """Return what the trial's curves say, as tags."""
        found = diagnosis_of(trial, self.store, self.name)
        advice = " ".join(map(str, found))
        return [RunTag("autoclf.diagnosis", in_words(found)), RunTag("autoclf.advice", advice[:LONGEST_TAG])]


def open_client(uri: str, *, lock: Path) -> MlflowClient:
    """Connect to a tracking store; a new SQLite file is made by one process while others wait.

    Args:
        uri: A SQLite URL or a server's address.
        lock: File that processes of this machine lock meanwhile.
    """
    with FileLock(lock):  # two processes that make the tables at once ruin the file
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_experiments(max_results=1)
        if uri.startswith("sqlite:///"):
            with sqlite3.connect(unquote(uri.removeprefix("sqlite:///"))) as connection:
                connection.execute("PRAGMA journal_mode=WAL")  # stays with the file; four times faster
            connection.close()
    return client


def open_experiment(client: MlflowClient, name: str, *, artifacts: Path | None) -> str:
    """Return the id of the experiment of a study; it is made, or brought back from the bin, where needed."""
    found = client.get_experiment_by_name(name)
    if found is None:
        location = artifacts.as_uri() if artifacts else None
        return str(client.create_experiment(name, artifact_location=location))
    if found.lifecycle_stage != "active":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def open_study_run(client: MlflowClient, experiment_id: str, *, name: str, uid: str, data: DataCard) -> str:
    """Return the id of the run that stands for a study; it is made where there is none."""
    run = find_run(client, experiment_id, uid)
    if run is None:
        tags = {
            UID: uid,
            "autoclf.kind": "study",
            "autoclf.study": name,
            "mlflow.source.name": "autoclf",
        }
        run = client.create_run(experiment_id, run_name=name, tags=tags)
        log_data(client, run.info.run_id, data, context="search")
    return str(run.info.run_id)


def find_run(client: MlflowClient, experiment_id: str, uid: str) -> Any | None:
    """Return the run with a unique tag, if there is one."""
    found = client.search_runs([experiment_id], f"tags.`{UID}` = '{uid}'", max_results=1)
    return found[0] if found else None


def log_data(client: MlflowClient, run_id: str, data: DataCard, *, context: str) -> None:
    """Attach the data set, with its fingerprint as digest."""
    profile = {"classes": data.num_classes, "image_shape": data.image_shape, **data.num_images}
    dataset = Dataset(
        name=data.name[:500],
        digest=data.fingerprint,
        source_type="autoclf",
        source=json.dumps({"source": data.name}),
        profile=json.dumps(profile),
    )
    tags = [InputTag("mlflow.data.context", context)]
    client.log_inputs(run_id, datasets=[DatasetInput(dataset=dataset, tags=tags)])


def _costs(trial: Trial, footprint: Footprint) -> list[Metric]:
    at = round(trial.created_at * 1000)  # the same however often it is told
    return [Metric(f"model/{name}", cost, at, 0) for name, cost in footprint.costs().items()]


def _metrics(result: EpochResult) -> list[Metric]:
    at, step = round(result.finished_at * 1000), step_of(result.epoch)
    return [Metric(name, value, at, step) for name, value in result.metrics().items()]
