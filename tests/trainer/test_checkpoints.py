import hashlib
import io
import pickle
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainer.short_jobs import CPU, limited_file_size
from trainer.checkpoints import MAGIC, load_checkpoint, read_checkpoint, save_checkpoint
from trainer.errors import CheckpointError
from trainer.jobfiles import CHECKPOINT, INCOMING_CHECKPOINT, PREVIOUS_CHECKPOINT

MINE, OTHER = "0123456789abcdef", "fedcba9876543210"


def content(step: int, *, fingerprint: str = MINE) -> dict[str, Any]:
    return {"fingerprint": fingerprint, "step": step, "weights": torch.full((3, 2), float(step))}


def step_found(directory: Path, fingerprint: str = MINE) -> int | None:
    found = load_checkpoint(directory, fingerprint=fingerprint, device=CPU)
    return None if found is None else int(found["step"])


def names_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


@dataclass(frozen=True, slots=True)
class Saved:
    """The bytes of two checkpoints, as they lie on disk after steps 1 and 2."""

    previous: bytes
    newest: bytes

    def restored_in(self, directory: Path, newest: bytes) -> Path:
        (directory / PREVIOUS_CHECKPOINT).write_bytes(self.previous)
        (directory / CHECKPOINT).write_bytes(newest)
        return directory


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    directory = tmp_path_factory.mktemp("saved")
    for step in (1, 2):
        save_checkpoint(directory, content(step))
    return Saved((directory / PREVIOUS_CHECKPOINT).read_bytes(), (directory / CHECKPOINT).read_bytes())


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    tensors = {
        "filters": torch.randn(4, 3, 2, 2).contiguous(memory_format=torch.channels_last),
        "half": torch.randn(5).bfloat16(),
        "count": torch.tensor(7),
        "empty": torch.zeros(0, 3),
    }
    plain = {"numbers": [1, 2.5, None, True], "text": "ü", "epoch": 0.1 + 0.2}
    save_checkpoint(tmp_path, {"fingerprint": MINE, "tensors": tensors, "plain": plain})

    found = load_checkpoint(tmp_path, fingerprint=MINE, device=CPU)

    assert found is not None
    assert found["plain"] == plain
    assert found["tensors"].keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(found["tensors"][name], tensor)
        assert found["tensors"][name].dtype == tensor.dtype
        assert found["tensors"][name].stride() == tensor.stride()


def test_the_newest_counts_and_the_one_before_it_is_kept(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, content(step))

    assert names_in(tmp_path) == {CHECKPOINT, PREVIOUS_CHECKPOINT}
    assert step_found(tmp_path) == 3
    assert read_checkpoint(tmp_path / PREVIOUS_CHECKPOINT, device=CPU)["step"] == 2


def test_where_nothing_was_saved_nothing_is_found(tmp_path: Path) -> None:
    assert step_found(tmp_path) is None
    assert step_found(tmp_path / "absent") is None


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_a_checkpoint_cut_short_anywhere_gives_way_to_the_one_before(saved: Saved, data: st.DataObject) -> None:
    length = data.draw(st.integers(0, len(saved.newest) - 1))

    with tempfile.TemporaryDirectory() as place:
        assert step_found(saved.restored_in(Path(place), saved.newest[:length])) == 1


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_a_checkpoint_with_one_wrong_bit_gives_way_to_the_one_before(saved: Saved, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, 8 * len(saved.newest) - 1))
    altered = bytearray(saved.newest)
    altered[position // 8] ^= 1 << position % 8

    with tempfile.TemporaryDirectory() as place:
        assert step_found(saved.restored_in(Path(place), bytes(altered))) == 1


@pytest.mark.parametrize(
    "newest", [b"", b"\0", MAGIC, MAGIC + bytes(32), bytes(5000)], ids=["empty", "zero", "word", "head", "zeros"]
)
def test_a_file_of_nothing_gives_way_to_the_one_before(tmp_path: Path, saved: Saved, newest: bytes) -> None:
    assert step_found(saved.restored_in(tmp_path, newest)) == 1


def test_a_tail_that_does_not_belong_is_noticed(tmp_path: Path, saved: Saved) -> None:
    assert step_found(saved.restored_in(tmp_path, saved.newest + b"\0")) == 1


def test_two_damaged_checkpoints_are_none(tmp_path: Path, saved: Saved) -> None:
    saved.restored_in(tmp_path, saved.newest[:-1])
    (tmp_path / PREVIOUS_CHECKPOINT).write_bytes(saved.previous[:-1])

    assert step_found(tmp_path) is None


@pytest.mark.parametrize(
    ("files", "step"),
    [
        pytest.param({INCOMING_CHECKPOINT: 3}, 3, id="killed before the first of all was named"),
        pytest.param({PREVIOUS_CHECKPOINT: 2}, 2, id="the newest was deleted"),
        pytest.param({INCOMING_CHECKPOINT: 3, CHECKPOINT: 2, PREVIOUS_CHECKPOINT: 1}, 3, id="killed before"),
        pytest.param({INCOMING_CHECKPOINT: 3, PREVIOUS_CHECKPOINT: 2}, 3, id="killed between the renames"),
        pytest.param({CHECKPOINT: 3, PREVIOUS_CHECKPOINT: 2}, 3, id="killed after"),
    ],
)
def test_a_process_killed_while_it_saves_leaves_the_newest(tmp_path: Path, files: dict[str, int], step: int) -> None:
    for name, number in files.items():
        save_checkpoint(tmp_path, content(number))
        (tmp_path / CHECKPOINT).rename(tmp_path / f"{name}.made")
    for name in files:
        (tmp_path / f"{name}.made").rename(tmp_path / name)
    for name in {CHECKPOINT, PREVIOUS_CHECKPOINT, INCOMING_CHECKPOINT} - files.keys():
        (tmp_path / name).unlink(missing_ok=True)

    assert step_found(tmp_path) == step
    save_checkpoint(tmp_path, content(4))
    assert step_found(tmp_path) == 4
    assert INCOMING_CHECKPOINT not in names_in(tmp_path)


def test_a_torn_file_that_was_coming_in_is_passed_over(tmp_path: Path, saved: Saved) -> None:
    saved.restored_in(tmp_path, saved.newest)
    (tmp_path / INCOMING_CHECKPOINT).write_bytes(saved.newest[:100])

    assert step_found(tmp_path) == 2


def test_a_checkpoint_of_another_job_is_passed_over(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, content(1))

    assert step_found(tmp_path, OTHER) is None


def test_a_checkpoint_of_another_job_does_not_hide_ones_own(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, content(1))
    save_checkpoint(tmp_path, content(2, fingerprint=OTHER))

    assert step_found(tmp_path) == 1


def test_a_full_disk_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, content(1))
    large = content(2) | {"much": torch.zeros(100_000)}

    with limited_file_size(50_000), pytest.raises(OSError, match="File too large"):
        save_checkpoint(tmp_path, large)

    assert names_in(tmp_path) == {CHECKPOINT}
    assert step_found(tmp_path) == 1


class Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, (self.command,)


def payloads(command: str) -> Iterator[bytes]:
    yield pickle.dumps(Payload(command), protocol=2)  # the one that torch takes without a warning
    buffer = io.BytesIO()
    torch.save({"fingerprint": MINE, "step": Payload(command)}, buffer)
    yield buffer.getvalue()


@pytest.mark.parametrize("kind", [0, 1], ids=["plain", "from torch"])
def test_a_checkpoint_that_would_run_a_command_is_refused(tmp_path: Path, kind: int) -> None:
    payload = list(payloads(f"touch {tmp_path / 'ran'}"))[kind]
    path = tmp_path / CHECKPOINT
    path.write_bytes(MAGIC + hashlib.sha256(payload).digest() + payload)

    with pytest.raises(CheckpointError, match=r"checkpoint\.pt holds no checkpoint"):
        read_checkpoint(path, device=CPU)

    assert step_found(tmp_path) is None
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        bytes(100),
        b"PK\x03\x04 no archive",
        pytest.param(
            b"text",
        ),
    ],
)
def test_content_that_torch_did_not_write_is_no_checkpoint(tmp_path: Path, payload: bytes) -> None:
    path = tmp_path / CHECKPOINT
    path.write_bytes(MAGIC + hashlib.sha256(payload).digest() + payload)

    with pytest.raises(CheckpointError, match=r"checkpoint\.pt holds no checkpoint"):
        read_checkpoint(path, device=CPU)


def test_a_file_with_another_sum_is_torn(tmp_path: Path, saved: Saved) -> None:
    path = tmp_path / CHECKPOINT
    path.write_bytes(saved.newest[:-5])

    with pytest.raises(CheckpointError, match=r"checkpoint\.pt is torn or was altered"):
        read_checkpoint(path, device=CPU)


def test_a_file_that_is_not_there_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_checkpoint(tmp_path / CHECKPOINT, device=CPU)
