"""What a search's logs tell of its workers' time."""

import pytest

from benchmarks.bookkeeping import spent
from search.eventlog import Record


def log(*, ordered: float, ready: float, trained: float, scored: float, ended: float) -> list[Record]:
    """A trial of one job, by when what happened."""
    result = {"kind": "EpochResult", "step": 7, "epoch_seconds": trained, "eval_seconds": scored}
    return [
        {"kind": "created", "at": ordered},
        {"kind": "ordered", "at": ordered, "until": 1.0},
        {"kind": "Started", "at": ready},
        result,
        {"kind": "Reached", "at": ended},
        {"kind": "ended", "at": ended},
    ]


def test_all_of_the_workers_time_is_accounted_for() -> None:
    one = log(ordered=100.0, ready=101.0, trained=6.0, scored=1.0, ended=110.0)
    other = log(ordered=100.0, ready=102.0, trained=7.0, scored=0.5, ended=111.0)
    third = log(ordered=112.0, ready=113.0, trained=5.0, scored=1.0, ended=120.0)

    found = spent([one, other, third])

    assert found.workers == 2
    assert found.wall == 20.0
    assert found.training == 18.0
    assert found.evaluation == 2.5
    assert found.starting == 4.0
    assert found.files == pytest.approx(10 + 11 + 8 - 18 - 2.5 - 4)
    assert found.idle == pytest.approx(40 - 29)


def test_results_that_a_checkpoint_sends_again_count_once() -> None:
    first = log(ordered=0.0, ready=1.0, trained=4.0, scored=1.0, ended=6.0)
    again = [{"kind": "ordered", "at": 8.0, "until": 2.0}, {"kind": "Started", "at": 9.0}, first[3]]
    later = {"kind": "EpochResult", "step": 14, "epoch_seconds": 3.0, "eval_seconds": 1.0}

    found = spent([[*first[:-1], *again, later, {"kind": "Reached", "at": 14.0}]])

    assert found.workers == 1
    assert (found.training, found.evaluation, found.starting) == (7.0, 2.0, 2.0)
    assert found.idle == pytest.approx(2.0)
