from pathlib import Path

import pytest

from trainer.files import replacing, write_bytes


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"

    with replacing(path) as file:
        file.write(b"new")
        assert not path.exists()

    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_replaced_only_when_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    with replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"

    assert path.read_bytes() == b"new"


def write_half(path: Path, error: type[BaseException]) -> None:
    with replacing(path) as file:
        file.write(b"half")
        raise error


@pytest.mark.parametrize("error", [RuntimeError, OSError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("before", [None, b"old"])
def test_whatever_happens_inside_leaves_everything_as_it_was(
    tmp_path: Path, error: type[BaseException], before: bytes | None
) -> None:
    path = tmp_path / "a.bin"
    if before is not None:
        path.write_bytes(before)
    was_there = list(tmp_path.iterdir())

    with pytest.raises(error):
        write_half(path, error)

    assert list(tmp_path.iterdir()) == was_there
    assert before is None or path.read_bytes() == before


def test_a_place_that_cannot_be_replaced_leaves_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "a.bin").mkdir()

    with pytest.raises(OSError, match=r"a\.bin"):
        write_bytes(tmp_path / "a.bin", b"content")

    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_a_folder_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_bytes(tmp_path / "absent" / "a.bin", b"content")

    assert list(tmp_path.iterdir()) == []


def test_bytes_are_written_as_they_are(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a.bin", bytes(range(256)))

    assert (tmp_path / "a.bin").read_bytes() == bytes(range(256))
