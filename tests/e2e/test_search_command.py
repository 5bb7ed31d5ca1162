"""The main job through the real command: real images, real SQLite files, real MLflow."""

import json
from pathlib import Path

import numpy as np
import pytest

from search.store import Store
from tests.books import assert_books_agree
from tests.command import Desk
from trainer.jobfiles import SAMPLES

SEARCH = ("search", "--space", "tiny.yaml", "--trials", "4")


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Desk:
    """A desk on which a whole search has run, twice the same command."""
    from tests.command import make_desk

    desk = make_desk(tmp_path_factory.mktemp("searched"), template=template)
    done = desk.run(*SEARCH)
    assert done.returncode == 0, done.stderr
    (desk.root / "first.txt").write_text(done.stdout)
    return desk


def test_a_search_leaves_all_books_in_agreement(searched: Desk) -> None:
    assert_books_agree(searched.store, "tiny", num_trials=4)


def test_it_prints_leaderboard_test_accuracy_and_what_to_do_next(searched: Desk) -> None:
    printed = (searched.root / "first.txt").read_text()

    for wanted in ("rank", "Best: trial #", "Test accuracy:", "autoclf ui", "autoclf promote tiny"):
        assert wanted in printed
    assert "\x1b[" not in printed, "no colours where there is no terminal"


def test_the_same_command_again_has_nothing_left_to_do(searched: Desk) -> None:
    again = searched.run(*SEARCH, "--json")

    assert again.returncode == 0, again.stderr
    events = [json.loads(line) for line in again.stdout.splitlines()]
    assert "ordered" not in {event["event"] for event in events}
    assert events[-1]["test"]["readings"] == 1, "the reading of the test split is reused"
    assert events[-1]["test"]["is_refit"] == events[-1]["refit"]["is_sound"]
    assert_books_agree(searched.store, "tiny", num_trials=4)


def test_the_same_command_again_draws_nothing_anew(searched: Desk) -> None:
    before = _times_of_files(searched)

    assert searched.run(*SEARCH).returncode == 0

    assert before
    assert _times_of_files(searched) == before


def test_a_trial_that_augments_its_images_shows_them(searched: Desk) -> None:
    augmenting = [trial for trial in Store(searched.store).trials("tiny") if trial.config.augment.crop_padding]

    pictures = list((searched.store / "artifacts").rglob(SAMPLES))

    assert len(pictures) == len(augmenting)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)


def _times_of_files(desk: Desk) -> dict[Path, int]:
    """Return when each figure and report of a trial was written."""
    paths = (desk.store / "artifacts").rglob("confusion_matrix.*")
    return {path: path.stat().st_mtime_ns for path in paths}


@pytest.mark.parametrize("kind", ["table", "json", "csv", "md"])
def test_the_leaderboard_speaks_every_format(searched: Desk, kind: str) -> None:
    done = searched.run("leaderboard", "tiny", "--format", kind)

    assert done.returncode == 0, done.stderr
    if kind == "json":
        rows = json.loads(done.stdout)
        assert [row["rank"] for row in rows] == [1, 2, 3, 4]
        assert rows[0]["state"] == "complete"
        assert all(row["diagnosis"] for row in rows)
    assert "resnet9" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_promoted_model_loads_with_plain_mlflow_and_answers_as_trained(searched: Desk) -> None:
    done = searched.run("promote", "tiny")
    assert done.returncode == 0, done.stderr

    script = (
        "import mlflow, numpy, sys; mlflow.set_tracking_uri('sqlite:///mlruns/mlflow.db');"
        "model = mlflow.pyfunc.load_model('models:/tiny@champion');"
        "found = model.predict(numpy.zeros((3, 8, 8, 1), numpy.uint8));"
        "assert not {'autoclf', 'trainer', 'search', 'torch'} & set(sys.modules), 'plain MLflow is enough';"
        "numpy.save('answers.npy', found['probabilities'] if isinstance(found, dict) else found)"
    )
    plain = searched.run_python(script)
    assert plain.returncode == 0, plain.stderr
    answers = np.load(searched.root / "answers.npy")
    assert answers.shape == (3, 10)
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_higher_total_goes_on_with_the_same_study(searched: Desk) -> None:
    done = searched.run("resume", "tiny", "--trials", "6")

    assert done.returncode == 0, done.stderr
    assert_books_agree(searched.store, "tiny", num_trials=6)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_equal_seeds_find_equal_results(tmp_path: Path, template: Path) -> None:
    from tests.command import make_desk

    outcomes = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        desk = make_desk(tmp_path / name, template=template)
        with desk.started(*SEARCH, "--workers", "1") as running:
            outcomes.append(running.finish())

    first, second = outcomes
    assert first["config"] == second["config"]
    assert first["test"] == second["test"]
    assert first["metrics"]["val/loss"] == second["metrics"]["val/loss"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_time_limit_ends_the_search_with_a_trained_winner(desk: Desk) -> None:
    with desk.started("search", "--space", "tiny.yaml", "--trials", "500", "--timeout", "50s") as running:
        events = list(running.events())

    outcome = events[-1]
    times = {event["event"]: event["at"] for event in events[:-1]}  # of the last of each kind
    assert outcome["finished"]
    assert times["testing"] - times["preparing"] < 50, "what is left is to score the winner and to upload"
    assert outcome["seconds"] < 50 + 10, "a step at hand is gone on with, and Python takes time to end"
    assert outcome["refit"]["is_sound"], "time was kept free for it"
    assert outcome["metrics"]["epoch"] == 4, "the winner was trained to the last rung"
    shown = desk.run("resume", "tiny", "--trials", str(outcome["trials"]))
    assert shown.returncode == 0, "what there was no time to show is shown"
    assert_books_agree(desk.store, "tiny", num_trials=outcome["trials"])
