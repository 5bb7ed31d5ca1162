from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainer.data.data_samples import make_folder, noise, write_npz
from trainer.data import Inspection, distribution_chart, inspect

TRAIN, VAL = (52, 101, 164), (240, 160, 60)
FIRST_ROW, ROW = 96, 24  # pixels: the middle of the first bar, and from one to the next


@pytest.fixture
def found(tmp_path: Path) -> Inspection:
    folder = make_folder(tmp_path / "a", {"train/x": 4, "train/y": 2, "val/x": 4, "val/y": 1})
    return inspect(f"folder:{folder}", cache=tmp_path / "cache", data_dir=tmp_path)


def num_coloured(chart: Image.Image, row: int, colour: tuple[int, int, int]) -> int:
    line = np.asarray(chart)[FIRST_ROW + ROW * row]
    return int((line == colour).all(axis=-1).sum())


def test_a_chart_is_drawn_and_saved(found: Inspection, tmp_path: Path) -> None:
    chart = distribution_chart(found, tmp_path / "out" / "chart.png")

    with Image.open(tmp_path / "out" / "chart.png") as saved:
        assert saved.format == "PNG"
        assert saved.tobytes() == chart.tobytes()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["chart.png"]


def test_bars_are_as_long_as_their_counts(found: Inspection) -> None:
    chart = distribution_chart(found)

    lengths = [[num_coloured(chart, row, colour) for colour in (TRAIN, VAL)] for row in (0, 1)]

    assert lengths == [[210, 210], [105, 53]]


def test_a_class_without_images_has_no_bar(found: Inspection) -> None:
    chart = distribution_chart(replace(found, counts={"train": (4, 0)}))

    assert [num_coloured(chart, row, TRAIN) for row in (0, 1)] == [420, 0]


def test_a_source_without_one_usable_image_is_drawn(found: Inspection) -> None:
    assert distribution_chart(replace(found, counts={"train": (0, 0)})).height > 0


def test_classes_beyond_the_limit_are_counted_below(found: Inspection) -> None:
    short, full = distribution_chart(found, max_classes=1), distribution_chart(found)

    assert num_coloured(full, 1, TRAIN) > 0
    assert num_coloured(short, 1, TRAIN) == 0
    assert (np.asarray(short)[-40:] != 255).any()


def test_long_and_strange_names_are_cut(tmp_path: Path) -> None:
    names = ["a very long name of a class that does not fit beside its bar at all", "数据😀"]
    content = {"images": noise(0, (8, 9, 9)), "labels": np.arange(8) % 2, "class_names": names}
    source = write_npz(tmp_path / "a.npz", content)

    chart = distribution_chart(inspect(f"npz:{source}", cache=tmp_path / "cache", data_dir=tmp_path))

    assert chart.width < 800
