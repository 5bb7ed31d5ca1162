"""Constraints and the front of the best through the real command."""

import json

import pytest

from search.trials import OVER_LIMITS
from tests.books import assert_books_agree
from tests.command import Desk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LIMITED = """
name: limited
data: digits
budget: {rungs: [1, 2], eta: 2}
constraints: {parameters: 60000}
parameters:
  model: {choice: {resnet9: {width: {choice: [4, 8, 64]}}, lenet5: {}}}
  optimizer: {choice: {adamw: {lr: {float: [0.001, 0.01], log: true}}}}
  training: {batch_size: 128}
baselines:
  - {model: resnet9, model.width: 64}
  - {model: resnet9, model.width: 4}
  - {model: resnet9, model.width: 8}
"""


def test_a_search_stays_within_its_constraints(desk: Desk) -> None:
    (desk.root / "limited.yaml").write_text(LIMITED)

    done = desk.run("search", "--space", "limited.yaml", "--trials", "6")
    shown = desk.run("leaderboard", "limited", "--format", "json")
    front = desk.run("leaderboard", "limited", "--pareto", "parameters", "--format", "json")

    assert done.returncode == 0, done.stderr
    assert "parameters, 60,000 allowed" in done.stdout
    rows = json.loads(shown.stdout)
    for row in rows:
        assert (row["parameters"] > 60_000) == (row["reason"] == OVER_LIMITS)
        assert row["latency_ms"] > 0
    refused = [row for row in rows if row["reason"] == OVER_LIMITS]
    assert f"{len(refused)} of 6 configurations cost more than `constraints` allows" in done.stdout
    assert refused[0]["trial"] == 0
    best = [(row["parameters"], row["val_accuracy"]) for row in json.loads(front.stdout)]
    assert best
    assert best == sorted(best), "what costs more is better"
    assert_books_agree(desk.store, "limited", num_trials=6)


def test_a_search_in_which_everything_costs_too_much_says_so(desk: Desk) -> None:
    (desk.root / "limited.yaml").write_text(LIMITED)

    done = desk.run("search", "--space", "limited.yaml", "--trials", "2", "--set", "constraints.parameters=10")

    assert "No configuration was within `constraints`" in done.stdout
    assert "Traceback" not in done.stderr
    assert_books_agree(desk.store, "limited", num_trials=2)
