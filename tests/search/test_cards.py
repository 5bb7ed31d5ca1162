"""What the tracking store is told of a study as a whole."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from search_samples import METRIC, NAME, PLAN, new_trial, trial_at

from search.cards import NUM_WEIGHTS_KEPT, Stage, best_weights, data_card, study_card, versions
from search.finish import TestReading
from search.plan import Plan
from search.request import Request
from search.store import Store
from search.tracking.base import DataCard, StudyCard
from search.trials import State, Trial
from spaces import SearchSpace
from trainer.data import DataSet
from trainer.jobfiles import WEIGHTS

DATA = DataCard(
    name="digits",
    fingerprint="abc",
    num_classes=10,
    image_shape=(8, 8, 1),
    num_images={"train": 100, "val": 20, "test": 30},
)
TRIALS = [
    trial_at(0, {1.0: 0.5, 9.0: 0.6}, ended=State.COMPLETE),
    trial_at(1, {1.0: 0.5, 9.0: 0.7}, ended=State.COMPLETE),
    trial_at(2, {1.0: 0.4}, ended=State.PRUNED),
    trial_at(3, {}, ended=State.FAILED),
]
READING = TestReading(trial=1, accuracy=0.68, loss=1.1, top5_accuracy=0.9, num_images=30, readings=1)


def _card(request: Request, trials: list[Trial], test: TestReading | None = None) -> StudyCard:
    return study_card(request, PLAN, DATA, trials, Stage(status="RUNNING", test=test))


def test_a_card_counts_trials_by_state(asked: Request) -> None:
    card = _card(asked, [*TRIALS, trial_at(4, {}, going_to=1.0), new_trial(5)])

    assert {name: value for name, value in card.metrics.items() if name.startswith("trials/")} == {
        "trials/complete": 2,
        "trials/pruned": 1,
        "trials/failed": 1,
        "trials/running": 1,
        "trials/paused": 1,
    }


def test_a_card_tells_the_winner(asked: Request) -> None:
    card = _card(asked, TRIALS)

    assert card.metrics["best/val/accuracy"] == 0.7
    assert card.tags["autoclf.winner"] == "1"
    assert card.metrics["validation/judged"] == 3


def test_a_card_tells_how_far_validation_and_test_are_apart(asked: Request) -> None:
    assert _card(asked, TRIALS, READING).metrics["validation/optimism"] == pytest.approx(0.02)


def test_without_a_result_there_is_no_winner(asked: Request) -> None:
    card = _card(asked, [new_trial(0)])

    assert "best/val/accuracy" not in card.metrics
    assert "autoclf.winner" not in card.tags


def test_the_best_loss_is_told_as_it_is(asked: Request, small_space: SearchSpace) -> None:
    space = replace(small_space, objective=replace(small_space.objective, metric="val/loss"))

    card = _card(replace(asked, space=space), TRIALS)

    assert card.metrics["best/val/loss"] == 1.0


def test_the_test_split_is_told_once_it_was_read(asked: Request) -> None:
    assert not [name for name in _card(asked, TRIALS).metrics if name.startswith("test/")]

    metrics = _card(asked, TRIALS, READING).metrics

    assert {name: value for name, value in metrics.items() if name.startswith("test/")} == {
        "test/accuracy": 0.68,
        "test/loss": 1.1,
        "test/readings": 1,
    }


def test_a_card_tells_what_the_study_was_made_with(asked: Request) -> None:
    card = _card(asked, TRIALS)

    assert card.name == NAME
    assert card.params == {"space": "small", "source": "digits", "seed": "5"}
    assert card.tags["autoclf.space"] == asked.space.fingerprint
    assert (card.tags["autoclf.data"], card.tags["autoclf.state"]) == ("abc", "running")
    assert card.texts["space.yaml"] == "budget: ..."
    assert Plan(**json.loads(card.texts["plan.json"])) == PLAN
    assert json.loads(card.texts["versions.json"]) == versions()
    assert card.texts["leaderboard.md"].count("\n") == 2 + len(TRIALS)


@pytest.mark.parametrize("is_committed", [True, False])
def test_the_commit_of_the_working_directory_is_told(
    asked: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_committed: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    commit = ""
    if is_committed:
        commit = _commit_something(tmp_path)

    tags = _card(asked, TRIALS).tags

    assert tags.get("mlflow.source.git.commit", "") == commit


def test_without_git_no_commit_is_told(asked: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    assert "mlflow.source.git.commit" not in _card(asked, TRIALS).tags


def test_versions_name_python_and_what_decides_a_result() -> None:
    assert {"python", "torch", "optuna", "mlflow", "numpy"} <= set(versions())


def test_the_weights_of_the_best_complete_trials_are_found(store: Store) -> None:
    trials = [trial_at(n, {9.0: n / 10}, ended=State.COMPLETE) for n in range(6)]
    trials.append(trial_at(6, {1.0: 0.99}, ended=State.PRUNED))
    for number in (0, 2, 4, 5, 6):  # trial 3 has lost its file
        store.job(NAME, number).mkdir(parents=True)
        (store.job(NAME, number) / WEIGHTS).touch()

    found = best_weights(trials, None, METRIC, store, NAME)

    assert [trial.number for trial, _ in found] == [5, 4]
    assert all(path.exists() and path.parent.name == str(trial.number) for trial, path in found)
    assert NUM_WEIGHTS_KEPT == 3


def test_a_data_set_is_told_by_its_fingerprint_and_counts(tmp_path: Path) -> None:
    data = DataSet(
        root=tmp_path,
        source="digits",
        fingerprint="abc",
        class_names=tuple("0123456789"),
        image_shape=(8, 8, 1),
        num_train=100,
        num_val=20,
        num_test=30,
        mean=(0.5,),
        std=(0.1,),
    )

    assert data_card("digits", data) == DATA


def _commit_something(folder: Path) -> str:
    """Make a repository with one commit; return its id."""
    person = ["-c", "user.name=A", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], [*person, "commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    told = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True)
    return told.stdout.strip()
