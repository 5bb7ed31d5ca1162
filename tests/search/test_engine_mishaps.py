"""The driver, when something goes wrong with a trial."""

import math

import pytest
from search_samples import (
    CRASHED,
    KILLED,
    Stage,
    assert_over,
    learns,
    states,
    with_mishaps,
)

from search.book import best_of
from search.errors import StudyError
from search.executors.scripted import Death, Failure, Script, reading
from search.trials import State
from trainer.config import JobConfig


def _unsound(number: int, config: JobConfig) -> Script:
    """Trial 1 loses its loss at the second epoch."""
    results = list(learns(number, config).results)
    if number == 1:
        results[1] = reading(2.0, val_accuracy=0.1, val_loss=math.nan, seconds=1.0)
    return Script(results=tuple(results))


def test_an_unsound_result_fails_its_trial_and_is_not_kept(stage: Stage) -> None:
    scene = stage(max_trials=2, scripts=_unsound)  # trial 1 is the better one, and goes on

    assert scene.run()

    failed, other = scene.trials[1], scene.trials[0]
    assert (failed.state, failed.reason) == (State.FAILED, "nan_loss")
    assert [result.epoch for result in failed.results] == [1.0]
    assert other.state is State.COMPLETE
    assert_over(scene, 2)


def test_the_worker_of_an_unsound_result_makes_room_at_once(stage: Stage) -> None:
    def script(number: int, config: JobConfig) -> Script:
        results = list(learns(number, config).results)
        if number == 1:
            results[3] = reading(4.0, val_accuracy=0.1, val_loss=math.nan, seconds=1.0)
        return Script(results=tuple(results))

    scene = stage(max_trials=2, scripts=script, num_slots=1)

    assert scene.run()

    assert scene.trials[1].reason == "nan_loss"
    assert scene.executor.now == pytest.approx(9 + 4, abs=0.5)  # epochs of a second each


def test_a_nan_at_the_first_epoch_fails_its_trial(stage: Stage) -> None:
    spoilt = (reading(1.0, val_accuracy=0.1, val_loss=math.nan, seconds=1.0),)
    scene = stage(
        max_trials=3,
        scripts=lambda number, config: Script(results=spoilt) if number == 1 else learns(number, config),
    )

    assert scene.run()

    assert (scene.trials[1].state, scene.trials[1].reason) == (State.FAILED, "nan_loss")
    assert scene.trials[1].results == ()
    assert "nan" in scene.trials[1].message
    assert_over(scene, 3)


@pytest.mark.parametrize("accuracy", [1.5, -0.1, math.inf])
def test_an_impossible_accuracy_fails_its_trial(stage: Stage, accuracy: float) -> None:
    results = (reading(1.0, val_accuracy=accuracy, val_loss=1.0, seconds=1.0),)
    scene = stage(max_trials=1, scripts=lambda _number, _config: Script(results=results))

    assert scene.run()

    assert (scene.trials[0].state, scene.trials[0].reason) == (State.FAILED, "nan_loss")


def test_a_worker_that_was_killed_is_tried_again_from_its_checkpoint(stage: Stage) -> None:
    scene = stage(max_trials=1, scripts=with_mishaps({0: (Death(5.0, KILLED),)}))

    assert scene.run()

    trial = scene.trials[0]
    assert (trial.state, trial.deaths) == (State.COMPLETE, 1)
    assert [n.values["epoch"] for n in scene.notices if n.kind == "started"] == [0.0, 1.0, 3.0, 3.0]
    assert [r.epoch for r in trial.results] == [float(epoch) for epoch in range(1, 10)]
    assert_over(scene, 1)


@pytest.mark.parametrize("code", [KILLED, 143])
def test_a_worker_that_was_killed_twice_fails_its_trial(stage: Stage, code: int) -> None:
    scene = stage(max_trials=2, scripts=with_mishaps({0: (Death(0.5, code), Death(0.5, code))}))

    assert scene.run()

    assert (scene.trials[0].state, scene.trials[0].reason) == (State.FAILED, f"killed({code})")
    assert "memory" in scene.trials[0].message
    assert scene.trials[1].state is State.COMPLETE
    assert_over(scene, 2)


def test_a_trial_whose_workers_hang_twice_fails(stage: Stage) -> None:
    hangs = (Death(0.5, KILLED, has_hung=True), Death(0.5, KILLED, has_hung=True))
    scene = stage(max_trials=2, scripts=with_mishaps({0: hangs}))

    assert scene.run()

    assert (scene.trials[0].state, scene.trials[0].reason) == (State.FAILED, "timeout")
    assert scene.trials[1].state is State.COMPLETE
    assert_over(scene, 2)


@pytest.mark.parametrize("code", [CRASHED, 0])
def test_a_worker_that_crashed_fails_its_trial_at_once(stage: Stage, code: int) -> None:
    scene = stage(max_trials=2, scripts=with_mishaps({0: (Death(0.5, code),)}))

    assert scene.run()

    assert (scene.trials[0].state, scene.trials[0].reason) == (State.FAILED, f"crashed({code})")
    assert scene.numbers("started").count(0) == 1
    assert_over(scene, 2)


def test_a_trial_that_fails_leaves_the_search_going_on(stage: Stage) -> None:
    scene = stage(max_trials=4, scripts=with_mishaps({0: (Failure(0.5, "oom", "no memory"),)}))

    assert scene.run()

    failed = scene.trials[0]
    assert (failed.state, failed.reason, failed.message) == (State.FAILED, "oom", "no memory")
    assert states(scene.trials)[State.COMPLETE] > 0
    assert_over(scene, 4)


def test_a_trial_that_fails_late_keeps_its_results(stage: Stage) -> None:
    scene = stage(max_trials=1, scripts=with_mishaps({0: (Failure(5.5, "oom"),)}))

    assert scene.run()

    assert scene.trials[0].state is State.FAILED
    assert len(scene.trials[0].results) == 5


def test_f26_trials_that_fail_one_after_the_other_stop_the_search(stage: Stage) -> None:
    fails = Failure(0.5, "disk_full", "No space left on device")
    works = 2  # one that comes to a rung among those that fail
    scene = stage(max_trials=30, scripts=lambda n, c: with_mishaps({} if n == works else {n: (fails,)})(n, c))

    with pytest.raises(StudyError, match=r"The last 8 trials have failed.* with reason disk_full: No space left"):
        scene.run()

    failed = [trial.number for trial in scene.trials if trial.state is State.FAILED]
    assert len(failed) in (2 + 8, 2 + 9), "and perhaps one in the other slot"
    assert not any(trial.state is State.RUNNING for trial in scene.trials)
    assert not scene.trials[works].state.is_over, "it can go on"


def test_trainings_that_diverge_stop_no_search_in_which_others_do_not(stage: Stage) -> None:
    """A space may hold many rates that are too high; that eight of them come in a row says nothing of the next one."""
    diverges = Failure(0.5, "nan_loss", "the loss is nan")
    scene = stage(max_trials=30, scripts=lambda n, c: with_mishaps({n: (diverges,)} if 2 <= n < 22 else {})(n, c))

    assert scene.run()

    assert_over(scene, 30)
    assert sum(trial.reason == "nan_loss" for trial in scene.trials) == 20


def test_where_every_training_diverges_the_search_stops(stage: Stage) -> None:
    diverges = Failure(0.5, "nan_loss", "the loss is nan")
    scene = stage(max_trials=30, scripts=lambda n, c: with_mishaps({n: (diverges,)})(n, c))

    with pytest.raises(StudyError, match=r"The last \d+ trials have failed.* with reason nan_loss"):
        scene.run()


def test_a_few_failures_among_many_jobs_do_not_stop_a_search(stage: Stage) -> None:
    fails = Failure(0.5, "oom", "no memory")  # at once, before any other of the 40 has come to a rung
    scene = stage(max_trials=50, num_slots=40, scripts=lambda n, c: with_mishaps({n: (fails,)} if n < 12 else {})(n, c))

    assert scene.run()

    assert states(scene.trials)[State.FAILED] == 12
    assert_over(scene, 50)


def test_a_search_in_which_every_trial_fails_ends(stage: Stage) -> None:
    scene = stage(max_trials=3, scripts=lambda n, c: with_mishaps({n: (Failure(0.5, "bad_config"),)})(n, c))

    assert scene.run()

    assert states(scene.trials) == {State.FAILED: 3}
    assert best_of(scene.trials, "val/accuracy") is None
    assert_over(scene, 3)
