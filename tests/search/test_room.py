"""Checkpoints within a budget of disk space."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from search_samples import METRIC, NAME, RUNGS, Scene, Stage, after, ordered, states, trial_at

from autoclf.options import num_bytes
from search import trials
from search.ensemble import MOST_CANDIDATES
from search.race import MOST_FINALISTS
from search.room import Eviction, Room, Size, default_budget, size_of
from search.schedulers.promotion import estimate
from search.strategies import make_strategy
from search.trials import NO_ROOM, State, Trial
from spaces import SearchSpace
from trainer.jobfiles import CHECKPOINT, PREVIOUS_CHECKPOINT, WEIGHTS, remove_state

Keep = Callable[..., Room]
EXPECTED = partial(estimate, rungs=RUNGS, objective=METRIC)


@pytest.fixture
def keep(tmp_path: Path) -> Keep:
    """A room for checkpoints of 100 bytes a trial, and weights."""

    def make(items: list[Trial], *, budget: float, weights: int = 0) -> Room:
        for trial in items:
            folder = tmp_path / str(trial.number)
            folder.mkdir(exist_ok=True)
            (folder / CHECKPOINT).write_bytes(bytes(60))
            (folder / PREVIOUS_CHECKPOINT).write_bytes(bytes(40))
            (folder / WEIGHTS).write_bytes(bytes(weights))
        return Room(budget=budget, directory=lambda n: tmp_path / str(n), expected=EXPECTED, objective=METRIC)

    return make


def numbers(room: Room, items: list[Trial]) -> list[int]:
    return [eviction.number for eviction in room.crowded_out(items)]


def keep_450_bytes(scene: Scene) -> None:
    """Give a search checkpoints of 100 bytes a trial, and room for four."""
    for number in range(scene.max_trials):
        folder = scene.ground.store.job(NAME, number)
        folder.mkdir(parents=True)
        (folder / CHECKPOINT).write_bytes(bytes(100))
    scene.room = Room(budget=450, directory=partial(scene.ground.store.job, NAME), expected=EXPECTED, objective=METRIC)


def test_nobody_gives_way_while_there_is_room(keep: Keep) -> None:
    items = [trial_at(number, {1.0: 0.5}) for number in range(3)]

    assert numbers(keep(items, budget=300), items) == []


def test_those_of_which_least_is_expected_give_way_and_no_more_than_needed(keep: Keep) -> None:
    items = [trial_at(number, {1.0: score}) for number, score in enumerate((0.5, 0.2, 0.9, 0.3, 0.2))]

    assert numbers(keep(items, budget=350), items) == [4, 1]
    assert numbers(keep(items, budget=300), items) == [4, 1]
    assert numbers(keep(items, budget=299), items) == [4, 1, 3]


def test_what_runs_or_is_owed_or_is_the_winner_does_not_give_way(keep: Keep) -> None:
    items = [
        trial_at(0, {1.0: 0.1}, going_to=3.0),
        after(trial_at(1, {1.0: 0.1}), ordered(3.0), trials.died(-9, at=0.0)),
        trial_at(2, {1.0: 0.1, 9.0: 0.2}, ended=State.COMPLETE),
        trial_at(3, {1.0: 0.15}),
        trial_at(4, {1.0: 0.12}),
    ]

    assert numbers(keep(items, budget=1), items) == [4], "3 is the most promising one"


def test_complete_ones_give_way_before_those_that_wait_but_for_the_best(keep: Keep) -> None:
    scores = (0.5, 0.1, 0.9, 0.3, 0.2, 0.6)
    items = [trial_at(n, {1.0: 0.1, 9.0: score}, ended=State.COMPLETE) for n, score in enumerate(scores)]
    items += [trial_at(6, {1.0: 0.05}), trial_at(7, {1.0: 0.02})]
    assert MOST_FINALISTS == 4, "or other budgets are needed"

    assert numbers(keep(items, budget=700), items) == [1]
    assert numbers(keep(items, budget=600), items) == [1, 4]
    assert numbers(keep(items, budget=1), items) == [1, 4, 7]


def test_weights_of_complete_trials_go_after_their_checkpoints_but_for_those_that_may_be_an_ensemble(
    keep: Keep,
) -> None:
    items = [trial_at(n, {1.0: 0.1, 9.0: 0.9 - n / 100}, ended=State.COMPLETE) for n in range(10)]
    items += [trial_at(10, {1.0: 0.05}), trial_at(11, {1.0: 0.02}), trial_at(12, {1.0: 0.3})]
    assert (MOST_FINALISTS, MOST_CANDIDATES) == (4, 8), "or other budgets are needed"
    checkpoints = [Eviction(n, keeps_weights=True) for n in (9, 8, 7, 6, 5, 4)]

    assert keep(items, budget=13 * 130, weights=30).crowded_out(items) == []
    assert keep(items, budget=13 * 130 - 600, weights=30).crowded_out(items) == checkpoints
    assert keep(items, budget=13 * 130 - 601, weights=30).crowded_out(items) == [*checkpoints, Eviction(9)]
    assert keep(items, budget=13 * 130 - 660, weights=30).crowded_out(items) == [*checkpoints, Eviction(9), Eviction(8)]
    assert keep(items, budget=1, weights=30).crowded_out(items) == [
        *checkpoints, Eviction(9), Eviction(8), Eviction(11), Eviction(10)
    ], "but never the one that waits and promises most"  # fmt: skip


def test_what_is_needed_stays(keep: Keep) -> None:
    items = [trial_at(n, {1.0: 0.1, 9.0: 0.9 - n / 100}, ended=State.COMPLETE) for n in range(6)]
    room = keep(items, budget=1)
    room.needed = frozenset({4})

    assert numbers(room, items) == [5]


def test_the_best_of_all_stays_where_there_is_not_even_room_for_one(keep: Keep) -> None:
    items = [trial_at(number, {1.0: score}) for number, score in enumerate((0.5, 0.9, 0.3))]

    assert numbers(keep(items, budget=1), items) == [2, 0]


def test_what_a_search_would_end_with_now_stays_though_more_is_expected_of_another_one(keep: Keep) -> None:
    items = [trial_at(0, {1.0: 0.2}), trial_at(1, {1.0: 0.9}), trial_at(2, {1.0: 0.1, 3.0: 0.3})]
    room = keep(items, budget=1)
    expected = room.expected(items)

    assert max(expected, key=lambda number: expected[number]) == 1, "or the test shows nothing"
    assert numbers(room, items) == [0]


def test_what_ended_without_a_checkpoint_takes_no_room(keep: Keep) -> None:
    items = [trial_at(0, {1.0: 0.1}, ended=State.PRUNED), trial_at(1, {1.0: 0.1}, ended=State.FAILED)]
    items.append(trial_at(2, {1.0: 0.5}))
    room = keep(items, budget=100)
    remove_state(room.directory(0))

    assert numbers(room, items) == []


def test_what_was_pruned_gives_way_before_anything_that_waits(keep: Keep) -> None:
    items = [
        trial_at(0, {1.0: 0.1}),
        trial_at(1, {1.0: 0.8}, ended=State.PRUNED),
        trial_at(2, {1.0: 0.7}, ended=State.PRUNED),
        trial_at(3, {1.0: 0.9}),
    ]
    room = keep(items, budget=150)

    assert numbers(room, items) == [2, 1, 0]


def test_checkpoints_of_a_search_that_stops_trials_stay_within_the_budget(
    stage: Stage, small_space: SearchSpace
) -> None:
    asha = make_strategy(small_space, seed=0, sampler="random", scheduler="asha").scheduler
    scene = stage(max_trials=20, num_slots=1, scheduler=asha)
    keep_450_bytes(scene)

    assert scene.run()

    left = [size_of(scene.ground.store.job(NAME, trial.number)).total for trial in scene.trials]
    assert states(scene.trials)[State.PRUNED] > 4
    assert sum(left) <= 450
    assert not any(trial.reason == NO_ROOM for trial in scene.trials), "what has ended has its reason already"


@given(scores=st.lists(st.integers(0, 9), min_size=1, max_size=10), budget=st.integers(0, 1000))
def test_what_stays_fits_and_is_better_than_what_goes(scores: list[int], budget: int) -> None:
    items = [trial_at(number, {1.0: score / 10}) for number, score in enumerate(scores)]
    room = Room(budget=budget, directory=Path, expected=EXPECTED, objective=METRIC)  # type: ignore[arg-type]
    room._sizes.update({trial.uid: (trial.epoch, trial.state, Size(80, 20)) for trial in items})

    gone = numbers(room, items)

    stay = [number for number in range(len(items)) if number not in gone]
    assert 100 * len(stay) <= max(budget, 100)
    assert not gone or 100 * (len(stay) + 1) > budget
    assert max((scores[n] for n in gone), default=0) <= min((scores[n] for n in stay), default=9)


def test_a_search_ends_what_has_no_room_and_goes_on(stage: Stage) -> None:
    scene = stage(max_trials=12, num_slots=1)
    keep_450_bytes(scene)

    assert scene.run()

    gave_way = [trial for trial in scene.trials if trial.reason == NO_ROOM]
    assert gave_way
    assert all(trial.state is State.PRUNED for trial in gave_way)
    assert not any((scene.ground.store.job(NAME, trial.number) / CHECKPOINT).exists() for trial in gave_way)
    best = max(scene.trials, key=lambda trial: trial.results[0].val_accuracy)
    assert best.state is State.COMPLETE


def test_a_search_keeps_the_weights_of_every_complete_trial(stage: Stage, small_space: SearchSpace) -> None:
    strategy = make_strategy(small_space, seed=0, sampler="random", scheduler="none")
    scene = stage(max_trials=12, num_slots=1, scheduler=strategy.scheduler)
    keep_450_bytes(scene)
    for number in range(scene.max_trials):
        (scene.ground.store.job(NAME, number) / WEIGHTS).write_bytes(bytes(1))

    assert scene.run()

    left = [size_of(scene.ground.store.job(NAME, trial.number)) for trial in scene.trials]
    assert states(scene.trials) == {State.COMPLETE: 12}
    assert sum(size.total for size in left) <= 450
    assert sum(size.checkpoints > 0 for size in left) == MOST_FINALISTS
    assert all(size.weights == 1 for size in left)


def test_what_a_job_has_left_is_measured(tmp_path: Path) -> None:
    (tmp_path / WEIGHTS).write_bytes(bytes(10))
    (tmp_path / CHECKPOINT).write_bytes(bytes(7))

    assert size_of(tmp_path) == Size(checkpoints=7, weights=10)
    assert size_of(tmp_path / "nowhere") == Size(0, 0)


def test_a_search_that_goes_on_has_the_room_that_it_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = {"bytes": 100}
    monkeypatch.setattr("search.room.shutil.disk_usage", lambda _: SimpleNamespace(free=free["bytes"]))
    begun = default_budget(tmp_path, taken=0)
    free["bytes"] -= 44

    assert default_budget(tmp_path, taken=44) == begun == 50


@pytest.mark.parametrize(
    ("text", "size"), [("20", 20e9), ("500MB", 5e8), ("1.5 tb", 1.5e12), ("20G", 20e9), ("2gb", 2e9)]
)
def test_sizes_are_read_in_units_of_1000(text: str, size: float) -> None:
    assert num_bytes(text) == size


@pytest.mark.parametrize("text", ["0", "-1GB", "much", "5KB", ""])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="Write 500MB or 20GB"):
        num_bytes(text)
