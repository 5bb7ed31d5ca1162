"""Pictures and tables of one trial."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from search_samples import after, new_trial, result, trial_at

from search.tracking.figures import write_trial_files
from trainer.config import flat

TRIAL = trial_at(3, {1.0: 0.5, 3.0: 0.6})
PNG = b"\x89PNG\r\n\x1a\n"
FILES = {
    "config.yaml",
    "learning_curve.png",
    "confusion_matrix.png",
    "confusion_matrix.json",
    "classification_report.json",
}


def _save(path: Path, labels: Sequence[int], predicted: Sequence[int], num_classes: int) -> None:
    """Write predictions of which each is certain."""
    logits = np.eye(num_classes, dtype=np.float32)[list(predicted)]
    np.savez(path, logits=logits, labels=np.array(labels, dtype=np.int64))


def _write(folder: Path, class_names: Sequence[str], num_images: int = 100) -> Path:
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, len(class_names), (2, num_images))
    _save(folder / "predictions.npz", labels.tolist(), predicted.tolist(), len(class_names))
    out = folder / "out"
    out.mkdir()
    write_trial_files(out, TRIAL, predictions=folder / "predictions.npz", class_names=class_names)
    return out


@pytest.mark.parametrize("num_classes", [2, 40])
def test_pictures_and_tables_are_written(tmp_path: Path, num_classes: int) -> None:
    out = _write(tmp_path, [f"class {number}" for number in range(num_classes)])

    assert {path.name for path in out.iterdir()} == FILES
    for path in out.glob("*.png"):
        assert path.read_bytes().startswith(PNG)
        assert path.stat().st_size > 5_000


def test_rows_of_the_confusion_matrix_are_true_classes(tmp_path: Path) -> None:
    _save(tmp_path / "predictions.npz", labels=[0, 0, 1, 2], predicted=[0, 1, 1, 1], num_classes=3)

    write_trial_files(tmp_path, TRIAL, predictions=tmp_path / "predictions.npz", class_names=("ant", "bee", "cat"))

    assert json.loads((tmp_path / "confusion_matrix.json").read_text()) == {
        "classes": ["ant", "bee", "cat"],
        "rows_are": "true class",
        "counts": [[1, 1, 0], [0, 1, 0], [0, 1, 0]],
    }


def test_a_class_without_an_image_or_a_guess_has_its_row(tmp_path: Path) -> None:
    _save(tmp_path / "predictions.npz", labels=[0, 0], predicted=[0, 0], num_classes=3)

    write_trial_files(tmp_path, TRIAL, predictions=tmp_path / "predictions.npz", class_names=("ant", "bee", "cat"))

    report = json.loads((tmp_path / "classification_report.json").read_text())
    assert report["ant"]["recall"] == 1.0
    assert report["cat"] == {"precision": 0.0, "recall": 0.0, "f1-score": 0.0, "support": 0.0}


def test_the_configuration_is_written_as_it_was_flat(tmp_path: Path) -> None:
    out = _write(tmp_path, ["a", "b"])

    assert yaml.safe_load((out / "config.yaml").read_text()) == flat(TRIAL.config)


def test_a_long_training_can_be_drawn(tmp_path: Path) -> None:
    _save(tmp_path / "predictions.npz", labels=[0, 1], predicted=[0, 1], num_classes=2)
    trial = after(new_trial(), *(result(epoch / 2, 0.5) for epoch in range(1, 201)))

    write_trial_files(tmp_path, trial, predictions=tmp_path / "predictions.npz", class_names=("a", "b"))

    assert (tmp_path / "learning_curve.png").read_bytes().startswith(PNG)


def test_long_names_of_classes_can_be_drawn(tmp_path: Path) -> None:
    out = _write(tmp_path, [f"{'very ' * 6}long name {number}" for number in range(5)])

    assert (out / "confusion_matrix.png").stat().st_size > 5_000


@pytest.mark.xfail(
    strict=True, raises=UserWarning, reason="a warning for each letter that the font lacks goes to the screen"
)
def test_a_name_of_a_class_may_be_in_any_script(tmp_path: Path) -> None:
    out = _write(tmp_path, ["犬", "кошка"])

    assert (out / "confusion_matrix.png").stat().st_size > 5_000


@pytest.mark.xfail(
    strict=True, raises=ValueError, reason="matplotlib reads what stands between two dollars as a formula"
)
def test_a_name_of_a_class_is_no_formula(tmp_path: Path) -> None:
    out = _write(tmp_path, ["$_$", "less than 10$"])

    assert (out / "confusion_matrix.png").stat().st_size > 5_000
