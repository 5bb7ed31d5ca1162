import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainer.data.data_samples import arrays, left_overs, make_folder, noise, write_image, write_npz
from trainer.data import Copies, Inspection, Spread, inspect
from trainer.errors import DataError


def inspected(source: str, place: Path) -> Inspection:
    return inspect(source, cache=place / "cache", data_dir=place / "data")


def test_a_folder_is_counted_by_split_and_class(tmp_path: Path) -> None:
    make_folder(tmp_path / "a", {"train/x": 3, "train/y": 2, "val/x": 1})

    found = inspected(f"folder:{tmp_path / 'a'}", tmp_path)

    assert found.class_names == ("x", "y")
    assert found.counts == {"train": (3, 2), "val": (1, 0)}


def test_sizes_kinds_and_formats_are_summed_up(tmp_path: Path) -> None:
    write_image(tmp_path / "a/x/1.png", noise(1, (10, 20, 3)))
    write_image(tmp_path / "a/x/2.png", noise(2, (10, 20, 3)))
    write_image(tmp_path / "a/y/1.jpg", noise(3, (30, 40)))
    (tmp_path / "a/y/notes.txt").write_bytes(b"")

    found = inspected(f"folder:{tmp_path / 'a'}", tmp_path)

    assert found.sizes is not None
    assert found.sizes.width == Spread(min=20, median=20, max=40)
    assert found.sizes.height == Spread(min=10, median=10, max=30)
    assert (found.sizes.most_common, found.sizes.num_most_common) == ((20, 10), 2)
    assert found.modes == {"RGB": 2, "L": 1}
    assert found.formats == {"PNG": 2, "JPEG": 1}
    assert found.num_ignored == 1


def test_images_that_cannot_be_used_are_part_of_the_answer(tmp_path: Path) -> None:
    make_folder(tmp_path / "a", {"x": 2, "y": 1})
    (tmp_path / "a/x/000.png").write_bytes(b"text")
    os.mkfifo(tmp_path / "a/y/pipe.png")

    found = inspected(f"folder:{tmp_path / 'a'}", tmp_path)

    assert [str(bad) for bad in found.unreadable] == [
        "x/000.png is no JPEG, PNG, WebP, BMP, GIF or TIFF image",
        "y/pipe.png is a named pipe",
    ]
    assert found.counts == {"train": (1, 1)}


def test_a_folder_without_one_usable_image_is_inspected(tmp_path: Path) -> None:
    make_folder(tmp_path / "a", {"x": 0})

    found = inspected(f"folder:{tmp_path / 'a'}", tmp_path)

    assert found.counts == {"train": (0,)}
    assert found.sizes is None


def test_copies_are_counted_by_what_they_spoil(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "a", {"train/x": 3, "train/y": 3, "test/x": 2, "test/y": 2})
    shutil.copy(folder / "train/x/000.png", folder / "train/x/again.png")
    shutil.copy(folder / "train/x/001.png", folder / "test/x/leak.png")
    shutil.copy(folder / "train/x/002.png", folder / "train/y/conflict.png")

    found = inspected(f"folder:{folder}", tmp_path)

    assert found.copies == Copies(
        num_groups=3,
        num_across_splits=1,
        num_across_classes=1,
        examples=(("train/x/001.png", "test/x/leak.png"), ("train/x/002.png", "train/y/conflict.png")),
    )


def test_arrays_are_inspected_too(tmp_path: Path) -> None:
    content = arrays()
    content["x_train"][4] = content["x_train"][5]

    found = inspected(f"npz:{write_npz(tmp_path / 'a.npz', content)}", tmp_path)

    assert found.counts == {"train": (10, 10, 10)}
    assert found.modes == {"L": 30}
    assert found.sizes is not None
    assert found.sizes.most_common == (5, 6)
    assert found.copies == Copies(num_groups=1, num_across_splits=0, num_across_classes=1)
    assert found.near_copies is None  # of 5 x 6 pixels
    assert left_overs(tmp_path / "cache") == []


def test_images_that_look_the_same_are_counted_beside_exact_copies(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "a", {"train/x": 1, "train/y": 1, "test/x": 1, "test/y": 1})
    large = np.kron(noise(7, (4, 4, 3)), np.ones((16, 16, 1), dtype=np.uint8))
    write_image(folder / "train/x/large.png", large)
    write_image(folder / "test/x/small.jpg", large[::2, ::2], quality=90)

    found = inspected(f"folder:{folder}", tmp_path)

    assert found.copies.num_groups == 0
    assert found.near_copies == Copies(1, 1, 0, examples=(("train/x/large.png", "test/x/small.jpg"),))


def test_progress_is_told(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    source = f"folder:{make_folder(tmp_path / 'a', {'x': 3, 'y': 2})}"

    inspect(source, cache=tmp_path, data_dir=tmp_path, on_progress=lambda *numbers: calls.append(numbers))

    assert calls[-1] == (5, 5)


def test_a_source_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        inspected(f"folder:{tmp_path / 'nowhere'}", tmp_path)


def test_animations_and_large_files_are_looked_through(tmp_path: Path) -> None:
    frames = [Image.new("P", (9, 9), n) for n in range(3)]
    (tmp_path / "a/x").mkdir(parents=True)
    frames[0].save(tmp_path / "a/x/1.gif", save_all=True, append_images=frames[1:])

    assert inspected(f"folder:{tmp_path / 'a'}", tmp_path).formats == {"GIF": 1}
