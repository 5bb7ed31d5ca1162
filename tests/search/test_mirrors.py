"""One tracker before the tracking store and the event files: each has its own troubles."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from search_samples import NAME, trial_at

from search.errors import StudyError
from search.request import Request
from search.store import Store
from search.tracking import Tracker
from search.tracking.base import DataCard, StudyCard
from search.tracking.mirrors import OWNER, Mirrors, check_tensorboard, open_mirrors
from search.tracking.uploader import Uploader
from search.trials import Trial

DATA = DataCard(name="d", fingerprint="f", num_classes=2, image_shape=(1, 1, 1), num_images={})
CARD = StudyCard(name=NAME, status="RUNNING", data=DATA)
TRIAL = trial_at(0, {1.0: 0.5})


@dataclass
class FakeRuns:
    """Remembers the calls, or fails each."""

    is_broken: bool = False
    calls: list[object] = field(default_factory=list)

    def open(self) -> None: ...

    def close(self) -> None: ...

    def show(self, trial: Trial) -> None:
        self._call(trial)

    def needs_files(self, trial: Trial) -> bool:
        return False

    def show_files(self, trial: Trial) -> None:
        raise AssertionError(trial)

    def show_study(self, card: StudyCard) -> None:
        self._call(card)

    def addresses(self, number: int | None) -> dict[str, str]:
        return {"winner_run": f"run-{number}"}

    def _call(self, call: object) -> None:
        if self.is_broken:
            raise OSError(28, "No space left on device")
        self.calls.append(call)


def _connect(*_: object) -> FakeRuns:
    return FakeRuns()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.tracking.uploader.FIRST_PAUSE_SECONDS", 0.01)


def _closed(tracking: FakeRuns, files: FakeRuns | None) -> Mirrors:
    """Mirrors that were told of a trial and a study, and closed."""
    mirrors = Mirrors(Uploader(tracking), None if files is None else Uploader(files, to="Writing"))
    tracker: Tracker = mirrors
    tracker.show(TRIAL)
    tracker.show_study(CARD)
    mirrors.close(timeout_seconds=10)
    return mirrors


def test_each_is_told_everything() -> None:
    tracking, files = FakeRuns(), FakeRuns()

    mirrors = _closed(tracking, files)

    assert tracking.calls == files.calls == [TRIAL, CARD]
    assert (mirrors.num_not_uploaded, mirrors.num_not_written) == (0, 0)
    assert mirrors.addresses(3) == {"winner_run": "run-3"}


def test_event_files_are_no_must() -> None:
    tracking = FakeRuns()

    mirrors = _closed(tracking, None)

    assert tracking.calls == [TRIAL, CARD]
    assert mirrors.num_not_written == 0


def test_a_full_disk_for_event_files_does_not_hold_up_the_tracking_store(caplog: pytest.LogCaptureFixture) -> None:
    tracking = FakeRuns()

    mirrors = _closed(tracking, FakeRuns(is_broken=True))

    assert tracking.calls == [TRIAL, CARD]
    assert (mirrors.num_not_uploaded, mirrors.num_not_written) == (0, 2)
    assert "Writing failed (OSError: [Errno 28] No space left on device); it is tried again." in caplog.messages


def test_a_tracking_store_that_is_down_does_not_hold_up_event_files() -> None:
    files = FakeRuns()

    mirrors = _closed(FakeRuns(is_broken=True), files)

    assert files.calls == [TRIAL, CARD]
    assert (mirrors.num_not_uploaded, mirrors.num_not_written) == (2, 0)


def test_a_directory_is_made_before_the_search_begins(tmp_path: Path) -> None:
    check_tensorboard(tmp_path / "a" / "board")
    check_tensorboard(None)

    assert list((tmp_path / "a" / "board").iterdir()) == []


def test_a_file_for_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "board").touch()

    with pytest.raises(StudyError, match=r"The TensorBoard directory '.*board' is a file.*--tensorboard"):
        check_tensorboard(tmp_path / "board")


def test_without_the_package_the_search_is_refused_with_the_way_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.tracking.mirrors.find_spec", lambda _name: None)

    with pytest.raises(StudyError, match=r"pip install 'autoclf\[tensorboard\]'"):
        check_tensorboard(tmp_path / "board")

    assert not (tmp_path / "board").exists()
    check_tensorboard(None)


def test_the_event_files_of_another_study_are_not_touched(store: Store, asked: Request, tmp_path: Path) -> None:
    request = replace(asked, tensorboard=tmp_path / "board")
    root = tmp_path / "board" / NAME
    root.mkdir(parents=True)
    (root / OWNER).write_text("another")

    with pytest.raises(StudyError, match="holds the event files of another study of this name"):
        open_mirrors(store, request, uid="mine", data=DATA, class_names=())

    assert (root / OWNER).read_text() == "another"


@pytest.mark.parametrize("left", [None, "", "mine"])
def test_a_study_goes_on_in_its_own_folder(
    store: Store, asked: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str | None
) -> None:
    monkeypatch.setattr("search.tracking.mirrors.connect", _connect)
    root = tmp_path / "board" / NAME
    if left is not None:
        root.mkdir(parents=True)
        (root / OWNER).write_text(left)  # nothing of it, if a kill came between

    mirrors = open_mirrors(store, replace(asked, tensorboard=tmp_path / "board"), uid="mine", data=DATA, class_names=())
    mirrors.show(TRIAL)
    mirrors.close(timeout_seconds=20)

    assert (root / OWNER).read_text() == "mine"
    assert list((root / "0").iterdir())
