"""What happens in a search, as lines of a log."""

from typing import Any

import pytest

from autoclf.lines import data_line, plain_line
from search.notices import Notice
from search.trials import NO_ROOM, OVER_LIMITS, State, ended
from tests.search.search_samples import after, trial_at


@pytest.mark.parametrize(
    ("kind", "values", "line"),
    [
        (
            "absent",
            {"split": "val", "classes": ("airplane",)},
            "Note: no validation images of airplane. No score tells how well these are recognised.",
        ),
        (
            "absent",
            {"split": "train", "classes": ("a", "b", "c", "d", "e")},
            "Note: no training images of a, b, c and 2 more. No model can learn what they look like.",
        ),
        ("dropped", {"number": 3}, "Left out 3 copies of other images."),
    ],
)
def test_what_is_odd_about_the_data_is_told(kind: str, values: dict[str, Any], line: str) -> None:
    assert data_line(Notice(kind=kind, values=values)) == line


@pytest.mark.parametrize(
    ("kind", "values", "line"),
    [
        ("race", {"finalists": [3, 1]}, "Training the finalists with other seeds: #3, #1 ..."),
        (
            "no_race",
            {"finalists": [3, 1]},
            "#3, #1 are close, but not trained with other seeds: that would take more than a quarter of the training "
            "so far, or than the time that is left.",
        ),
    ],
)
def test_what_becomes_of_a_race_is_told(kind: str, values: dict[str, Any], line: str) -> None:
    assert plain_line(Notice(kind=kind, values=values), "") == line


@pytest.mark.parametrize(
    ("kind", "values", "line"),
    [
        ("repeated", {"seed": 2, "state": "complete", "val/accuracy": 0.875}, "with seed +2: val accuracy 87.50 %"),
        ("repeated", {"seed": 2, "state": "failed"}, "with seed +2: failed"),
        ("no_refit", {"seconds": 61.0}, "is not trained on validation images, too: that takes 1:01, and less is left."),
        ("no_refit", {"seconds": None}, "is not trained on validation images, too: the time was over before it was."),
    ],
)
def test_what_becomes_of_finalists_and_winner_is_told(kind: str, values: dict[str, Any], line: str) -> None:
    notice = Notice(kind=kind, trial=trial_at(4, {1.0: 0.5}), values=values)

    assert plain_line(notice, "").endswith(line)
    assert plain_line(notice, "").startswith("#4 ")


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        (OVER_LIMITS, "#4 fastnet sgd: not trained. Too slow."),
        (NO_ROOM, "#4 fastnet sgd: gave way, as checkpoints have no more room (--disk)."),
        ("rung", ""),
    ],
)
def test_a_trial_that_ended_out_of_turn_is_told(reason: str, line: str) -> None:
    end = ended(State.PRUNED, reason=reason, message="Too slow.", at=0.0)
    notice = Notice(kind="pruned", trial=after(trial_at(4, {1.0: 0.5}), end))

    assert plain_line(notice, "") == line
