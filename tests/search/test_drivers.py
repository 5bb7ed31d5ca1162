"""Searches that several drivers share, with scripted jobs on real books and a real PostgreSQL server."""

import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from search_samples import METRIC, Tape, learns

from search import eventlog
from search.book import Book, best_of
from search.crew import Alone, Lost
from search.crew.postgres import TURN_LOST, PostgresCrew
from search.distributions import distributions
from search.driving import driving, wait_for_ender
from search.engine import Engine
from search.errors import StorageBusyError, StudyError
from search.executors import Event
from search.executors.scripted import ScriptedExecutor
from search.jobs import build_job
from search.samplers import Tpe
from search.schedulers import Promotion
from search.storage import open_storage
from search.store import Store
from search.study import create_study
from search.trials import State, Trial, created, fold, ordered
from spaces import SearchSpace
from tests.postgres import Server
from trainer.config import flat

pytestmark = pytest.mark.timeout(120)
GRACE_SECONDS = 1.0
SPEED = 20.0  # simulated seconds a real one; a full training takes 9 of them
NAME = "shared"


class Dead(BaseException):
    """What a driver that is killed does: nothing more."""


@dataclass(slots=True)
class Mortal:
    """An executor whose driver dies when it is told to."""

    inner: ScriptedExecutor
    dies: threading.Event = field(default_factory=threading.Event)

    @property
    def num_slots(self) -> int:
        return self.inner.num_slots

    @property
    def free_slots(self) -> int:
        return self.inner.free_slots

    def start(self, job: int, order: object) -> None:
        self.inner.start(job, order)  # type: ignore[arg-type]

    def events(self, *, timeout_seconds: float) -> Sequence[Event]:
        if self.dies.is_set():
            raise Dead
        return self.inner.events(timeout_seconds=min(timeout_seconds, 0.02))

    def stop(self, job: int) -> None:
        self.inner.stop(job)

    def close(self) -> None:
        self.inner.close()


@dataclass(slots=True)
class Driver:
    """A driver in a thread, with a connection, books and workers of its own."""

    url: str
    store: Store
    space: SearchSpace
    max_trials: int
    study: str
    executor: Mortal = field(init=False)
    thread: threading.Thread = field(init=False)
    book: Book = field(init=False)
    has_finished: bool | None = None
    has_left: bool = False
    error: BaseException | None = None

    def __post_init__(self) -> None:
        self.executor = Mortal(ScriptedExecutor(learns, num_slots=2, speed=SPEED))
        self.thread = threading.Thread(target=self._drive, daemon=True)
        self.thread.start()

    def kill(self) -> None:
        """End it without a farewell."""
        self.executor.dies.set()
        self.thread.join()

    def _drive(self) -> None:
        storage = open_storage(self.url)
        crew = PostgresCrew(storage.engine, self.study, beat_seconds=0.1, grace_seconds=GRACE_SECONDS)
        crew.__enter__()
        try:
            self._search(crew, storage)
            crew.__exit__()
        except Dead:
            crew._ended.set()  # its heart stops
            crew._heart.join()
        except Exception as error:  # noqa: BLE001  -- the test that waits for it tells it
            self.error = error
        finally:
            storage.engine.dispose()

    def _search(self, crew: PostgresCrew, storage: object) -> None:
        self.book = Book(
            name=self.study,
            space=self.space,
            store=self.store,
            study=create_study(storage, self.study, METRIC),  # type: ignore[arg-type]
            tracker=Tape(),
            build=partial(build_job, self.space, data="data", seed=0, runtime={}),
            crew=crew,
        )
        with crew.turn():
            self.book.recover()
            crew.stay()
        budget = self.space.budget
        engine = Engine(
            book=self.book,
            sampler=Tpe(space=self.space, seed=0),
            scheduler=Promotion(rungs=budget.rungs, eta=budget.eta, objective=METRIC),
            executor=self.executor,
            data_root=Path("data"),
            max_trials=self.max_trials,
            deadline=None,
            is_interrupted=lambda: False,
            watch=lambda _: None,
        )
        self.has_finished = engine.run()
        self.has_left = bool(engine.left_to)


Begin = Callable[..., Driver]


def wait_for_trials(driver: Driver, num: int) -> list[Trial]:
    """Wait until so many trials have begun; return them."""
    while len(found := driver.store.trials(driver.study)) < num:
        time.sleep(0.01)
    return found


@pytest.fixture
def begin(server: Server, store: Store, small_space: SearchSpace, request: pytest.FixtureRequest) -> Iterator[Begin]:
    """Start a driver of this test's study."""
    drivers: list[Driver] = []
    store.study(request.node.name).mkdir(parents=True, exist_ok=True)

    def make(max_trials: int = 12) -> Driver:
        drivers.append(Driver(server.url(), store, small_space, max_trials, request.node.name))
        return drivers[-1]

    yield make
    for driver in drivers:
        driver.kill()


def assert_books_are_sound(server: Server, store: Store, study: str, num_trials: int) -> list[Trial]:
    """Check that every trial ended, once, and that logs and study agree; return the trials."""
    found = store.trials(study)
    assert [trial.number for trial in found] == list(range(num_trials))
    storage = open_storage(server.url())
    told = create_study(storage, study, METRIC).trials()
    for trial, known in zip(found, told, strict=True):
        records = eventlog.read(store.log(study, trial.number))
        assert Counter(record["kind"] for record in records)["ended"] == 1, trial.number
        assert records[-1]["kind"] in ("ended",), "nothing is written after the end"
        assert fold(records) == trial
        assert known.state.is_finished()
        assert known.state.name == {State.COMPLETE: "COMPLETE", State.PRUNED: "PRUNED"}[trial.state]
        assert dict(known.params) == dict(trial.params)
        steps = [result.step for result in trial.results]
        assert steps == sorted(set(steps))
    storage.engine.dispose()
    return found


def test_two_drivers_share_a_search_and_one_ends_it(begin: Begin, server: Server, store: Store) -> None:
    one, other = begin(), begin()

    one.thread.join()
    other.thread.join()

    assert (one.error, other.error) == (None, None)
    assert sorted([one.has_finished, other.has_finished]) == [False, True]
    assert one.has_left != other.has_left
    trials = assert_books_are_sound(server, store, one.study, 12)
    assert sum(trial.state is State.COMPLETE for trial in trials) >= 1
    best = best_of(trials, METRIC)
    assert best is not None
    assert best.state is State.COMPLETE


def test_both_of_them_train(begin: Begin, store: Store) -> None:
    drivers = [begin(), begin()]
    while drivers[0].thread.is_alive() or drivers[1].thread.is_alive():
        busy = [driver.executor.num_slots - driver.executor.free_slots for driver in drivers]
        if min(busy) > 0:
            return
        time.sleep(0.01)
    raise AssertionError("one did all of it")


def test_what_a_dead_driver_left_is_finished_by_another(begin: Begin, server: Server, store: Store) -> None:
    dead = begin()
    wait_for_trials(dead, 3)
    other = begin()
    dead.kill()

    other.thread.join()

    assert other.error is None
    assert other.has_finished
    assert_books_are_sound(server, store, dead.study, 12)


def test_a_driver_that_comes_late_goes_on_where_the_others_are(begin: Begin, server: Server, store: Store) -> None:
    one = begin()
    wait_for_trials(one, 4)
    late = begin()

    one.thread.join()
    late.thread.join()

    assert (one.error, late.error) == (None, None)
    assert_books_are_sound(server, store, one.study, 12)


def test_a_trial_whose_driver_died_before_its_log_began_is_one_of_those_asked_for(
    begin: Begin, server: Server, store: Store, small_space: SearchSpace
) -> None:
    one = begin()
    params = dict(wait_for_trials(one, 3)[0].params)
    storage = open_storage(server.url())

    with PostgresCrew(storage.engine, one.study) as dead, dead.turn():
        study = create_study(storage, one.study, METRIC)
        study.add_trial(params, distributions(small_space, params), uid="orphan")
    storage.engine.dispose()

    one.thread.join()
    assert one.error is None
    trials = assert_books_are_sound(server, store, one.study, 12)
    assert [trial.uid for trial in trials].count("orphan") == 1


def test_a_trial_whose_driver_died_in_its_turn_goes_on_from_its_log(
    begin: Begin, server: Server, store: Store, small_space: SearchSpace
) -> None:
    """The database takes back what such a driver had noted; the study and the log keep the trial."""
    one = begin()
    known = wait_for_trials(one, 3)[0]
    storage = open_storage(server.url())
    record = {"params": dict(known.params), "config": flat(known.config), "at": 0.0}

    with PostgresCrew(storage.engine, one.study) as dead, dead.turn():
        study = create_study(storage, one.study, METRIC)
        number = study.add_trial(known.params, distributions(small_space, known.params), uid="dead")
        log = store.log(one.study, number)
        log.parent.mkdir()
        eventlog.append(log, created(number=number, uid="dead", **record))
        eventlog.append(log, ordered(1.0, at=0.0))
    storage.engine.dispose()

    one.thread.join()
    assert one.error is None
    trials = assert_books_are_sound(server, store, one.study, 12)
    assert [trial.uid for trial in trials].count("dead") == 1
    assert [record["kind"] for record in eventlog.read(log)].count("created") == 1


@pytest.mark.slow
def test_chaos(begin: Begin, server: Server, store: Store) -> None:
    """Ten drivers die at odd moments; there are always two."""
    rng = __import__("random").Random(0)
    drivers = [begin(30), begin(30)]
    for kill in range(10):
        time.sleep(rng.uniform(0.05, 0.6))
        if not all(driver.thread.is_alive() for driver in drivers):
            break
        drivers[kill % 2].kill()
        drivers[kill % 2] = begin(30)

    for driver in drivers:
        driver.thread.join()

    assert [driver.error for driver in drivers] == [None, None]
    trials = assert_books_are_sound(server, store, drivers[0].study, 30)
    by_quality: dict[float, list[int]] = defaultdict(list)
    for trial in trials:
        by_quality[trial.results[-1].val_accuracy if trial.results else -math.inf].append(trial.number)
    best = best_of(trials, METRIC)
    assert best is not None
    assert best.results[-1].val_accuracy == max(by_quality)


def test_results_are_shared_before_decisions(begin: Begin, store: Store) -> None:
    """A driver decides on what all drivers have read."""
    one, other = begin(), begin()
    one.thread.join()
    other.thread.join()

    numbers = {trial.number for trial in store.trials(one.study)}
    for driver in (one, other):
        known = {trial.number for trial in driver.book.trials if trial.results}
        assert known == numbers


def test_who_comes_while_another_one_ends_the_search_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(Alone):
        """Beside a driver that is at the end."""

        def ender(self) -> str | None:
            return "box (process 7)"

    monkeypatch.setattr("search.driving.SECONDS_FOR_ENDER", -1.0)

    with pytest.raises(StudyError, match=r"box \(process 7\) is ending the search 'digits'.*autoclf resume digits"):
        wait_for_ender(Late(), "digits")
    wait_for_ender(Alone(), "digits")


def test_a_driver_whose_turn_is_taken_away_says_how_to_go_on(server: Server, store: Store) -> None:
    storage = open_storage(server.url())
    study = create_study(storage, "taken", METRIC)

    def drive() -> None:
        with driving(study, store.root) as (crew, has_lost), crew.turn():
            assert not has_lost()
            raise Lost(TURN_LOST)

    with pytest.raises(
        StorageBusyError, match=r"took this driver's turn away.*Nothing is lost: `autoclf resume taken`"
    ):
        drive()
    storage.engine.dispose()
