"""The tracking store is fed from a thread: it may fail, hang and come back, and the search never notices."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from search_samples import trial_at

from search.tracking import Tracker
from search.tracking.base import DataCard, StudyCard
from search.tracking.uploader import Uploader
from search.trials import State, Trial

CARD = StudyCard(
    name="study",
    status="RUNNING",
    data=DataCard(name="d", fingerprint="f", num_classes=2, image_shape=(1, 1, 1), num_images={}),
)
EARLY = trial_at(0, {}, going_to=1.0)
LATER = trial_at(0, {1.0: 0.5})
OTHER = trial_at(1, {})


@dataclass
class FakeRuns:
    """A tracking store that remembers the calls, and fails and waits as it is told to."""

    calls: list[object] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)  # one a call, until none is left
    spoilt: set[int] = field(default_factory=set)  # trials that it never takes
    gate: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)
    seconds: float = 0.0  # that a call takes
    with_files: set[int] = field(default_factory=set)
    refusals: list[Exception] = field(default_factory=list)  # one an attempt to reach it, until none is left
    is_open: bool = False

    def __post_init__(self) -> None:
        self.gate.set()

    def open(self) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.is_open = True

    def close(self) -> None:
        self.is_open = False

    def _call(self, call: object) -> None:
        assert self.is_open
        self.entered.set()
        self.gate.wait(30)
        time.sleep(self.seconds)
        if self.failures:
            raise self.failures.pop(0)
        self.calls.append(call)

    def show(self, trial: Trial) -> None:
        if trial.number in self.spoilt:
            raise ValueError("never")
        self._call(trial)
        if trial.reached:
            self.with_files.add(trial.number)

    def needs_files(self, trial: Trial) -> bool:
        return trial.number in self.with_files

    def show_files(self, trial: Trial) -> None:
        self._call(f"files {trial.number}")
        self.with_files.discard(trial.number)

    def show_study(self, card: StudyCard) -> None:
        self._call(card)

    def addresses(self, number: int | None) -> dict[str, str]:
        return {"winner_run": f"run-{number}"} if self.is_open else {}


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> FakeRuns:
    monkeypatch.setattr("search.tracking.uploader.FIRST_PAUSE_SECONDS", 0.01)
    return FakeRuns()


@pytest.fixture
def upload(runs: FakeRuns) -> Iterator[Callable[..., Uploader]]:
    """Make an uploader, of which nothing is left after the test."""
    made: list[Uploader] = []

    def begin() -> Uploader:
        made.append(Uploader(runs))
        return made[-1]

    yield begin
    runs.gate.set()
    for uploader in made:
        uploader.close(timeout_seconds=5)


def _wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until, "it does not happen"
        time.sleep(0.005)


def test_what_is_shown_arrives(runs: FakeRuns, upload: Callable[..., Uploader]) -> None:
    uploader: Tracker = upload()

    uploader.show(EARLY)
    uploader.show_study(CARD)

    _wait_for(lambda: runs.calls == [EARLY, CARD])


def test_of_several_looks_of_a_trial_the_last_arrives(runs: FakeRuns, upload: Callable[..., Uploader]) -> None:
    uploader = upload()
    runs.gate.clear()
    uploader.show(OTHER)
    runs.entered.wait(20)

    looks = [trial_at(0, {}), EARLY, trial_at(0, {}, going_to=3.0)]
    for look in looks:
        uploader.show(look)
    runs.gate.set()

    assert uploader.close(timeout_seconds=20) == 0
    assert runs.calls == [OTHER, looks[-1]]


def test_of_several_looks_of_the_study_the_last_arrives(runs: FakeRuns, upload: Callable[..., Uploader]) -> None:
    uploader = upload()
    runs.gate.clear()
    uploader.show(OTHER)
    runs.entered.wait(20)
    last = StudyCard(name="study", status="FINISHED", data=CARD.data)

    uploader.show_study(CARD)
    uploader.show_study(last)
    runs.gate.set()

    assert uploader.close(timeout_seconds=20) == 0
    assert runs.calls == [OTHER, last]


def test_a_look_that_comes_while_an_older_one_is_on_its_way_is_not_lost(
    runs: FakeRuns, upload: Callable[..., Uploader]
) -> None:
    uploader = upload()
    runs.gate.clear()
    uploader.show(EARLY)
    runs.entered.wait(20)

    uploader.show(trial_at(0, {}, going_to=3.0))
    runs.gate.set()

    assert uploader.close(timeout_seconds=20) == 0
    assert runs.calls == [EARLY, trial_at(0, {}, going_to=3.0)]


def test_a_look_of_the_study_that_comes_while_an_older_one_is_on_its_way_is_not_lost(
    runs: FakeRuns, upload: Callable[..., Uploader]
) -> None:
    uploader = upload()
    runs.gate.clear()
    uploader.show_study(CARD)
    runs.entered.wait(20)
    last = StudyCard(name="study", status="FINISHED", data=CARD.data)

    uploader.show_study(last)
    runs.gate.set()

    assert uploader.close(timeout_seconds=20) == 0
    assert runs.calls == [CARD, last]


def test_figures_come_after_the_numbers_of_all_trials_and_before_the_study(
    runs: FakeRuns, upload: Callable[..., Uploader]
) -> None:
    uploader = upload()
    runs.gate.clear()
    uploader.show(LATER)
    runs.entered.wait(20)

    uploader.show_study(CARD)
    uploader.show(OTHER)
    runs.gate.set()

    assert uploader.close(timeout_seconds=20) == 0
    assert runs.calls == [LATER, OTHER, "files 0", CARD]


@pytest.mark.parametrize("num_failures", [1, 4])
def test_a_store_that_fails_is_tried_again(runs: FakeRuns, upload: Callable[..., Uploader], num_failures: int) -> None:
    runs.failures = [OSError(f"away {n}") for n in range(num_failures)]
    uploader = upload()

    uploader.show(EARLY)

    _wait_for(lambda: runs.calls == [EARLY])


def test_a_store_that_can_not_be_reached_is_tried_again(runs: FakeRuns, upload: Callable[..., Uploader]) -> None:
    runs.refusals = [ConnectionError("refused"), TimeoutError()]
    uploader = upload()

    uploader.show(EARLY)

    _wait_for(lambda: runs.calls == [EARLY])
    assert uploader.last_error == "TimeoutError: "


def test_what_could_not_be_shown_before_the_end_is_shown_at_the_end(
    runs: FakeRuns, upload: Callable[..., Uploader]
) -> None:
    runs.failures = [OSError("away\nfor long"), OSError("away")]
    uploader = upload()
    uploader.show(LATER)
    uploader.show_study(CARD)

    num_due = uploader.close(timeout_seconds=20)

    assert num_due == 0
    assert runs.calls == [LATER, "files 0", CARD]


def test_at_the_end_a_dead_store_is_not_waited_for(runs: FakeRuns, upload: Callable[..., Uploader]) -> None:
    runs.refusals = 100 * [ConnectionError("refused\nagain")]
    uploader = upload()
    uploader.show(EARLY)
    uploader.show(OTHER)
    uploader.show_study(CARD)
    begin = time.monotonic()

    num_due = uploader.close(timeout_seconds=60)

    assert num_due == 3
    assert uploader.last_error == "ConnectionError: refused"
    assert time.monotonic() - begin < 20


def test_at_the_end_a_hanging_store_is_left_after_the_time(runs: FakeRuns, upload: Callable[..., Uploader]) -> None:
    runs.gate.clear()
    uploader = upload()
    uploader.show(EARLY)
    uploader.show_study(CARD)

    assert uploader.close(timeout_seconds=0.05) == 2
    assert not runs.is_open, "it is broken off"


def test_a_hanging_store_does_not_hold_the_search(runs: FakeRuns, upload: Callable[..., Uploader]) -> None:
    runs.gate.clear()
    uploader = upload()
    begin = time.monotonic()

    for _ in range(1000):
        uploader.show(EARLY)

    assert time.monotonic() - begin < 1
    assert uploader.num_due == 1


def test_closing_with_nothing_due_takes_no_time(upload: Callable[..., Uploader]) -> None:
    begin = time.monotonic()

    assert upload().close(timeout_seconds=60) == 0
    assert time.monotonic() - begin < 5


def test_addresses_are_known_once_the_store_was_reached(runs: FakeRuns, upload: Callable[..., Uploader]) -> None:
    uploader = upload()
    before = uploader.addresses(3)

    uploader.show(EARLY)
    _wait_for(lambda: uploader.num_due == 0)

    assert (before, uploader.addresses(3)) == ({}, {"winner_run": "run-3"})


def test_a_look_that_the_store_never_takes_does_not_hold_up_the_others(
    runs: FakeRuns, upload: Callable[..., Uploader]
) -> None:
    runs.spoilt = {0}
    uploader = upload()

    uploader.show(EARLY)
    uploader.show(OTHER)
    uploader.show_study(CARD)

    assert uploader.close(timeout_seconds=5) == 1
    assert runs.calls == [OTHER, CARD]


def test_figures_of_trials_that_are_over_come_before_those_of_others(
    runs: FakeRuns, upload: Callable[..., Uploader]
) -> None:
    uploader = upload()
    runs.gate.clear()
    uploader.show(OTHER)
    runs.entered.wait(20)

    uploader.show(LATER)
    uploader.show(trial_at(2, {1.0: 0.5}, ended=State.PRUNED))
    runs.gate.set()

    assert uploader.close(timeout_seconds=20) == 0
    assert runs.calls[-2:] == ["files 2", "files 0"]


def test_the_time_until_all_is_shown_is_reckoned_by_what_such_things_took(
    runs: FakeRuns, upload: Callable[..., Uploader]
) -> None:
    uploader = upload()
    assert uploader.seconds_behind(5) == pytest.approx(0.5), "nothing is known yet"
    runs.seconds = 0.05
    uploader.show(LATER)
    _wait_for(lambda: uploader.num_due == 0)
    runs.gate.clear()
    uploader.show(OTHER)

    assert uploader.seconds_behind(0) == pytest.approx(0.05, rel=0.9)
    assert uploader.seconds_behind(3) == pytest.approx(4 * uploader.seconds_behind(0))
    of_numbers = uploader.seconds_behind(0)
    uploader.show(trial_at(1, {1.0: 0.5}))
    assert uploader.seconds_behind(0) > 1.3 * of_numbers, "its figures, too"


def test_a_store_that_fails_is_not_waited_for(runs: FakeRuns, upload: Callable[..., Uploader]) -> None:
    uploader = upload()
    uploader.show(LATER)
    _wait_for(lambda: uploader.num_due == 0)
    runs.spoilt = {1}
    uploader.show(OTHER)

    _wait_for(lambda: bool(uploader.last_error))

    assert uploader.seconds_behind(3) == 0
