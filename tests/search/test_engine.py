"""The driver: whole searches with scripted jobs on real books."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from search_samples import (
    ENDS,
    NAME,
    Ground,
    Scene,
    Stage,
    assert_over,
    quality,
    states,
)

from search.book import best_of
from search.executors.scripted import ScriptedExecutor
from search.notices import Notice
from search.store import Store
from search.trials import State, Trial
from spaces import SearchSpace
from trainer.orders import Order


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, database: RDBStorage, small_space: SearchSpace) -> Scene:
    """A search of 20 trials that has ended."""
    ground = Ground(Store(tmp_path_factory.mktemp("whole")), database)
    scene = Scene(ground=ground, space=small_space, max_trials=20)
    assert scene.run()
    return scene


def test_a_free_worker_has_its_order_before_the_database_is_told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = stage(max_trials=3, num_slots=1)
    ahead: list[int] = []
    start = ScriptedExecutor.start

    def look(executor: ScriptedExecutor, job: int, order: Order) -> None:
        told = sum(len(trial.intermediate_values) for trial in scene.book.study.trials())
        ahead.append(sum(len(trial.results) for trial in scene.trials) - told)
        start(executor, job, order)

    monkeypatch.setattr(ScriptedExecutor, "start", look)
    scene.run()

    assert max(ahead) > 0
    assert_over(scene, 3)


def test_a_whole_search_ends_every_trial_once(whole: Scene) -> None:
    assert_over(whole, 20)


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
