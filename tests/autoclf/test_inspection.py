from pathlib import Path

from autoclf.inspection import write_pictures
from trainer.data import inspect


def test_the_classes_are_drawn_beside_the_samples(tmp_path: Path) -> None:
    found = inspect("digits", cache=tmp_path / "cache", data_dir=tmp_path)

    chart = write_pictures(found, tmp_path / "out" / "samples.png", cache=tmp_path / "cache", data_dir=tmp_path)

    assert chart == tmp_path / "out" / "class_distribution.png"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["class_distribution.png", "samples.png"]
