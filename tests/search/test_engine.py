"""The driver: whole searches with scripted jobs on real books, and what becomes of those that go wrong."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from search_samples import (
    CRASHED,
    KILLED,
    NAME,
    PARAMS,
    Ground,
    Scene,
    learns,
    ordered,
    quality,
    states,
    with_mishaps,
)

from search.book import best_of
from search.executors.scripted import Death, Failure, Script, curve, reading
from search.notices import Notice
from search.store import Store
from search.trials import State, Trial, died
from spaces import SearchSpace
from trainer.config import JobConfig

Stage = Callable[..., Scene]
ENDS = ("complete", "pruned", "failed")


@pytest.fixture
def stage(ground: Ground, small_space: SearchSpace) -> Stage:
    """A scene in a store of its own."""

    def make(**options: object) -> Scene:
        return Scene(ground=ground, space=small_space, **options)  # type: ignore[arg-type]

    return make


def _assert_over(scene: Scene, num_trials: int) -> None:
    """Check that every trial ended, once, in every book."""
    assert [trial.number for trial in scene.trials] == list(range(num_trials))
    assert all(trial.state.is_over for trial in scene.trials)
    assert sorted(number for kind in ENDS for number in scene.numbers(kind)) == list(range(num_trials))
    for number in range(num_trials):
        assert [record["kind"] for record in scene.records(number)].count("ended") == 1
    assert not [trial for trial in scene.book.study.trials() if not trial.state.is_finished()]
    assert scene.tape.trials == scene.trials


# A whole search


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, database: RDBStorage, small_space: SearchSpace) -> Scene:
    """A search of 20 trials that has ended."""
    ground = Ground(Store(tmp_path_factory.mktemp("whole")), database)
    scene = Scene(ground=ground, space=small_space, max_trials=20)
    assert scene.run()
    return scene


def test_a_whole_search_ends_every_trial_once(whole: Scene) -> None:
    _assert_over(whole, 20)


def test_a_whole_search_trains_some_to_the_end_and_prunes_the_others(whole: Scene) -> None:
    counts = states(whole.trials)

    assert counts == {State.COMPLETE: counts[State.COMPLETE], State.PRUNED: 20 - counts[State.COMPLETE]}
    assert 2 <= counts[State.COMPLETE] <= 5
    assert {trial.reason for trial in whole.trials} == {"", "rung"}


def test_a_whole_search_finds_the_best_of_what_it_drew(whole: Scene) -> None:
    best = max(whole.trials, key=lambda trial: quality(trial.config))

    assert best_of(whole.trials, "val/accuracy") == best
    assert best.state is State.COMPLETE


def test_the_study_agrees_with_a_whole_search(whole: Scene) -> None:
    best = best_of(whole.trials, "val/accuracy")
    study = whole.book.study.study

    assert best is not None
    assert study.best_trial.number == best.number
    assert study.best_value == best.results[-1].val_accuracy
    assert {trial.state for trial in whole.book.study.trials()} == {TrialState.COMPLETE, TrialState.PRUNED}


def test_a_whole_search_spends_few_epochs_on_many_trials(whole: Scene) -> None:
    epochs = sum(trial.results[-1].epoch for trial in whole.trials)

    assert epochs < 0.5 * 20 * 9


def test_a_trial_is_sent_from_rung_to_rung(whole: Scene) -> None:
    complete = next(trial for trial in whole.trials if trial.state is State.COMPLETE)

    until = [record["until"] for record in whole.records(complete.number) if record["kind"] == "ordered"]
    epochs = [result.epoch for result in complete.results]

    assert until == [1.0, 3.0, 9.0]
    assert epochs == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]


def test_a_result_is_noticed_once_however_often_it_is_sent(whole: Scene) -> None:
    noticed = [(n.trial.number, n.values["epoch"]) for n in whole.notices if n.kind == "epoch" and n.trial]

    assert len(noticed) == len(set(noticed)) == sum(len(trial.results) for trial in whole.trials)


def test_baselines_are_the_first_trials(whole: Scene, small_space: SearchSpace) -> None:
    for baseline, trial in zip(small_space.baselines, whole.trials, strict=False):
        assert trial.params.items() >= baseline.items()


@pytest.mark.parametrize("num_slots", [1, 3])
def test_all_slots_are_used_and_no_more(stage: Stage, num_slots: int) -> None:
    running: set[int] = set()
    most = 0
    scene = stage(max_trials=4, num_slots=num_slots)

    scene.run()

    for notice in scene.notices:
        assert notice.trial is not None
        if notice.kind == "ordered":
            running.add(notice.trial.number)
        elif notice.kind in (*ENDS, "paused"):
            running.discard(notice.trial.number)
        most = max(most, len(running))
    assert most == num_slots


def test_equal_searches_draw_equal_trials(tmp_path: Path, database: RDBStorage, small_space: SearchSpace) -> None:
    found = []
    for name in ("a", "b"):
        scene = Scene(ground=Ground(Store(tmp_path / name), database), space=small_space, max_trials=4)
        scene.run()
        found.append([(trial.params, trial.state) for trial in scene.trials])

    assert found[0] == found[1]


def test_a_loss_is_made_small(ground: Ground, small_space: SearchSpace) -> None:
    space = replace(small_space, objective=replace(small_space.objective, metric="val/loss"))
    scene = Scene(ground=ground, space=space, max_trials=4)

    scene.run()

    best = max(scene.trials, key=lambda trial: quality(trial.config))
    assert best_of(scene.trials, "val/loss") == best
    assert scene.book.study.study.best_trial.number == best.number


# What goes wrong with a trial


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
    _assert_over(scene, 2)


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
    _assert_over(scene, 3)


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
    _assert_over(scene, 1)


@pytest.mark.parametrize("code", [KILLED, 143])
def test_a_worker_that_was_killed_twice_fails_its_trial(stage: Stage, code: int) -> None:
    scene = stage(max_trials=2, scripts=with_mishaps({0: (Death(0.5, code), Death(0.5, code))}))

    assert scene.run()

    assert (scene.trials[0].state, scene.trials[0].reason) == (State.FAILED, f"killed({code})")
    assert "memory" in scene.trials[0].message
    assert scene.trials[1].state is State.COMPLETE
    _assert_over(scene, 2)


@pytest.mark.parametrize("code", [CRASHED, 0])
def test_a_worker_that_crashed_fails_its_trial_at_once(stage: Stage, code: int) -> None:
    scene = stage(max_trials=2, scripts=with_mishaps({0: (Death(0.5, code),)}))

    assert scene.run()

    assert (scene.trials[0].state, scene.trials[0].reason) == (State.FAILED, f"crashed({code})")
    assert scene.numbers("started").count(0) == 1
    _assert_over(scene, 2)


def test_a_trial_that_fails_leaves_the_search_going_on(stage: Stage) -> None:
    scene = stage(max_trials=4, scripts=with_mishaps({0: (Failure(0.5, "oom", "no memory"),)}))

    assert scene.run()

    failed = scene.trials[0]
    assert (failed.state, failed.reason, failed.message) == (State.FAILED, "oom", "no memory")
    assert states(scene.trials)[State.COMPLETE] > 0
    _assert_over(scene, 4)


def test_a_trial_that_fails_late_keeps_its_results(stage: Stage) -> None:
    scene = stage(max_trials=1, scripts=with_mishaps({0: (Failure(5.5, "oom"),)}))

    assert scene.run()

    assert scene.trials[0].state is State.FAILED
    assert len(scene.trials[0].results) == 5


def test_a_search_in_which_every_trial_fails_ends(stage: Stage) -> None:
    scene = stage(max_trials=3, scripts=lambda n, c: with_mishaps({n: (Failure(0.5, "bad_config"),)})(n, c))

    assert scene.run()

    assert states(scene.trials) == {State.FAILED: 3}
    assert best_of(scene.trials, "val/accuracy") is None
    _assert_over(scene, 3)


# Interruption


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
    _assert_over(scene, 5)


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
    _assert_over(scene, 5)


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
    _assert_over(scene, 1)


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
    _assert_over(scene, 1)


# Notices


def test_every_notice_is_a_record_that_json_can_hold(whole: Scene) -> None:
    records = [notice.record() for notice in whole.notices]

    assert json.loads(json.dumps(records)) == records
    assert {record["event"] for record in records} == {
        *("ordered", "started", "epoch", "paused", "complete", "pruned"),
    }


def test_a_notice_without_a_trial_has_no_number() -> None:
    assert "trial" not in Notice(kind="measuring").record()


def test_trials_lie_in_directories_of_their_own(whole: Scene) -> None:
    found = {path.name for path in whole.ground.store.study(NAME).iterdir() if path.is_dir()}

    assert found == {str(number) for number in range(20)}


def test_who_is_complete_was_ahead_of_who_is_pruned(whole: Scene) -> None:
    def at_first_rung(trial: Trial) -> float:
        return trial.results[0].val_accuracy

    complete = [at_first_rung(t) for t in whole.trials if t.state is State.COMPLETE]
    pruned = sorted(at_first_rung(t) for t in whole.trials if t.state is State.PRUNED)

    assert min(complete) > pruned[len(pruned) // 2]
