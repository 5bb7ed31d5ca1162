"""Pictures and tables of one trial."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from matplotlib.figure import Figure
from search_samples import after, new_trial, result, trial_at

from search.tracking.figures import confusion_figure, learning_curve, save, write_trial_files
from trainer.config import flat
from trainer.metrics import finite, metrics

TRIAL = trial_at(3, {1.0: 0.5, 3.0: 0.6})
PNG = b"\x89PNG\r\n\x1a\n"
FILES = {
    "config.yaml",
    "learning_curve.png",
    "confusion_matrix.png",
    "confusion_matrix.json",
    "classification_report.json",
    "metrics.json",
}


def _write(folder: Path, labels: Sequence[int], predicted: Sequence[int], class_names: Sequence[str]) -> Path:
    """Write the files of a trial that is certain of each prediction; return their folder."""
    logits = np.eye(len(class_names), dtype=np.float32)[list(predicted)]
    np.savez(folder / "predictions.npz", logits=logits, labels=np.array(labels, dtype=np.int64))
    out = folder / "out"
    out.mkdir()
    write_trial_files(out, TRIAL, predictions=folder / "predictions.npz", class_names=class_names)
    return out


def _drawn(figure: Figure) -> bytes:
    file = io.BytesIO()
    save(figure, file)
    return file.getvalue()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of a trial on ants, bees and a cat; it takes bees for all but one, and there is no dog."""
    return _write(
        tmp_path_factory.mktemp("written"),
        labels=[0, 0, 1, 2],
        predicted=[0, 1, 1, 1],
        class_names=("ant", "bee", "cat", "dog"),
    )


@pytest.mark.parametrize("num_classes", [2, 40])
def test_pictures_and_tables_are_written(tmp_path: Path, num_classes: int) -> None:
    labels, predicted = np.random.default_rng(0).integers(0, num_classes, (2, 200)).tolist()

    out = _write(tmp_path, labels, predicted, [f"class {number}" for number in range(num_classes)])

    assert {path.name for path in out.iterdir()} == FILES
    for path in out.glob("*.png"):
        assert path.read_bytes().startswith(PNG)
        assert path.stat().st_size > 5_000


def test_rows_of_the_confusion_matrix_are_true_classes(written: Path) -> None:
    assert json.loads((written / "confusion_matrix.json").read_text()) == {
        "classes": ["ant", "bee", "cat", "dog"],
        "rows_are": "true class",
        "counts": [[1, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]],
    }


def test_the_report_knows_every_class_even_one_without_an_image(written: Path) -> None:
    report = json.loads((written / "classification_report.json").read_text())

    assert report["ant"] == {"precision": 1.0, "recall": 0.5, "f1-score": pytest.approx(2 / 3), "support": 2.0}
    assert report["bee"]["precision"] == pytest.approx(1 / 3)
    assert report["dog"] == {"precision": 0.0, "recall": 0.0, "f1-score": 0.0, "support": 0.0}


def test_every_metric_that_is_defined_is_written(written: Path) -> None:
    with np.load(written.parent / "predictions.npz") as saved:
        expected = dict(finite(metrics(saved["logits"], saved["labels"])))

    assert json.loads((written / "metrics.json").read_text()) == pytest.approx(expected)


def test_the_configuration_is_written_as_it_is_flat(written: Path) -> None:
    assert yaml.safe_load((written / "config.yaml").read_text()) == flat(TRIAL.config)


def test_a_trial_of_a_single_result_can_be_drawn() -> None:
    assert _drawn(learning_curve(trial_at(0, {1.0: 0.5}))).startswith(PNG)


def test_a_long_training_can_be_drawn() -> None:
    trial = after(new_trial(), *(result(epoch / 2, 0.5) for epoch in range(1, 201)))

    assert _drawn(learning_curve(trial)).startswith(PNG)


def _drawn_with(class_names: Sequence[str]) -> bytes:
    return _drawn(confusion_figure(np.eye(len(class_names), dtype=np.int64), class_names, title="x"))


def test_long_names_of_classes_can_be_drawn() -> None:
    assert _drawn_with([f"{'very ' * 6}long name {number}" for number in range(5)]).startswith(PNG)


def test_a_name_of_a_class_may_be_in_any_script() -> None:
    assert _drawn_with(["犬", "кошка"]).startswith(PNG)


def test_a_name_of_a_class_is_no_formula() -> None:
    assert _drawn_with(["$_$", "less than 10$"]).startswith(PNG)
