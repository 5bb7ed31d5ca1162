"""The race of the finalists through the real command."""

import json
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest

from search.finish import ATTRIBUTE
from search.repeats import finalist_of, seed_of
from search.storage import open_storage
from search.store import Store, read_logs
from search.study import load_study
from search.trials import State
from tests.books import assert_books_agree
from tests.command import Desk, make_desk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# Of three kinds, so that they err on different images; many, so that a quarter of their training pays for some repeats.
SEVERAL = """
name: tiny
data: {source: digits, val_fraction: 0.5}
budget: {rungs: [4], eta: 2}
parameters:
  model: {choice: {resnet9: {width: 4}, lenet5: {}, cnn: {}}}
  optimizer: {choice: {adamw: {lr: {float: [0.001, 0.01], log: true}}}}
  training: {batch_size: 128}
  runtime: {micro_batch: 128, precision: float32}
"""
NUM_TRIALS = 14
# Drawn at random: what a model of earlier trials asks for depends on the seconds measured, and so would the offer.
DRAWN = ("--sampler", "random", "--scheduler", "none", "--workers", "1")
SEARCH = ("search", "--space", "tiny.yaml", "--trials", str(NUM_TRIALS), *DRAWN, "--json")


def outcome_of(lines: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lines.splitlines()[-1])
    return found


def num_readings(desk: Desk) -> int:
    """Return how often the test split was read for the study."""
    return len(load_study(open_storage(Store(desk.store).study_url), "tiny").attributes[ATTRIBUTE])


@pytest.fixture(scope="module")
def raced(tmp_path_factory: pytest.TempPathFactory, template: Path) -> tuple[Desk, str]:
    """A desk on which a search with a race has run, and what it told."""
    desk = make_desk(tmp_path_factory.mktemp("raced"), template=template, space=SEVERAL)
    done = desk.run(*SEARCH)
    assert done.returncode == 0, done.stderr
    return desk, done.stdout


def test_the_mean_over_seeds_decides(raced: tuple[Desk, str]) -> None:
    desk, told = raced
    outcome = outcome_of(told)
    events = [json.loads(line) for line in told.splitlines()]
    scores = {int(number): values for number, values in outcome["race"]["scores"].items()}

    (race,) = (event for event in events if event["event"] == "race")
    assert race["finalists"] == list(scores)
    assert len(scores) >= 2
    assert [event["seed"] for event in events if event["event"] == "repeated"].count(1) == len(scores)
    racing = {n: values for n, values in scores.items() if str(n) not in outcome["race"]["left"]}
    assert fmean(scores[outcome["winner"]]) == max(fmean(values) for values in racing.values())
    assert_books_agree(desk.store, "tiny", num_trials=NUM_TRIALS)


def test_repeats_take_at_most_a_quarter_of_what_the_search_trained(raced: tuple[Desk, str]) -> None:
    store = Store(raced[0].store)

    spent = sum(repeat.train_seconds for repeat in read_logs(store.race("tiny")))

    assert 0 < spent <= 0.25 * sum(trial.train_seconds for trial in store.trials("tiny")) * 2, "estimates err"


def test_repeats_leave_no_weights(raced: tuple[Desk, str]) -> None:
    names = {path.name for path in Store(raced[0].store).race("tiny").rglob("*") if path.is_file()}

    assert names == {"events.log", "predictions.npz"}


def test_the_winner_of_the_race_is_promoted_and_shown(raced: tuple[Desk, str]) -> None:
    desk, told = raced

    promoted = desk.run("promote", "tiny")

    assert promoted.returncode == 0, promoted.stderr
    assert f"trial {outcome_of(told)['winner']}" in promoted.stdout
    (table,) = (desk.store / "artifacts").rglob("finalists.md")
    assert f"| {outcome_of(told)['winner']} |" in table.read_text().splitlines()[2]
    shown = desk.run("leaderboard", "tiny").stdout
    _, told_of_race = shown.split("The finalists, each trained with several seeds")
    assert told_of_race.splitlines()[2].split()[0] == str(outcome_of(told)["winner"]), "first of them"


def test_weak_trials_are_better_together_and_promoted_as_one_model(raced: tuple[Desk, str]) -> None:
    desk, told = raced
    offered = outcome_of(told)["ensemble"]
    assert offered is not None
    assert offered["score"] > offered["winner_score"]

    done = desk.run("promote", "tiny", "--ensemble", "--name", "several")

    assert done.returncode == 0, done.stderr
    assert "together" in done.stdout
    script = (
        "import mlflow, numpy; mlflow.set_tracking_uri('sqlite:///mlruns/mlflow.db');"
        "model = mlflow.pyfunc.load_model('models:/several@champion');"
        "found = model.predict(numpy.zeros((3, 8, 8, 1), numpy.uint8));"
        "numpy.save('answers.npy', found['probabilities'] if isinstance(found, dict) else found)"
    )
    assert desk.run_python(script).returncode == 0
    np.testing.assert_allclose(np.load(desk.root / "answers.npy").sum(axis=1), 1, rtol=1e-5)


def test_the_same_command_again_repeats_nothing(raced: tuple[Desk, str]) -> None:
    desk, told = raced
    readings = num_readings(desk)  # others than the search's own may have been asked for by a promotion

    again = desk.run(*SEARCH)

    assert '"repeated"' not in again.stdout
    assert outcome_of(again.stdout)["race"] == outcome_of(told)["race"]
    assert outcome_of(again.stdout)["test"] == outcome_of(told)["test"] | {"readings": readings}
    assert num_readings(desk) == readings


def test_a_killed_race_goes_on_and_ends_alike(raced: tuple[Desk, str], desk: Desk) -> None:
    (desk.root / "tiny.yaml").write_text(SEVERAL)
    with desk.started(*SEARCH[:-1]) as running:
        running.wait_for("repeated")
        running.process.kill()

    resumed = desk.run("resume", "tiny", "--workers", "1", "--json")

    assert resumed.returncode == 0, resumed.stderr
    undisturbed, found = outcome_of(raced[1])["race"], outcome_of(resumed.stdout)["race"]
    for number in undisturbed["scores"].keys() & found["scores"].keys():
        assert all(a == b for a, b in zip(undisturbed["scores"][number], found["scores"][number], strict=False))
    complete = [r for r in read_logs(Store(desk.store).race("tiny")) if r.state is State.COMPLETE]
    assert len({(finalist_of(r), seed_of(r)) for r in complete}) == len(complete), "no seed is trained twice"
    assert_books_agree(desk.store, "tiny", num_trials=NUM_TRIALS)
