"""Drivers that share a study, killed for real. Numbers as in docs/faults.md."""

import json
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from search.book import best_of
from search.trials import State
from tests.books import assert_books_agree
from tests.command import SLOWER, Desk, make_desk
from tests.postgres import Server, postgres

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NUM_TRIALS = 12
NUM_KILLS = 10
LONGEST_SECONDS = 600


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres() as found:
        yield found


@pytest.fixture
def sharing(tmp_path: Path, template: Path, server: Server, request: pytest.FixtureRequest) -> "Iterator[Sharing]":
    desk = make_desk(tmp_path, template=template, space=SLOWER)
    found = Sharing(desk, server.url(), request.node.name[:40])
    yield found
    for process in found.started:
        if process.poll() is None:
            process.kill()
            process.wait()


class Sharing:
    """Drivers of one study, started and killed."""

    def __init__(self, desk: Desk, storage: str, study: str) -> None:
        self.desk, self.storage, self.study = desk, storage, study
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, *, num_trials: int = NUM_TRIALS) -> subprocess.Popen[bytes]:
        """Start a driver with two workers."""
        words = ("search", "--space", "tiny.yaml", "--study", self.study, "--storage", self.storage)
        options = ("--trials", str(num_trials), "--workers", "2", "--no-race", "--json")
        number = len(self.started)
        with (self.desk.root / f"{number}.out").open("wb") as out, (self.desk.root / f"{number}.err").open("wb") as err:
            process = subprocess.Popen(
                self.desk.command(*words, *options), cwd=self.desk.root, env=dict(self.desk.environment),
                stdout=out, stderr=err,
            )  # fmt: skip
        self.started.append(process)
        return process

    def outcome(self, process: subprocess.Popen[bytes]) -> dict[str, object]:
        """Return the last thing that a driver told."""
        lines = (self.desk.root / f"{self.started.index(process)}.out").read_text().splitlines()
        found: dict[str, object] = json.loads(lines[-1])
        return found

    def wait_for(self, process: subprocess.Popen[bytes], kind: str) -> None:
        """Wait until a driver has told of something."""
        while f'"event": "{kind}"' not in (self.desk.root / f"{self.started.index(process)}.out").read_text():
            assert process.poll() is None, self.errors(process)
            time.sleep(0.05)

    def errors(self, process: subprocess.Popen[bytes]) -> str:
        return (self.desk.root / f"{self.started.index(process)}.err").read_text()

    def logs(self) -> int:
        """Return how many trials have begun."""
        return len(list((self.desk.store / "jobs" / self.study).glob("[0-9]*")))


def workers_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the processes that train for a driver."""
    try:
        servers = psutil.Process(process.pid).children()
        return [worker for server in servers for worker in server.children()]
    except psutil.NoSuchProcess:
        return []


def test_f4_two_drivers_and_their_workers_killed_ten_times_lose_nothing(sharing: Sharing) -> None:
    rng = random.Random(7)
    drivers = [sharing.start(), sharing.start()]
    killed = {"driver": 0, "worker": 0}
    until = time.monotonic() + LONGEST_SECONDS
    while sum(killed.values()) < NUM_KILLS and time.monotonic() < until:
        time.sleep(rng.uniform(1.0, 4.0))
        place = rng.randrange(2)
        if drivers[place].poll() is not None:
            break  # the search is over
        workers = workers_of(drivers[place])
        if workers and rng.random() < 0.5:
            rng.choice(workers).kill()
            killed["worker"] += 1
        else:
            drivers[place].kill()
            drivers[place].wait()
            drivers[place] = sharing.start()
            killed["driver"] += 1

    for driver in drivers:
        assert driver.wait(LONGEST_SECONDS) == 0, sharing.errors(driver)

    assert sum(killed.values()) == NUM_KILLS, killed
    outcomes = [sharing.outcome(driver) for driver in drivers]
    assert [outcome["not_uploaded"] for outcome in outcomes] == [0, 0]
    assert sorted(bool(outcome["finished"]) for outcome in outcomes) == [False, True]
    trials = assert_books_agree(sharing.desk.store, sharing.study, num_trials=NUM_TRIALS, storage=sharing.storage)
    (ended,) = (outcome for outcome in outcomes if outcome["finished"])
    best = best_of(trials, "val/accuracy")
    assert best is not None
    assert ended["winner"] == best.number
    complete = [trial for trial in trials if trial.state is State.COMPLETE]
    assert best.results[-1].val_accuracy == max(trial.results[-1].val_accuracy for trial in complete)
    assert sum(trial.deaths for trial in trials) <= killed["worker"]


@pytest.mark.thorough
def test_f7_a_driver_that_sleeps_longer_than_others_wait_does_no_harm(sharing: Sharing) -> None:
    sleeper = sharing.start()
    while sharing.logs() < 2:
        time.sleep(0.1)
    sleeper.send_signal(signal.SIGSTOP)

    other = sharing.start()
    assert other.wait(LONGEST_SECONDS) == 0, sharing.errors(other)
    sleeper.send_signal(signal.SIGCONT)

    assert sleeper.wait(60) == 0, sharing.errors(sleeper)
    assert "Traceback" not in sharing.errors(sleeper)
    assert sharing.outcome(other)["finished"]
    for driver in (sleeper, other):
        test = sharing.outcome(driver)["test"]
        assert isinstance(test, dict)
        assert test["readings"] == 1, "the test split was read once"
    assert_books_agree(sharing.desk.store, sharing.study, num_trials=NUM_TRIALS, storage=sharing.storage)


@pytest.mark.thorough
def test_f2_an_ending_that_is_killed_is_taken_by_another_driver(sharing: Sharing) -> None:
    dead = sharing.start(num_trials=4)
    sharing.wait_for(dead, "refitting")
    dead.kill()
    dead.wait()

    other = sharing.start(num_trials=4)
    assert other.wait(LONGEST_SECONDS) == 0, sharing.errors(other)

    outcome = sharing.outcome(other)
    assert outcome["finished"]
    assert outcome["refit"]
    assert isinstance(outcome["test"], dict)
    assert outcome["test"]["readings"] == 1
    assert_books_agree(sharing.desk.store, sharing.study, num_trials=4, storage=sharing.storage)


@pytest.mark.thorough
def test_f7_a_driver_that_sleeps_at_the_end_leaves_it_to_who_took_it(sharing: Sharing) -> None:
    sleeper = sharing.start(num_trials=4)
    sharing.wait_for(sleeper, "refitting")
    sleeper.send_signal(signal.SIGSTOP)

    other = sharing.start(num_trials=4)
    assert other.wait(LONGEST_SECONDS) == 0, sharing.errors(other)
    sleeper.send_signal(signal.SIGCONT)

    assert sleeper.wait(60) == 0, sharing.errors(sleeper)
    assert "Traceback" not in sharing.errors(sleeper)
    assert sharing.outcome(other)["finished"]
    assert not sharing.outcome(sleeper)["finished"]
    assert_books_agree(sharing.desk.store, sharing.study, num_trials=4, storage=sharing.storage)


@pytest.mark.thorough
def test_a_store_that_is_not_shared_is_refused(sharing: Sharing, tmp_path_factory: pytest.TempPathFactory) -> None:
    first = sharing.start()
    while sharing.logs() < 1:
        time.sleep(0.1)
    elsewhere = make_desk(tmp_path_factory.mktemp("elsewhere"))

    done = elsewhere.run(
        "search", "--space", str(sharing.desk.root / "tiny.yaml"), "--study", sharing.study,
        "--storage", sharing.storage,
    )  # fmt: skip

    first.kill()
    assert done.returncode == 2
    assert "Drivers of one study share its store" in done.stderr


@pytest.mark.thorough
def test_f11_a_database_that_restarts_in_a_search_loses_nothing(sharing: Sharing, server: Server) -> None:
    driver = sharing.start()
    for num_begun in (2, 5):
        while sharing.logs() < num_begun:
            time.sleep(0.1)
        server.control("restart", "-m", "immediate")

    assert driver.wait(LONGEST_SECONDS) == 0, sharing.errors(driver)
    assert "Traceback" not in sharing.errors(driver)
    assert_books_agree(sharing.desk.store, sharing.study, num_trials=NUM_TRIALS, storage=sharing.storage)
