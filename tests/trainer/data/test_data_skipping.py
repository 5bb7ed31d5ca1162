import os
from pathlib import Path

import pytest

from tests.trainer.data.data_samples import make_folder, prepared
from trainer.data import load_data_set
from trainer.errors import DataError


def test_skipped_files_are_listed_and_the_rest_is_as_if_they_were_not_there(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "a", {"x": 20, "y": 10})
    clean = prepared(f"folder:{folder}", tmp_path)
    (folder / "x" / "bad.png").write_bytes(b"GIF89a")
    os.mkfifo(folder / "y" / "pipe.png")

    found = prepared(f"folder:{folder}", tmp_path, on_bad_image="skip")

    assert [line.split()[0] for line in found.skipped] == ["x/bad.png", "y/pipe.png"]
    assert found.fingerprint == clean.fingerprint
    assert load_data_set(found.root) == found
    assert clean.skipped == ()


@pytest.mark.parametrize(("num_bad", "is_refused"), [(3, False), (4, True)])
def test_more_bad_files_than_a_tenth_are_the_fault_of_the_source(
    tmp_path: Path, num_bad: int, is_refused: bool
) -> None:
    folder = make_folder(tmp_path / "a", {"x": 20, "y": 10})
    for number in range(num_bad):
        (folder / "x" / f"{number:03}.png").write_bytes(b"no image")

    if is_refused:
        with pytest.raises(DataError, match=r"4 of 30 images.*(?s:.)*At most 10 % are skipped"):
            prepared(f"folder:{folder}", tmp_path, on_bad_image="skip")
    else:
        assert len(prepared(f"folder:{folder}", tmp_path, on_bad_image="skip").skipped) == 3


def test_a_class_that_is_nothing_but_bad_files_is_refused(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "a", {"x": 30, "y": 30, "z": 2})
    for number in range(2):
        (folder / "z" / f"{number:03}.png").write_bytes(b"no image")

    with pytest.raises(DataError, match="class 'z' has"):
        prepared(f"folder:{folder}", tmp_path, on_bad_image="skip")
