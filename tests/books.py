"""One check of all the books of a store: logs, study database, tracking store, files."""

from collections import Counter
from pathlib import Path

from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from optuna.trial import TrialState

from search.book import step_of
from search.diagnosis import diagnosis_of, in_words
from search.storage import open_storage
from search.store import Store
from search.study import Study, load_study
from search.trials import State, Trial
from search.winner import remembered_standing, winner_of
from trainer.config import flat

FINISHED = {State.COMPLETE: "FINISHED", State.PRUNED: "KILLED", State.FAILED: "FAILED"}
TOLD = {State.COMPLETE: TrialState.COMPLETE, State.PRUNED: TrialState.PRUNED, State.FAILED: TrialState.FAIL}


def assert_books_agree(
    root: Path, study: str, *, num_trials: int, storage: str | None = None, tracking_uri: str | None = None
) -> list[Trial]:
    """Check a finished study in every place that tells of it; return its trials.

    Args:
        root: Of the store.
        study: Its name.
        num_trials: That it has.
        storage: Address of its database, if that is not the store's.
        tracking_uri: Of MLflow, if that is not the store's.
    """
    store = Store(root)
    trials = store.trials(study)
    assert [trial.number for trial in trials] == list(range(num_trials)), "numbers are gapless"
    assert all(trial.state.is_over for trial in trials), "every trial has ended"
    _assert_logs_are_sound(trials)
    opened = load_study(open_storage(storage or store.study_url), study)
    winner = winner_of(trials, "val/accuracy", remembered_standing(opened))
    _assert_study_agrees(opened, trials)
    _assert_tracking_agrees(tracking_uri or store.tracking_uri, study, trials, winner)
    _assert_diagnoses_are_told(tracking_uri or store.tracking_uri, store, study, trials)
    _assert_nothing_is_left_behind(store, study, trials, winner)
    opened.storage.engine.dispose()
    return trials


def _assert_logs_are_sound(trials: list[Trial]) -> None:
    assert len({trial.uid for trial in trials}) == len(trials)
    for trial in trials:
        steps = [result.step for result in trial.results]
        assert steps == sorted(set(steps)), f"trial {trial.number} counts a step twice"


def _assert_study_agrees(study: Study, trials: list[Trial]) -> None:
    frozen = study.trials()
    assert [f.state for f in frozen] == [TOLD[trial.state] for trial in trials]
    for trial, found in zip(trials, frozen, strict=True):
        told = {step_of(result.epoch): result.val_accuracy for result in trial.results}
        assert found.intermediate_values == told
        assert dict(found.params) == dict(trial.params)
        if trial.state is State.COMPLETE:
            assert found.value == trial.results[-1].val_accuracy


def _assert_tracking_agrees(tracking_uri: str, study: str, trials: list[Trial], best: Trial | None) -> None:
    client = MlflowClient(tracking_uri=tracking_uri)
    experiment = client.get_experiment_by_name(study)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    kinds = Counter(run.data.tags["autoclf.kind"] for run in runs)
    assert kinds == {"study": 1, "trial": len(trials)}
    by_number = {int(r.data.tags["autoclf.trial"]): r for r in runs if r.data.tags["autoclf.kind"] == "trial"}
    for trial in trials:
        _assert_run_shows(client, by_number[trial.number], trial)
    (parent,) = (run for run in runs if run.data.tags["autoclf.kind"] == "study")
    assert parent.info.status == "FINISHED"
    assert parent.data.tags.get("autoclf.winner") == (str(best.number) if best else None)
    if best is not None:
        assert parent.data.metrics["best/val/accuracy"] == best.results[-1].val_accuracy


def _assert_run_shows(client: MlflowClient, run: Run, trial: Trial) -> None:
    assert run.info.status == FINISHED[trial.state], f"run of trial {trial.number}"
    assert run.data.tags["autoclf.state"] == trial.state.value
    assert run.data.params == {path: str(value) for path, value in flat(trial.config).items()}
    history = client.get_metric_history(run.info.run_id, "val/accuracy") if trial.results else []
    shown = sorted((metric.step, metric.value) for metric in history)
    assert shown == sorted((step_of(result.epoch), result.val_accuracy) for result in trial.results)


def _assert_diagnoses_are_told(tracking_uri: str, store: Store, study: str, trials: list[Trial]) -> None:
    client = MlflowClient(tracking_uri=tracking_uri)
    experiment = client.get_experiment_by_name(study)
    assert experiment is not None
    for trial in trials:
        (run,) = client.search_runs([experiment.experiment_id], f"tags.`autoclf.trial` = '{trial.number}'")
        found = diagnosis_of(trial, store, study)
        assert run.data.tags["autoclf.diagnosis"] == in_words(found)
        assert run.data.tags["autoclf.advice"] == " ".join(map(str, found))


def _assert_nothing_is_left_behind(store: Store, study: str, trials: list[Trial], best: Trial | None) -> None:
    for trial in trials:
        names = {path.name for path in store.job(study, trial.number).iterdir()}
        assert not [name for name in names if name.startswith(".") or "incoming" in name], names
        if trial.state is not State.COMPLETE and trial is not best:
            assert not names & {"checkpoint.pt", "checkpoint.previous.pt", "weights.safetensors"}, names
