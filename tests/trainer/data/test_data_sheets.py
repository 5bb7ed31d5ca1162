from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainer.data.data_samples import make_folder, noise, prepared, write_npz
from trainer.data import sample_sheet

PAPER = (255, 255, 255)


def test_a_sheet_is_drawn_and_saved(tmp_path: Path) -> None:
    sheet = sample_sheet(prepared("digits", tmp_path), tmp_path / "out" / "sheet.png")

    with Image.open(tmp_path / "out" / "sheet.png") as saved:
        assert saved.format == "PNG"
        assert saved.tobytes() == sheet.tobytes()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["sheet.png"]


def test_small_images_are_enlarged_without_blur(tmp_path: Path) -> None:
    images = np.where(np.indices((12, 4, 4)).sum(0) % 2, 250, 10).astype(np.uint8)
    source = write_npz(tmp_path / "a.npz", {"images": images, "labels": np.arange(12) % 2})

    sheet = sample_sheet(prepared(f"npz:{source}", tmp_path))

    row = np.asarray(sheet)[84 + 12, 130 : 130 + 96]  # through the first image
    assert set(row[:, 0].tolist()) == {10, 250}


def test_the_same_seed_draws_the_same_sheet(tmp_path: Path) -> None:
    data_set = prepared("digits", tmp_path)

    first, same, other = (sample_sheet(data_set, seed=seed).tobytes() for seed in (0, 0, 1))

    assert first == same
    assert first != other


def test_classes_beyond_the_limit_are_counted_below(tmp_path: Path) -> None:
    data_set = prepared("digits", tmp_path)

    short, full = sample_sheet(data_set, max_classes=4), sample_sheet(data_set)

    assert short.height < full.height
    last_lines = np.asarray(short)[-40:]
    assert (last_lines != PAPER).any()


@pytest.mark.parametrize("size", [1, 200])
def test_images_of_any_size_fit(tmp_path: Path, size: int) -> None:
    folder = make_folder(tmp_path / "a", {"x": 4, "y": 3})

    sheet = sample_sheet(prepared(f"folder:{folder}", tmp_path, image_size=size), per_class=2)

    assert sheet.width < 700


def test_long_and_strange_names_are_cut(tmp_path: Path) -> None:
    names = ["a very long name of a class that does not fit beside its images at all", "数据😀"]
    content = {"images": noise(0, (8, 9, 9)), "labels": np.arange(8) % 2, "class_names": names}

    sheet = sample_sheet(prepared(f"npz:{write_npz(tmp_path / 'a.npz', content)}", tmp_path))

    assert sheet.width < 900
