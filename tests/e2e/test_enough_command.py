"""A search that ends early, or keeps few checkpoints, through the real command."""

import json
from typing import Any

import numpy as np
import pytest

from search.room import size_of
from search.schedulers import ENOUGH_PERFECT
from search.store import Store
from search.trials import NO_ROOM, State, Trial
from tests.books import assert_books_agree
from tests.command import Desk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MANY = 200  # far more trials than any of these searches begins
ALONE = ("--workers", "1", "--no-race", "--no-refit")


def outcome_of(desk: Desk, *options: str) -> dict[str, Any]:
    """Search with some options; return what came of it."""
    done = desk.run("search", "--space", "tiny.yaml", "--trials", str(MANY), *ALONE, *options, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_target_ends_a_search_with_the_trial_that_reached_it(desk: Desk) -> None:
    outcome = outcome_of(desk, "--target", "0.3")

    trials = assert_books_agree(desk.store, "tiny", num_trials=outcome["trials"])
    at_target = [t.number for t in trials if t.state is State.COMPLETE and t.results[-1].val_accuracy >= 0.3]
    assert at_target == [outcome["winner"]], "it ended with the first"
    assert outcome["test"]["accuracy"] > 0.2
    assert outcome["trials"] < MANY


@pytest.mark.parametrize("patience", ["3", "4s"])
def test_patience_ends_a_search_with_its_best_trained_to_the_end(desk: Desk, patience: str) -> None:
    outcome = outcome_of(desk, "--patience", patience)

    trials = assert_books_agree(desk.store, "tiny", num_trials=outcome["trials"])
    assert outcome["trials"] < MANY
    assert trials[outcome["winner"]].state is State.COMPLETE
    assert trials[outcome["winner"]].epoch == 4, "the last rung"


def test_when_no_trial_could_be_seen_to_be_better_the_search_ends_and_says_so(desk: Desk) -> None:
    """Black and white images are told apart by any network, so every score is as high as can be."""
    labels = np.arange(400) % 2
    noise = np.random.default_rng(0).integers(0, 100, (400, 8, 8, 1))
    images = (noise + 150 * labels[:, None, None, None]).astype(np.uint8)
    np.savez(desk.root / "easy.npz", x_train=images, y_train=labels, x_test=images[:50], y_test=labels[:50])

    done = desk.run("search", "--space", "tiny.yaml", "--data", "npz:easy.npz", "--trials", str(MANY), *ALONE)

    assert done.returncode == 0, done.stderr
    complete = [trial for trial in Store(desk.store).trials("tiny") if trial.state is State.COMPLETE]
    assert sum(trial.results[-1].val_accuracy == 1 for trial in complete) == ENOUGH_PERFECT
    assert "4 of them have a val/accuracy of 1, and no other could be seen to be better" in done.stdout
    assert "search on" not in done.stdout, "it would end at once"


def test_checkpoints_that_have_no_room_give_way_and_it_is_said(desk: Desk) -> None:
    done = desk.run("search", "--space", "tiny.yaml", "--trials", "8", *ALONE, "--disk", "0.01MB")

    assert done.returncode == 0, done.stderr
    trials = assert_books_agree(desk.store, "tiny", num_trials=8)
    gone = [trial for trial in trials if trial.reason == NO_ROOM]
    assert f"{len(gone)} paused trials ended early, as checkpoints had no more room: --disk gives them more" in (
        done.stdout
    )
    assert all(trial.state is State.PRUNED and not _bytes(desk, trial) for trial in gone)
    assert any(trial.state is State.COMPLETE for trial in trials), "the best of all never gives way"

    done = desk.run("resume", "tiny", "--trials", "12", "--disk", "1GB")
    assert done.returncode == 0, done.stderr
    trials = assert_books_agree(desk.store, "tiny", num_trials=12)
    assert [trial for trial in trials if trial.reason == NO_ROOM] == gone, "there was room for all others"


def _bytes(desk: Desk, trial: Trial) -> int:
    return size_of(Store(desk.store).job("tiny", trial.number)).total
