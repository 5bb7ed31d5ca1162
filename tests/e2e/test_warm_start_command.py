"""A search that begins with what an earlier one found, through the real command."""

import json

import pytest

from search.resume import remembered_request
from search.storage import open_storage
from search.store import Store, open_store
from search.study import create_study, study_names
from search.trials import State
from tests.books import assert_books_agree
from tests.command import Desk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_what_an_earlier_study_found_best_is_tried_first(desk: Desk) -> None:
    assert desk.run("search", "--space", "tiny.yaml", "--trials", "4", "--no-refit").returncode == 0
    store = Store(desk.store)
    complete = [trial for trial in store.trials("tiny") if trial.state is State.COMPLETE]
    best = max(complete, key=lambda trial: trial.results[-1].val_accuracy)

    done = desk.run(
        *("search", "--space", "tiny.yaml", "--study", "warm", "--trials", "3", "--warm-start", "auto", "--json")
    )

    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    (warm,) = (event for event in told if event["event"] == "warm_start")
    assert warm["studies"] == ["tiny"]
    assert dict(store.trials("warm")[0].params) == dict(best.params)
    assert_books_agree(desk.store, "warm", num_trials=3)

    refused = desk.run(
        *("search", "--space", "tiny.yaml", "--trials", "500", "--sampler", "random", "--warm-start", "warm")
    )
    assert refused.returncode == 2
    assert "has begun without --warm-start" in refused.stderr
    known = remembered_request("tiny", store=desk.store, storage=None, cache=desk.store)
    assert (known.max_trials, known.sampler) == (4, "mixed"), "what is refused changes nothing"


def test_a_study_that_has_nothing_to_teach_is_told_before_anything_is_made(desk: Desk) -> None:
    load = open_storage(open_store(desk.store).study_url)
    create_study(load, "empty", "val/accuracy")

    done = desk.run("search", "--space", "tiny.yaml", "--warm-start", "empty")

    assert done.returncode == 2
    assert "'empty' has no trial that was trained to the end" in done.stderr
    assert study_names(load) == ["empty"]


def test_a_study_that_is_not_there_is_told_before_anything_is_made(desk: Desk) -> None:
    done = desk.run("search", "--space", "tiny.yaml", "--warm-start", "nothing")

    assert done.returncode == 2
    assert "No study is called 'nothing'" in done.stderr
    assert not Store(desk.store).study("tiny").exists()
