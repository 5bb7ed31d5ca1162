"""The executor that replays curves: it behaves as workers do, in simulated time."""

import math
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_samples import CRASHED, KILLED

from search.executors import Event, Executor, Gone
from search.executors.scripted import (
    LEAVING_SECONDS,
    Death,
    Failure,
    Mishap,
    Script,
    ScriptedExecutor,
    curve,
    reading,
)
from trainer import results
from trainer.config import JobConfig
from trainer.orders import MeasureOrder, TestOrder, TrainOrder
from trainer.results import EpochResult, Evaluation, Failed, Reached, Started, Stopped

ACCURACIES = (0.1, 0.2, 0.3, 0.4)
FITS: Executor = ScriptedExecutor(lambda _number, _config: Script(results=()))  # the type checker proves it


def _executor(*mishaps: Mishap, num_slots: int = 2, speed: float = math.inf) -> ScriptedExecutor:
    script = Script(results=curve(ACCURACIES, seconds_per_epoch=2.0), mishaps=mishaps, num_parameters=9)
    return ScriptedExecutor(lambda _number, _config: script, num_slots=num_slots, speed=speed)


def _order(until: float) -> TrainOrder:
    return TrainOrder(config=JobConfig(), data_root=Path("data"), directory=Path("job"), until=until)


def _run(executor: ScriptedExecutor) -> list[Event]:
    """Everything that happens until no job runs."""
    found: list[Event] = []
    while executor.free_slots < executor.num_slots:
        found += executor.events(timeout_seconds=1.0)
    return found


def _words(events: list[Event]) -> list[str]:
    """Events in short."""
    return [_word(event.what) for event in events]


def _word(what: object) -> str:
    match what:
        case EpochResult():
            return f"result {what.epoch:g}"
        case Started() | Reached() | Stopped():
            return f"{type(what).__name__.lower()} {what.epoch:g}"
        case Failed():
            return f"failed {what.reason}"
        case Gone():
            return f"gone {what.code}"
    return type(what).__name__


def test_a_job_starts_reports_reaches_its_epoch_and_is_gone() -> None:
    executor = _executor()

    executor.start(0, _order(2.0))

    assert _words(_run(executor)) == ["started 0", "result 1", "result 2", "reached 2", "gone 0"]


def test_events_carry_simulated_time() -> None:
    executor = _executor()
    executor.start(0, _order(2.0))

    events = [event.what for event in _run(executor)]

    assert [e.finished_at for e in events if isinstance(e, EpochResult)] == [2.0, 4.0]
    assert [e.at for e in events if isinstance(e, Reached)] == [4.0]
    assert executor.now == pytest.approx(4.0 + LEAVING_SECONDS)


def test_getting_ready_takes_its_time() -> None:
    script = Script(results=curve(ACCURACIES), ready_seconds=5.0)
    executor = ScriptedExecutor(lambda _number, _config: script)
    executor.start(0, _order(1.0))

    events = [event.what for event in _run(executor)]

    assert [e.ready_seconds for e in events if isinstance(e, Started)] == [5.0]
    assert [e.finished_at for e in events if isinstance(e, EpochResult)] == [6.0]


def test_a_job_that_goes_on_sends_the_results_of_its_checkpoint_again() -> None:
    executor = _executor()
    executor.start(0, _order(2.0))
    _run(executor)
    before = executor.now

    executor.start(0, _order(3.0))

    assert _words(_run(executor)) == [
        *("started 2", "result 1", "result 2"),
        *("result 3", "reached 3", "gone 0"),
    ]
    assert executor.now - before == pytest.approx(2.0 + LEAVING_SECONDS)


def test_a_worker_is_gone_only_after_its_last_event_was_delivered() -> None:
    executor = _executor(num_slots=1)
    executor.start(0, _order(1.0))
    executor.events(timeout_seconds=1.0)

    last = executor.events(timeout_seconds=1.0)

    assert _words(list(last)) == ["result 1", "reached 1"]
    assert executor.free_slots == 0
    assert _words(list(executor.events(timeout_seconds=1.0))) == ["gone 0"]
    assert executor.free_slots == 1


def test_jobs_of_different_pace_report_in_the_order_of_time() -> None:
    paces = {0: 3.0, 1: 1.0}
    executor = ScriptedExecutor(
        lambda number, _config: Script(results=curve(ACCURACIES, seconds_per_epoch=paces[number])), num_slots=2
    )
    executor.start(0, _order(1.0))
    executor.start(1, _order(4.0))

    found = [(e.job, e.what.epoch) for e in _run(executor) if isinstance(e.what, EpochResult)]

    assert found == [(1, 1.0), (1, 2.0), (0, 1.0), (1, 3.0), (1, 4.0)]


def test_a_stopped_job_leaves_a_checkpoint_within_the_epoch_and_goes_on_from_there() -> None:
    executor = _executor(num_slots=2)
    executor.start(0, _order(4.0))
    executor.start(1, _order(1.0))
    while executor.now < 2.0:
        executor.events(timeout_seconds=1.0)
    executor.events(timeout_seconds=1.0)  # job 1 leaves; 10 ms of the second epoch are done

    executor.stop(0)
    stopped = _words(_run(executor))
    executor.start(0, _order(4.0))
    began_at = executor.now
    resumed = _words(_run(executor))

    assert stopped == ["stopped 1.005", "gone 0"]
    assert resumed == [
        *("started 1.005", "result 1"),
        *("result 2", "result 3", "result 4", "reached 4", "gone 0"),
    ]
    assert executor.now - began_at == pytest.approx((4 - 1.005) * 2 + LEAVING_SECONDS)


@pytest.mark.parametrize("job", [0, 7])
def test_stopping_a_job_that_has_ended_does_nothing(job: int) -> None:
    executor = _executor()
    executor.start(0, _order(1.0))
    executor.events(timeout_seconds=1.0)
    executor.events(timeout_seconds=1.0)

    executor.stop(job)

    assert _words(_run(executor)) == ["gone 0"]


def test_a_worker_dies_once_where_it_is_told_to() -> None:
    executor = _executor(Death(2.0, KILLED))

    executor.start(0, _order(3.0))
    first = _words(_run(executor))
    executor.start(0, _order(3.0))
    second = _words(_run(executor))

    assert first == ["started 0", "result 1", "gone -9"]
    assert second == ["started 0", "result 1", "result 2", "result 3", "reached 3", "gone 0"]


def test_each_mishap_strikes_in_its_turn() -> None:
    executor = _executor(Death(2.0, KILLED), Death(2.0, CRASHED), Failure(2.5, "oom", "no memory"))

    last = []
    for _ in range(4):
        executor.start(0, _order(3.0))
        last.append(_words(_run(executor))[-2:])

    assert last == [
        ["result 1", "gone -9"],
        ["result 1", "gone -11"],
        ["failed oom", "gone 0"],
        ["reached 3", "gone 0"],
    ]


def test_a_mishap_beyond_the_order_waits_for_a_later_one() -> None:
    executor = _executor(Death(2.5, KILLED))

    executor.start(0, _order(2.0))
    first = _words(_run(executor))
    executor.start(0, _order(3.0))
    second = _words(_run(executor))

    assert first[-1] == "gone 0"
    assert second == ["started 2", "result 1", "result 2", "gone -9"]


def test_a_mishap_is_not_used_up_by_a_job_that_was_stopped_before_it() -> None:
    executor = _executor(Death(2.0, KILLED))
    executor.start(0, _order(3.0))
    executor.events(timeout_seconds=1.0)
    executor.stop(0)
    _run(executor)

    executor.start(0, _order(3.0))

    assert _words(_run(executor))[-1] == "gone -9"


def test_closing_kills_workers_and_keeps_checkpoints() -> None:
    executor = _executor()
    executor.start(0, _order(1.0))
    _run(executor)
    executor.start(0, _order(3.0))
    executor.events(timeout_seconds=1.0)

    executor.close()

    assert _words(_run(executor)) == ["gone -9"]
    executor.start(0, _order(3.0))
    assert _words(_run(executor))[0] == "started 1"


def test_results_may_be_anything_that_training_may_report() -> None:
    spoilt = reading(1.0, val_accuracy=0.5, val_loss=math.nan, seconds=1.0)
    executor = ScriptedExecutor(lambda _number, _config: Script(results=(spoilt,)))
    executor.start(0, _order(1.0))

    found = [event.what for event in _run(executor) if isinstance(event.what, EpochResult)]

    assert [result.is_sound() for result in found] == [False]


def test_other_orders_are_answered() -> None:
    scores = Evaluation(loss=0.1, accuracy=0.9, top5_accuracy=1.0, num_images=10, balanced_accuracy=0.9, f1_macro=0.9)
    tested = results.Tested(evaluation=scores, estimates={}, at=0.0)
    executor = ScriptedExecutor(lambda _n, _c: Script(results=()), answer=lambda _order: tested)

    executor.start(-1, TestOrder(config=JobConfig(), data_root=Path("data"), directory=Path("job")))

    assert [event.what for event in _run(executor)] == [tested, Gone(0)]


def test_where_nobody_answers_an_order_is_our_mistake() -> None:
    order = MeasureOrder(configs=(), data_root=Path("data"), device="cpu", num_cores=1, threads=None)

    with pytest.raises(AssertionError, match="nobody answers"):
        _executor().start(-1, order)


@pytest.mark.parametrize(
    ("prepare", "job", "until", "message"),
    [
        (lambda executor: executor.start(0, _order(1.0)), 0, 1.0, "job 0 runs already"),
        (lambda executor: executor.start(0, _order(1.0)), 1, 1.0, "no free slot for job 1"),
        (lambda _: None, 0, 1.5, "no result at epoch 1.5"),
    ],
)
def test_an_order_that_can_not_be_carried_out_is_our_mistake(
    prepare: Callable[[ScriptedExecutor], None], job: int, until: float, message: str
) -> None:
    executor = _executor(num_slots=1)
    prepare(executor)

    with pytest.raises(AssertionError, match=message):
        executor.start(job, _order(until))


def test_without_a_job_time_passes_and_nothing_happens() -> None:
    executor = _executor()

    assert executor.events(timeout_seconds=3.0) == []
    assert executor.now == 3.0


def test_at_a_finite_speed_time_is_waited_for() -> None:
    executor = _executor(speed=20.0)
    executor.start(0, _order(1.0))
    began_at = time.monotonic()

    words = _words(_run(executor))

    assert words[-1] == "gone 0"
    assert time.monotonic() - began_at >= 2.0 / 20


def test_at_a_finite_speed_nobody_waits_beyond_the_timeout() -> None:
    executor = _executor(speed=1.0)
    executor.start(0, _order(4.0))
    executor.events(timeout_seconds=0.0)

    assert executor.events(timeout_seconds=0.01) == []
    assert executor.now == pytest.approx(0.01)


@given(epoch=st.floats(0, 4))
def test_epochs_and_seconds_are_two_ways_to_say_the_same(epoch: float) -> None:
    script = Script(results=curve(ACCURACIES, seconds_per_epoch=2.0))

    assert script.seconds_to(epoch) == pytest.approx(2 * epoch)
    assert script.epoch_after(script.seconds_to(epoch)) == pytest.approx(epoch)
