"""One job through the real command: from a space, from a trial, from a file."""

import json
from pathlib import Path

import pytest

from search.store import Store
from tests.books import assert_books_agree
from tests.command import Desk, make_desk

JOB = ("train", "--space", "tiny.yaml", "--set", "training.epochs=2", "--set", "model.width=4", "--study", "one")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Desk:
    """A desk on which one job has run."""
    desk = make_desk(tmp_path_factory.mktemp("trained"), template=template)
    done = desk.run(*JOB, "--json")
    assert done.returncode == 0, done.stderr
    (desk.root / "events.jsonl").write_text(done.stdout)
    return desk


def test_a_job_is_a_study_of_one_trial_whose_test_split_stays_locked(trained: Desk) -> None:
    (trial,) = assert_books_agree(trained.store, "one", num_trials=1)
    outcome = json.loads((trained.root / "events.jsonl").read_text().splitlines()[-1])

    assert trial.epoch == 2
    assert outcome["test"] is None
    assert [finding["word"] for finding in outcome["diagnosis"]] == ["too early"]
    assert outcome["metrics"]["val/accuracy"] == trial.results[-1].val_accuracy


def test_the_job_of_a_trial_is_trained_again_bit_for_bit(trained: Desk) -> None:
    done = trained.run("train", "--trial", "one:0", "--study", "again", "--test")

    assert done.returncode == 0, done.stderr
    assert "Test accuracy" in done.stdout
    (first,), (again,) = (Store(trained.store).trials(name) for name in ("one", "again"))
    assert again.config == first.config
    assert [(r.train_loss, r.val_loss) for r in again.results] == [(r.train_loss, r.val_loss) for r in first.results]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], "Give one of --space, --trial and --config"),
        (["--space", "digits", "--trial", "one:0"], "Give one of --space, --trial and --config"),
        (["--space", "digits", "--set", "optimizer.lr"], "must be PATH=VALUE"),
        (["--space", "digits", "--set", "optimizer.lrr=1"], "Did you mean 'optimizer.lr'?"),
        (["--space", "digits", "--set", "optimizer=sdg"], "Did you mean 'sgd'?"),
        (["--trial", "one:7"], "has no trial 7"),
        (["--trial", "on:0"], "Did you mean 'one'?"),
        (["--config", "none.yaml"], "no such file"),
        (["--config", "tiny.yaml"], "tiny.yaml"),
    ],
)
def test_a_job_that_nobody_could_run_is_refused_in_words(trained: Desk, arguments: list[str], wanted: str) -> None:
    done = trained.run("train", *arguments)

    assert done.returncode == 2, done.stderr
    assert wanted in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr
