"""The driver, interrupted, or out of time."""

import time
from collections.abc import Callable, Sequence

import pytest
from search_samples import (
    KILLED,
    PARAMS,
    Scene,
    Stage,
    assert_over,
    learns,
    ordered,
)

from search.errors import StudyError
from search.executors import Event
from search.executors.scripted import Script, ScriptedExecutor, curve
from search.trials import State, died
from trainer.config import JobConfig


def _after(scene: Scene, num_notices: int) -> Callable[[], bool]:
    return lambda: len(scene.notices) >= num_notices


@pytest.mark.parametrize("num_notices", [0, 4, 12])
def test_an_interrupted_search_can_go_on_and_ends_with_as_many_trials_as_wanted(stage: Stage, num_notices: int) -> None:
    scene = stage(max_trials=5)

    is_finished = scene.run(is_interrupted=_after(scene, num_notices))

    assert not is_finished
    assert not [trial for trial in scene.trials if trial.state is State.RUNNING]
    scene.open()
    assert scene.run()
    assert_over(scene, 5)


def test_an_interrupted_trial_goes_on_from_where_it_was_stopped(stage: Stage) -> None:
    paces = {0: 1.0, 1: 3.0}
    scene = stage(
        max_trials=2,
        scripts=lambda number, config: Script(
            results=curve([0.1 * epoch for epoch in range(1, 10)], seconds_per_epoch=paces[number])
        ),
    )
    scene.run(is_interrupted=lambda: bool(scene.numbers("epoch")))

    stopped = scene.trials[1]
    scene.open()
    scene.run()

    assert 0.3 < stopped.epoch < 1
    starts = [n.values["epoch"] for n in scene.notices if n.kind == "started" and n.trial and n.trial.number == 1]
    assert starts[:2] == [0.0, stopped.epoch]


def test_what_ran_when_its_driver_failed_is_shown_as_paused(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as when the head of a cluster is lost: nobody is there to run what would be shown as running."""
    scene = stage(max_trials=4)
    taken = scene.executor.events

    def fail(*, timeout_seconds: float) -> Sequence[Event]:
        if scene.numbers("ordered"):
            raise StudyError("the head is gone")
        return taken(timeout_seconds=timeout_seconds)

    monkeypatch.setattr(ScriptedExecutor, "events", lambda _, timeout_seconds: fail(timeout_seconds=timeout_seconds))
    with pytest.raises(StudyError, match="gone"):
        scene.run()

    assert State.RUNNING in {trial.state for trial in scene.trials}, "their logs say so until somebody goes on"
    assert {trial.state for trial in scene.tape.trials} == {State.PAUSED}


def test_nothing_begins_after_an_interruption(stage: Stage) -> None:
    scene = stage(max_trials=5)

    scene.run(is_interrupted=_after(scene, 6))

    later = [notice.kind for notice in scene.notices[6:]]
    assert "ordered" not in later


def test_a_worker_that_leaves_no_checkpoint_in_time_is_killed_and_its_trial_released(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.engine.DRAIN_SECONDS", 0.0)
    scene = stage(max_trials=3)

    scene.run(is_interrupted=_after(scene, 3))

    assert [scene.records(trial.number)[-1]["kind"] for trial in scene.trials] == ["released", "released"]
    assert not [trial for trial in scene.trials if trial.state is State.RUNNING or trial.deaths]


def test_a_search_that_is_over_is_over_when_it_is_run_again(stage: Stage) -> None:
    scene = stage(max_trials=3)
    scene.run()
    num_notices = len(scene.notices)

    scene.open()

    assert scene.run()
    assert len(scene.notices) == num_notices


def test_a_search_that_is_over_goes_on_with_more_trials(stage: Stage) -> None:
    scene = stage(max_trials=3)
    scene.run()

    scene.open()
    scene.max_trials = 5

    assert scene.run()
    assert_over(scene, 5)


# The time limit; jobs train in real time here, a hundredth of a second an epoch


def _real(number: int, config: JobConfig) -> Script:
    return Script(results=curve([r.val_accuracy for r in learns(number, config).results], seconds_per_epoch=0.01))


def _hung(number: int, config: JobConfig) -> Script:
    """The first trial never gets anywhere."""
    script = _real(number, config)
    if number:
        return script
    return Script(results=curve([r.val_accuracy for r in script.results], seconds_per_epoch=1000.0))


def _unequal(number: int, config: JobConfig) -> Script:
    """The first trial is slow."""
    accuracies = [result.val_accuracy for result in learns(number, config).results]
    return Script(results=curve(accuracies, seconds_per_epoch=0.01 if number else 0.2))


def test_a_search_without_time_begins_nothing(stage: Stage) -> None:
    scene = stage()

    assert scene.run(seconds=-1.0)

    assert scene.trials == []


def test_at_the_deadline_what_runs_is_killed_and_pruned(stage: Stage) -> None:
    scene = stage(max_trials=1, scripts=_hung, speed=1.0)

    assert scene.run(seconds=0.3)

    assert (scene.trials[0].state, scene.trials[0].reason) == (State.PRUNED, "time")
    assert_over(scene, 1)


def test_a_trial_that_the_deadline_kills_did_not_die(stage: Stage) -> None:
    scene = stage(max_trials=1, scripts=_hung, speed=1.0)
    scene.book.begin_trial(PARAMS)
    for record in (ordered(1.0), died(KILLED, at=0.0)):
        scene.book.record(0, record)

    assert scene.run(seconds=0.3)

    assert (scene.trials[0].state, scene.trials[0].reason) == (State.PRUNED, "time")


def test_with_little_time_the_best_trial_is_trained_to_the_end(stage: Stage) -> None:
    scene = stage(max_trials=2, scripts=_unequal, speed=1.0, num_slots=3)

    assert scene.run(seconds=4.0)  # within the margin from the first reading on

    assert scene.trials[1].state is State.COMPLETE


@pytest.mark.parametrize("num_slots", [1, 2])
def test_with_little_time_and_no_free_slot_nothing_begins_until_the_best_is_trained(
    stage: Stage, num_slots: int
) -> None:
    scene = stage(max_trials=100, scripts=_unequal, speed=1.0, num_slots=num_slots)

    scene.run(seconds=4.0, is_interrupted=lambda: bool(scene.numbers("complete")))

    (best,) = scene.numbers("complete")
    kinds = [(n.kind, n.trial.number) for n in scene.notices if n.trial]
    since = kinds[kinds.index(("paused", best)) :]
    assert not [number for kind, number in since if kind == "ordered" and number != best]


def test_a_search_ends_at_its_deadline(stage: Stage) -> None:
    scene = stage(scripts=_hung, speed=1.0, num_slots=1)
    begin = time.monotonic()

    assert scene.run(seconds=0.4)

    assert 0.4 <= time.monotonic() - begin < 3
    assert_over(scene, 1)
