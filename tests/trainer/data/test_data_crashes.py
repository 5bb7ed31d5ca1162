"""Processes that die, race or fill the disk: what is left is whole or nothing."""

import os
import signal
from pathlib import Path

import pytest

from tests.trainer.data.data_samples import arrays, left_overs, make_folder, prepared, start_python, write_npz
from trainer.data import load_data_set

PREPARE = """
import sys
from pathlib import Path
from trainer.data import prepare
place = Path(sys.argv[2])
blocks = []
found = prepare(
    sys.argv[1], cache=place / "cache", data_dir=place, image_size=64, on_progress=lambda *n: blocks.append(n)
)
print(found.fingerprint, bool(blocks))
"""

HANG_IN_PROGRESS = """
import sys, time
from pathlib import Path
from trainer.data import prepare
place = Path(sys.argv[2])
def hang(done, total):
    if done >= int(sys.argv[3]):
        print("hanging", flush=True)
        time.sleep(100)
prepare(sys.argv[1], cache=place / "cache", data_dir=place, image_size=64, on_progress=hang)
"""

HANG_BEFORE_PUBLISHING = """
import os, sys, time
from pathlib import Path
from trainer.data import prepare
place = Path(sys.argv[2])
def hang(descriptor):
    print("hanging", flush=True)
    time.sleep(100)
os.fsync = hang
prepare(sys.argv[1], cache=place / "cache", data_dir=place, image_size=64)
"""

ON_A_SMALL_DISK = """
import resource, signal, sys
from pathlib import Path
from trainer.data import prepare
from trainer.errors import DataError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
place = Path(sys.argv[2])
try:
    prepare(sys.argv[1], cache=place / "cache", data_dir=place, image_size=64)
except DataError as error:
    print(error)
"""


@pytest.fixture
def source(tmp_path: Path) -> str:
    return f"folder:{make_folder(tmp_path / 'images', {'x': 60, 'y': 60})}"


def test_processes_that_prepare_the_same_at_once_make_one_data_set(tmp_path: Path, source: str) -> None:
    processes = [start_python(PREPARE, source, tmp_path) for _ in range(3)]
    answers = [process.communicate(timeout=60) for process in processes]

    words = [out.split() for out, _ in answers]
    assert [process.returncode for process in processes] == [0, 0, 0], answers
    assert len({fingerprint for fingerprint, _ in words}) == 1
    assert sorted(has_built for _, has_built in words) == ["False", "False", "True"]
    assert left_overs(tmp_path / "cache") == []


@pytest.mark.parametrize(
    ("code", "at_image"), [(HANG_IN_PROGRESS, 1), (HANG_IN_PROGRESS, 120), (HANG_BEFORE_PUBLISHING, 0)]
)
def test_a_killed_process_leaves_nothing_that_looks_whole(
    tmp_path: Path, source: str, code: str, at_image: int
) -> None:
    process = start_python(code, source, tmp_path, at_image)
    assert process.stdout is not None
    assert process.stdout.readline() == "hanging\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)

    assert len(list((tmp_path / "cache").glob("*.building"))) == 1
    assert not [path for path in (tmp_path / "cache").glob("folder-*") if path.suffix == ""]
    data_set = prepared(source, tmp_path, image_size=64)
    assert load_data_set(data_set.root).num_train > 0
    assert left_overs(tmp_path / "cache") == []


def test_the_next_build_of_anything_clears_up_after_a_killed_one(tmp_path: Path, source: str) -> None:
    process = start_python(HANG_IN_PROGRESS, source, tmp_path, 1)
    assert process.stdout is not None
    process.stdout.readline()
    other = f"npz:{write_npz(tmp_path / 'a.npz', arrays())}"
    prepared(other, tmp_path)
    assert len(left_overs(tmp_path / "cache")) == 1  # the other one lives, so its work is left alone

    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    prepared(other, tmp_path, seed=1)

    assert left_overs(tmp_path / "cache") == []


def test_a_full_disk_is_explained_and_leaves_nothing(tmp_path: Path, source: str) -> None:
    out, err = start_python(ON_A_SMALL_DISK, source, tmp_path).communicate(timeout=60)

    assert "took no more (File too large)" in out, err
    assert "bytes are free" in out
    assert left_overs(tmp_path / "cache") == []
