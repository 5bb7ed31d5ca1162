"""The table of trials: what stands above what, and how a person reads it."""

import pandas as pd
import pytest
from search_samples import METRIC, after, new_trial, ordered, reached, result, trial_at

from search.leaderboard import COLUMNS, formatted, leaderboard, to_markdown
from search.names import run_name
from search.trials import State, Trial, ended, fold
from trainer.config import flat, job_config


def _numbers(items: list[Trial], objective: str = METRIC) -> list[int]:
    return list(leaderboard(items, objective)["trial"])


def _cell(column: str, value: object) -> str:
    """A value as it is written in its column."""
    return str(formatted(pd.DataFrame({column: [value]}, dtype=object)).iloc[0, 0])


def test_complete_trials_stand_first_by_score() -> None:
    items = [
        trial_at(0, {1.0: 0.99}),
        trial_at(1, {1.0: 0.5, 9.0: 0.6}, ended=State.COMPLETE),
        trial_at(2, {1.0: 0.5, 9.0: 0.7}, ended=State.COMPLETE),
        trial_at(3, {9.0: 0.8}),
    ]

    assert _numbers(items) == [2, 1, 3, 0]


def test_the_others_stand_by_how_far_they_came_and_then_by_score() -> None:
    items = [
        trial_at(0, {1.0: 0.9}, ended=State.PRUNED),
        trial_at(1, {1.0: 0.2, 3.0: 0.3}),
        trial_at(2, {1.0: 0.2, 3.0: 0.4}, ended=State.PRUNED),
        trial_at(3, {1.0: 0.95}, going_to=3.0),
    ]

    assert _numbers(items) == [2, 1, 3, 0]


def test_trials_without_a_result_and_failed_ones_stand_last() -> None:
    items = [
        trial_at(0, {1.0: 0.9, 3.0: 0.9}, ended=State.FAILED),
        trial_at(1, {}, going_to=1.0),
        trial_at(2, {1.0: 0.1}),
    ]

    assert _numbers(items) == [2, 1, 0]


def test_equal_trials_stand_in_the_order_of_their_numbers() -> None:
    assert _numbers([trial_at(number, {1.0: 0.5}) for number in (0, 1, 2)]) == [0, 1, 2]


def test_a_smaller_loss_stands_higher() -> None:
    items = [
        after(new_trial(number), ordered(9.0), result(9.0, loss=loss), reached(9.0), ended(State.COMPLETE, at=0.0))
        for number, loss in enumerate((0.5, 0.3, 0.4))
    ]

    assert _numbers(items, "val/loss") == [1, 2, 0]


def test_a_row_tells_what_the_trial_is_and_did() -> None:
    config = job_config({"model": "vit", "optimizer": "adamw", "optimizer.lr": 0.003, "training.batch_size": 64})
    trial = fold([{"kind": "created", "number": 4, "uid": "u", "params": {}, "config": flat(config), "at": 0.0}])
    assert trial is not None
    trial = after(trial, ordered(3.0), result(3.0, 0.75, loss=0.4, seconds=2.5), reached(3.0))

    (row,) = leaderboard([trial], METRIC).to_dict("records")

    assert row == {
        "rank": 1,
        "trial": 4,
        "state": "paused",
        "val_accuracy": 0.75,
        "val_top5_accuracy": 0.75,
        "val_balanced_accuracy": 0.75,
        "val_f1_macro": 0.75,
        "val_loss": 0.4,
        "epochs": 3.0,
        "model": "vit",
        "optimizer": "adamw",
        "lr": 0.003,
        "batch_size": 64,
        "parameters": 7,
        "flops": None,
        "latency_ms": None,
        "size_mb": None,
        "train_seconds": 2.5,
        "reason": "",
    }


@pytest.mark.parametrize(
    ("column", "value", "written"),
    [
        ("val_accuracy", 0.98765, "98.77 %"),
        ("val_accuracy", 1.0, "100.00 %"),
        ("val_accuracy", None, ""),
        ("val_accuracy", float("nan"), ""),
        ("val_top5_accuracy", 0.98765, "98.77 %"),
        ("val_loss", 0.123456, "0.1235"),
        ("val_loss", None, ""),
        ("lr", 0.0012345, "0.00123"),
        ("lr", 0.24, "0.24"),
        ("epochs", 18.0, "18"),
        ("epochs", 0.25, "0.25"),
        ("epochs", 0.0, "0"),
        ("train_seconds", 12.345, "12.3"),
        ("parameters", 2_003_456, "2,003,456"),
        ("rank", 3, "3"),
        ("reason", "killed(-9)", "killed(-9)"),
    ],
)
def test_a_value_is_written_as_a_person_reads_it(column: str, value: object, written: str) -> None:
    assert _cell(column, value) == written


@pytest.mark.parametrize(("epochs", "written"), [(1234.0, "1234"), (100.5, "100.5")])
def test_many_epochs_are_written_in_full(epochs: float, written: str) -> None:
    assert _cell("epochs", epochs) == written


def test_a_table_in_markdown_has_a_line_a_trial() -> None:
    table = leaderboard([trial_at(0, {1.0: 0.5}), trial_at(1, {1.0: 0.6})], METRIC)

    lines = to_markdown(table).splitlines()

    assert lines[0].startswith("| rank | trial | state | val accuracy |")
    assert set(lines[1]) == set("| -")
    shares = " | ".join(4 * ["60.00 %"])
    assert lines[2].startswith(f"| 1 | 1 | paused | {shares} | 1.0000 | 1 | fastnet | sgd | 0.1 | 128 | 7 |")
    assert len(lines) == 4


def test_without_trials_there_is_an_empty_table() -> None:
    table = leaderboard([], METRIC)

    assert list(table.columns) == list(COLUMNS)
    assert isinstance(table, pd.DataFrame)
    assert len(to_markdown(table).splitlines()) == 2


def test_what_curves_say_is_a_column_more_where_it_is_known() -> None:
    items = [trial_at(0, {1.0: 0.5}), trial_at(1, {1.0: 0.6})]

    table = leaderboard(items, METRIC, diagnoses={0: "too early", 1: "good fit"})

    assert list(table.columns) == [*COLUMNS, "diagnosis"]
    assert list(table["diagnosis"]) == ["good fit", "too early"]


def test_a_table_of_trials_without_results_can_be_written() -> None:
    lines = to_markdown(leaderboard([new_trial(0), new_trial(1)], METRIC)).splitlines()

    assert lines[2].startswith("| 1 | 0 | paused |  |  |  |  |  | 0 |")


def test_the_name_of_a_run_tells_its_number_model_and_optimizer() -> None:
    assert run_name(new_trial(12)) == "#12 fastnet sgd"


def test_a_model_without_epochs_has_neither_optimizer_nor_rate() -> None:
    config = flat(job_config({"model": "svm"}))
    trial = fold([{"kind": "created", "number": 3, "uid": "u", "params": {}, "config": config, "at": 0.0}])
    assert trial is not None
    trial = after(trial, ordered(1.0), result(1.0, 0.75), reached(1.0))

    table = leaderboard([trial, new_trial(0)], METRIC)

    assert list(table["optimizer"]) == ["", "sgd"]
    assert list(formatted(table)["lr"]) == ["", "0.1"]
    assert run_name(trial) == "#3 svm"
