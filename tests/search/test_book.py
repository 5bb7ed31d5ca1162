"""The three books of a search: written in their order, and level again after a crash between any two."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from optuna.trial import TrialState
from search_samples import (
    NAME,
    PARAMS,
    Ground,
    Scene,
    Tape,
    ordered,
    reached,
    result,
)

from search import eventlog
from search.book import Book, step_of
from search.errors import StudyError
from search.executors.scripted import Death, Failure, Mishap, Script, curve
from search.trials import State, Trial, fold
from spaces import SearchSpace
from trainer.results import to_record

TOLD = {
    State.RUNNING: TrialState.RUNNING,
    State.PAUSED: TrialState.RUNNING,
    State.COMPLETE: TrialState.COMPLETE,
    State.PRUNED: TrialState.PRUNED,
    State.FAILED: TrialState.FAIL,
}


class Crash(BaseException):
    """The driver dies."""


@dataclass
class CrashPoints:
    """Stands for the named points: notes their passages, and at one of them the driver dies."""

    fatal: str | int | None = None  # a name, or which passage of all
    passed: list[str] = field(default_factory=list)

    def __call__(self, name: str) -> None:
        self.passed.append(name)
        if self.fatal in (name, len(self.passed)):
            self.fatal = None
            raise Crash


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> CrashPoints:
    found = CrashPoints()
    for module in ("search.book", "search.engine"):
        monkeypatch.setattr(f"{module}.crash_point", found)
    return found


@pytest.fixture
def book(ground: Ground, small_space: SearchSpace) -> Book:
    return ground.book(small_space)


def _reopened(book: Book, tape: Tape | None = None) -> Book:
    """The books as the next driver finds and mends them."""
    again = Ground(book.store, book.study.storage).book(book.space, tape)
    again.recover()
    return again


def _assert_level(book: Book) -> None:
    """Check that log, study and tracking store tell the same of every trial."""
    metric = book.space.objective.metric
    frozen = book.study.trials()
    assert [trial.number for trial in frozen] == [trial.number for trial in book.trials]
    assert isinstance(book.tracker, Tape)
    assert book.tracker.trials == book.trials
    for trial, told in zip(book.trials, frozen, strict=True):
        assert fold(eventlog.read(book.store.log(NAME, trial.number))) == trial
        assert told.state is TOLD[trial.state]
        assert told.params == trial.params
        assert told.intermediate_values == {step_of(item.epoch): item.metrics()[metric] for item in trial.results}


def test_a_new_trial_waits_with_a_complete_job(book: Book) -> None:
    trial = book.begin_trial(PARAMS)

    assert (trial.number, trial.state, trial.params) == (0, State.PAUSED, PARAMS)
    assert trial.config == book.build(PARAMS)
    _assert_level(book)


def test_numbers_follow_each_other(book: Book) -> None:
    assert [book.begin_trial(PARAMS).number for _ in range(3)] == [0, 1, 2]


def test_what_happens_to_a_trial_stands_in_all_three_books(book: Book) -> None:
    book.begin_trial(PARAMS)

    for record in (ordered(1.0), to_record(result(1.0, 0.4)), to_record(reached(1.0))):
        book.record(0, record)
        book.catch_up()
        _assert_level(book)


@pytest.mark.parametrize(("state", "value"), [(State.COMPLETE, 0.4), (State.PRUNED, 0.4), (State.FAILED, None)])
def test_the_end_of_a_trial_stands_in_all_three_books(book: Book, state: State, value: float | None) -> None:
    book.begin_trial(PARAMS)
    book.record(0, ordered(1.0))
    book.record(0, to_record(result(1.0, 0.4, seconds=2.5)))

    book.end(0, state, reason="why", message="because")
    book.catch_up()

    _assert_level(book)
    told = book.study.trials()[0]
    assert told.value == value
    assert told.user_attrs["autoclf.epochs"] == 1.0
    assert told.user_attrs["autoclf.train_seconds"] == 2.5
    assert told.user_attrs["autoclf.reason"] == "why"


@pytest.mark.parametrize("state", [State.PRUNED, State.FAILED])
def test_a_trial_without_a_result_can_end(book: Book, state: State) -> None:
    book.begin_trial(PARAMS)

    book.end(0, state)
    book.catch_up()

    _assert_level(book)
    assert book.study.trials()[0].user_attrs["autoclf.epochs"] == 0.0


def test_a_loss_to_make_small_is_told_as_it_is(ground: Ground, small_space: SearchSpace) -> None:
    space = replace(small_space, objective=replace(small_space.objective, metric="val/loss"))
    book = ground.book(space)
    book.begin_trial(PARAMS)
    book.record(0, ordered(1.0))

    book.record(0, to_record(result(1.0, loss=0.7)))
    book.end(0, State.COMPLETE)
    book.catch_up()

    assert book.study.trials()[0].value == 0.7


@pytest.mark.parametrize(("epoch", "step"), [(0.25, 25), (1.0, 100), (1 / 3, 33), (0.29, 29)])
def test_the_steps_of_the_books_are_hundredths_of_an_epoch(epoch: float, step: int) -> None:
    assert step_of(epoch) == step


# The order


def test_the_study_knows_of_a_trial_before_its_log(book: Book, points: CrashPoints) -> None:
    points.fatal = "after_ask"

    with pytest.raises(Crash):
        book.begin_trial(PARAMS)

    assert len(book.study.trials()) == 1
    assert book.store.trials(NAME) == []


def test_the_log_has_a_result_before_the_study(book: Book, points: CrashPoints) -> None:
    book.begin_trial(PARAMS)
    points.fatal = "after_log"

    with pytest.raises(Crash):
        book.record(0, to_record(result(1.0, 0.4)))

    assert len(book.store.trials(NAME)[0].results) == 1
    assert book.study.trials()[0].intermediate_values == {}


def test_the_study_has_a_result_before_the_tracking_store(ground: Ground, small_space: SearchSpace) -> None:
    class Curious(Tape):
        """Looks into the study whenever it is shown something."""

        def show(self, trial: Trial) -> None:
            seen.append(ground.study().trials()[trial.number].intermediate_values)

    seen: list[dict[int, float]] = []
    book = ground.book(small_space, Curious())
    book.begin_trial(PARAMS)

    book.record(0, to_record(result(1.0, 0.4)))
    book.catch_up()

    assert seen == [{}, {100: 0.4}]


def test_the_study_is_told_when_there_is_time(book: Book) -> None:
    book.begin_trial(PARAMS)
    book.record(0, to_record(result(1.0, 0.4)))
    book.end(0, State.PRUNED)

    assert book.study.trials()[0].state is TrialState.RUNNING
    assert book.store.trials(NAME)[0].state is State.PRUNED
    book.catch_up()

    _assert_level(book)


def test_the_end_stands_in_the_log_before_the_study_is_told(book: Book, points: CrashPoints) -> None:
    book.begin_trial(PARAMS)
    points.fatal = "before_tell"

    book.end(0, State.PRUNED)
    with pytest.raises(Crash):
        book.catch_up()

    assert book.store.trials(NAME)[0].state is State.PRUNED
    assert book.study.trials()[0].state is TrialState.RUNNING


# After a crash


def _whole(book: Book, action: Callable[[], object]) -> None:
    """Write something down, and tell it to all."""
    action()
    book.catch_up()


@pytest.mark.parametrize(
    ("kind", "point"),
    [
        ("begin", "after_ask"),
        ("result", "after_log"),
        ("end", "after_log"),
        ("end", "before_tell"),
        ("end", "after_tell"),
    ],
)
def test_after_a_crash_the_books_are_level_again(book: Book, points: CrashPoints, kind: str, point: str) -> None:
    actions: dict[str, Callable[[], object]] = {
        "begin": lambda: book.begin_trial(PARAMS),
        "result": lambda: book.record(0, to_record(result(3.0, 0.5))),
        "end": lambda: book.end(0, State.COMPLETE),
    }
    book.begin_trial(PARAMS)
    book.record(0, ordered(3.0))
    book.record(0, to_record(result(1.0, 0.4)))
    points.fatal = point
    with pytest.raises(Crash):
        _whole(book, actions[kind])

    again = _reopened(book)

    _assert_level(again)


def test_what_ran_when_the_driver_died_waits_and_is_owed(book: Book) -> None:
    book.begin_trial(PARAMS)
    book.record(0, ordered(3.0))

    again = _reopened(book)

    assert again.trials[0].state is State.PAUSED
    assert again.trials[0].is_owed


def test_what_a_dead_driver_left_at_the_last_rung_is_complete_for_whoever_has_the_next_turn(book: Book) -> None:
    last = book.space.budget.epochs
    book.begin_trial(PARAMS)
    for record in (ordered(last), to_record(result(last, 0.5)), to_record(reached(last))):
        book.record(0, record)

    with book.turn():
        assert book.trials[0].state is State.COMPLETE


def test_recovering_twice_changes_nothing_more(book: Book) -> None:
    book.begin_trial(PARAMS)
    book.record(0, ordered(3.0))
    once = _reopened(book)
    content = book.store.log(NAME, 0).read_bytes()

    twice = _reopened(book)

    assert twice.trials == once.trials
    assert book.store.log(NAME, 0).read_bytes() == content


def test_a_tracking_store_that_was_lost_is_shown_every_trial_again(book: Book) -> None:
    for _ in range(3):
        book.begin_trial(PARAMS)
    book.end(1, State.PRUNED)
    book.catch_up()

    tape = Tape()
    _reopened(book, tape)

    assert [trial.number for trial in tape.trials] == [0, 1, 2]


def test_an_emptied_database_is_refused_with_the_way_out(book: Book) -> None:
    for _ in range(2):
        book.begin_trial(PARAMS)
    emptied = replace(book, study=Ground(book.store, book.study.storage).study(beside="-emptied"))

    with pytest.raises(StudyError) as caught:
        emptied.recover()

    assert "tell of 2 trials, the study database holds 0" in str(caught.value)
    assert "name the right one with --storage, or search under another name with --study" in str(caught.value)


@pytest.mark.parametrize("number", [0, 1])
def test_a_log_that_was_deleted_is_noticed(book: Book, number: int) -> None:
    for _ in range(3):
        book.begin_trial(PARAMS)
    shutil.rmtree(book.store.job(NAME, number))

    with pytest.raises(StudyError, match=rf"\b{number}\b"):
        _reopened(book)


def test_a_trial_whose_creation_was_torn_begins_anew_under_its_number(book: Book) -> None:
    for _ in range(2):
        book.begin_trial(PARAMS)
    with book.store.log(NAME, 1).open("r+b") as file:
        file.truncate(30)

    again = _reopened(book)

    assert [trial.number for trial in again.trials] == [0, 1]
    assert again.trials[1].params == PARAMS
    _assert_level(again)


def _short(number: int, _config: object) -> Script:
    """Three rungs, and a mishap here and there."""
    whole = curve([0.1 + number / 100 + epoch / 50 for epoch in range(9)])
    mishaps: dict[int, tuple[Mishap, ...]] = {1: (Death(2.5),), 2: (Failure(0.5, "oom"),)}
    return Script(results=(whole[0], whole[2], whole[8]), mishaps=mishaps.get(number, ()))


def _scene(ground: Ground, space: SearchSpace) -> Scene:
    return Scene(ground=ground, space=space, scripts=_short, num_slots=2, max_trials=4)


@pytest.mark.parametrize(
    "passage", [pytest.param(n, marks=[] if n % 8 == 4 else pytest.mark.slow) for n in range(1, 45)]
)
def test_a_search_that_dies_anywhere_goes_on_with_level_books_to_its_end(
    ground: Ground, small_space: SearchSpace, points: CrashPoints, passage: int
) -> None:
    scene = _scene(ground, small_space)
    points.fatal = passage
    with pytest.raises(Crash):
        scene.run()
    scene.executor.close()
    scene.executor.events(timeout_seconds=0)

    scene.open()

    _assert_level(scene.book)
    assert not [trial for trial in scene.trials if trial.state is State.RUNNING]
    assert scene.run()
    _assert_level(scene.book)
    assert len(scene.trials) == 4
    assert all(trial.state.is_over for trial in scene.trials)
    assert all(trial.results or trial.state is State.FAILED for trial in scene.trials)


def test_a_trial_that_reached_its_last_rung_just_before_a_crash_is_complete(
    ground: Ground, small_space: SearchSpace
) -> None:
    scene = Scene(ground=ground, space=small_space, max_trials=1)
    scene.book.begin_trial(PARAMS)
    for record in (ordered(9.0), to_record(result(9.0, 0.8)), to_record(reached(9.0))):
        scene.book.record(0, record)

    scene.open()
    scene.run()

    assert scene.trials[0].state is State.COMPLETE
