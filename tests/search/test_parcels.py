"""Files between machines that share no directory."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.executors import parcels
from search.executors.parcels import (
    PLACE,
    Depot,
    Outgoing,
    data_on_this_machine,
    fetch,
    is_drivers_own,
    own_folder,
    receive,
    scratch_folder,
)
from trainer.jobfiles import CHECKPOINT, PREDICTIONS, PREVIOUS_CHECKPOINT, WEIGHTS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of the driver's."""
    found = tmp_path / "driver" / "digits-1"
    found.mkdir(parents=True)
    (found / "meta.json").write_text("{}")
    (found / "train_images.npy").write_bytes(bytes(range(256)) * 10)
    (found / ".half").write_text("not yet whole")
    return found


@settings(max_examples=20)
@given(content=st.binary(max_size=50), chunk=st.integers(1, 20))
def test_files_come_whole_whatever_their_size(
    content: bytes, chunk: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("place")
    (place / "file").write_bytes(content)
    depot = Depot()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parcels, "CHUNK_BYTES", chunk)
        fetch(lambda _: True, place, place / "copy", depot.files, depot.read)

    assert (place / "copy" / "file").read_bytes() == content


def test_only_what_is_wanted_is_fetched_and_a_missing_folder_is_empty(folder: Path, tmp_path: Path) -> None:
    depot = Depot()

    fetch(lambda name: name == "meta.json", folder, tmp_path / "some", depot.files, depot.read)
    fetch(lambda _: True, folder / "nowhere", tmp_path / "none", depot.files, depot.read)

    assert [path.name for path in (tmp_path / "some").iterdir()] == ["meta.json"]
    assert list((tmp_path / "none").iterdir()) == []


def moved(depot: Depot, folder: Path, hidden: Path) -> tuple[parcels.List, parcels.Read, list[str]]:
    """Ask for a folder that has another path on the driver's machine; return what was read, too."""
    asked: list[str] = []

    def files(place: str) -> list[tuple[str, int]]:
        assert Path(place) == hidden
        return depot.files(str(folder))

    def read(place: str, name: str, start: int) -> bytes:
        asked.append(name)
        return depot.read(str(folder), name, start)

    return files, read, asked


def test_a_data_set_comes_to_a_machine_once(folder: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "elsewhere" / "digits-1"
    files, read, asked = moved(Depot(), folder, hidden)

    places = [data_on_this_machine(hidden, tmp_path / "cache", files, read) for _ in range(2)]

    assert places == [tmp_path / "cache" / "digits-1"] * 2
    assert sorted(path.name for path in places[0].iterdir()) == ["meta.json", "train_images.npy"]
    assert (places[0] / "train_images.npy").read_bytes() == (folder / "train_images.npy").read_bytes()
    assert sorted(asked) == ["meta.json", "train_images.npy"]


def test_a_data_set_that_is_seen_is_not_fetched(folder: Path, tmp_path: Path) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("it asked the driver")

    assert data_on_this_machine(folder, tmp_path / "cache", fail, fail) == folder  # type: ignore[arg-type]


def test_a_data_set_that_breaks_off_is_not_there(folder: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "elsewhere" / "digits-1"
    files, _, _ = moved(Depot(), folder, hidden)

    def broken(*_: object) -> bytes:
        raise ConnectionError("the driver is gone")

    with pytest.raises(ConnectionError):
        data_on_this_machine(hidden, tmp_path / "cache", files, broken)

    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["digits-1.lock"]


def test_what_a_killed_job_has_fetched_of_a_data_set_goes_when_the_next_one_fetches_it(
    folder: Path, tmp_path: Path
) -> None:
    hidden = tmp_path / "elsewhere" / "digits-1"
    files, read, _ = moved(Depot(), folder, hidden)
    torn, another = tmp_path / "cache" / ".digits-1.x7", tmp_path / "cache" / ".digits-12.x8"
    for place in (torn, another):
        place.mkdir(parents=True)

    data_on_this_machine(hidden, tmp_path / "cache", files, read)

    assert not torn.exists()
    assert another.exists()


def test_what_is_new_goes_out_once(tmp_path: Path) -> None:
    outgoing = Outgoing(tmp_path)
    (tmp_path / CHECKPOINT).write_bytes(b"one")
    (tmp_path / "notes.txt").write_text("nobody's")

    assert list(outgoing.changed()) == [(CHECKPOINT, b"one")]
    assert list(outgoing.changed()) == []
    (tmp_path / CHECKPOINT).write_bytes(b"other")
    (tmp_path / WEIGHTS).write_bytes(b"w")
    assert list(outgoing.changed()) == [(CHECKPOINT, b"other"), (WEIGHTS, b"w")]


def test_what_was_brought_does_not_go_back(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"one")
    outgoing = Outgoing(tmp_path)

    outgoing.ignore_present()

    assert list(outgoing.changed()) == []


def test_a_checkpoint_that_comes_keeps_the_one_before_it(tmp_path: Path) -> None:
    job = tmp_path / "job"
    for content in (b"one", b"two"):
        receive(job, CHECKPOINT, content)
    receive(job, PREDICTIONS, b"p")

    assert (job / CHECKPOINT).read_bytes() == b"two"
    assert (job / PREVIOUS_CHECKPOINT).read_bytes() == b"one"
    assert (job / PREDICTIONS).read_bytes() == b"p"


@pytest.mark.parametrize("name", ["../outside", "events.log", PREVIOUS_CHECKPOINT, "", "/etc/passwd"])
def test_a_file_that_no_job_leaves_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="A job leaves no"):
        receive(tmp_path / "job", name, b"x")

    assert not (tmp_path / "outside").exists()


def test_a_machine_knows_the_drivers_directory_by_what_lies_in_it(tmp_path: Path) -> None:
    (tmp_path / PLACE).write_text("token")

    assert is_drivers_own(tmp_path, "token")
    assert not is_drivers_own(tmp_path, "another driver's")
    assert not is_drivers_own(tmp_path / "nowhere", "token")


def test_a_job_that_was_stopped_may_begin_again() -> None:
    depot = Depot()
    depot.stop(3)
    assert depot.is_stopped(3)
    assert not depot.is_stopped(4)

    depot.begin(3)

    assert not depot.is_stopped(3)


KILLED_IN_IT = """
import os, sys
from pathlib import Path
from search.executors.parcels import scratch_folder
with scratch_folder(Path(sys.argv[1])) as scratch:
    (scratch / "checkpoint.safetensors").write_bytes(b"half")
    os.kill(os.getpid(), 9)
"""


def test_a_job_has_a_directory_for_as_long_as_it_runs(tmp_path: Path) -> None:
    with scratch_folder(tmp_path / "jobs") as one, scratch_folder(tmp_path / "jobs") as other:
        (one / "file").touch()
        assert one != other
        assert one.is_dir()
        assert other.is_dir()

    assert list((tmp_path / "jobs").iterdir()) == []


def test_what_a_killed_job_left_goes_when_the_next_one_begins(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED_IN_IT, str(tmp_path)], check=False)
    assert list(tmp_path.glob("*/checkpoint.safetensors"))

    with scratch_folder(tmp_path) as own:
        assert {path.name for path in tmp_path.iterdir()} == {own.name, f"{own.name}.lock"}


def test_the_folder_on_a_machine_is_the_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    assert own_folder() == own_folder() == tmp_path / f"autoclf-{os.getuid()}"

    assert stat.S_IMODE(own_folder().stat().st_mode) == 0o700


def test_a_folder_that_somebody_else_put_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "trap").mkdir()
    (tmp_path / f"autoclf-{os.getuid()}").symlink_to(tmp_path / "trap")

    with pytest.raises(PermissionError, match="no folder of this user's"):
        own_folder()
