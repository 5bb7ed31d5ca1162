"""Trials that go wrong by themselves; the study goes on. Numbers as in docs/faults.md."""

from pathlib import Path

import pytest

from search.store import Store
from search.trials import State
from tests.books import assert_books_agree
from tests.command import SPACE, Desk, make_desk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

DIVERGES = SPACE.replace("lr: {float: [0.01, 0.3], log: true}", "lr: {float: [0.01, 1.0e+30], log: true}") + (
    "baselines:\n"
    "  - {model: resnet9, model.width: 4, optimizer: sgd, optimizer.lr: 1.0e+30}\n"
    "  - {model: resnet9, model.width: 4, optimizer: adamw, optimizer.lr: 0.003}\n"
)
NOTHING_WORKS = SPACE.replace("lr: {float: [0.01, 0.3], log: true}", "lr: {float: [1.0e+20, 1.0e+30], log: true}")
HUGE = SPACE.replace("resnet9: {width: {choice: [4, 8]}}", "resnet9: {width: 4}\n      resnet18: {width: 512}") + (
    "baselines:\n"
    "  - {model: resnet9, optimizer: adamw, optimizer.lr: 0.003}\n"
    "  - {model: resnet18, optimizer: sgd, optimizer.lr: 0.1}\n"
    "  - {model: resnet9, optimizer: sgd, optimizer.lr: 0.1}\n"
)


def test_f17_a_loss_that_is_no_number_fails_the_trial_at_once(tmp_path: Path, template: Path) -> None:
    desk = make_desk(tmp_path, template=template, space=DIVERGES)

    done = desk.run("search", "--space", "tiny.yaml", "--trials", "2")

    assert done.returncode == 0, done.stderr
    trials = assert_books_agree(desk.store, "tiny", num_trials=2)
    assert trials[0].state is State.FAILED
    assert trials[0].reason == "nan_loss"
    assert "Narrow `optimizer.lr`" in trials[0].message
    assert trials[1].state is State.COMPLETE


def test_f26_trials_that_fail_one_after_the_other_stop_the_search(tmp_path: Path, template: Path) -> None:
    desk = make_desk(tmp_path, template=template, space=NOTHING_WORKS)

    done = desk.run("search", "--space", "tiny.yaml", "--trials", "100", "--set", "optimizer=sgd")

    assert done.returncode == 2
    assert "The last 8 trials have failed, one after the other" in done.stderr
    assert "with reason nan_loss" in done.stderr
    assert "Traceback" not in done.stderr
    trials = Store(desk.store).trials("tiny")
    assert [trial.state for trial in trials].count(State.FAILED) in (8, 9)
    assert len(trials) < 15


def test_f19_a_trial_that_needs_too_much_memory_fails_and_the_study_goes_on(tmp_path: Path, template: Path) -> None:
    desk = make_desk(tmp_path, template=template, space=HUGE)
    limited = Desk(desk.root, desk.environment)
    words = " ".join(limited.command("search", "--space", "tiny.yaml", "--trials", "3", "--workers", "1"))

    done = limited.run_shell(f"ulimit -v 6000000; exec {words}")

    assert done.returncode == 0, done.stderr
    trials = assert_books_agree(desk.store, "tiny", num_trials=3)
    assert [trial.state for trial in trials].count(State.FAILED) == 1
    assert trials[1].reason == "oom"
