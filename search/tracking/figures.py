"""Pictures and tables of one trial, as files that the tracking store previews."""

import io
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import classification_report, confusion_matrix

from search.trials import Trial
from trainer.config import flat
from trainer.metrics import finite, metrics

MOST_LABELS = 30  # classes whose names fit beside a matrix
MOST_COUNTS = 15  # classes whose counts fit into one
MOST_LETTERS = 24  # of a class name beside a matrix
LETTER_INCHES = 0.085  # that one takes, about
DOTS_PER_INCH = 110


def write_trial_files(directory: Path, trial: Trial, *, predictions: Path, class_names: Sequence[str]) -> None:
    """Write `config.yaml`, the learning curve, and what the validation predictions show.

    Args:
        directory: Gets the files.
        trial: With at least one result.
        predictions: `predictions.npz` of the job: logits (N, K) and labels (N,).
        class_names: K names.
    """
    (directory / "config.yaml").write_text(yaml.safe_dump(flat(trial.config), sort_keys=False))
    save(learning_curve(trial), directory / "learning_curve.png")
    with np.load(predictions, allow_pickle=False) as saved:
        labels, logits = saved["labels"], saved["logits"]
    predicted = logits.argmax(axis=1)
    (directory / "metrics.json").write_text(json.dumps(dict(finite(metrics(logits, labels))), indent=1))
    counts = confusion_matrix(labels, predicted, labels=range(len(class_names)))
    table = {"classes": list(class_names), "rows_are": "true class", "counts": counts.tolist()}
    (directory / "confusion_matrix.json").write_text(json.dumps(table, indent=1))
    save(confusion_figure(counts, class_names, title=_title(trial.number)), directory / "confusion_matrix.png")
    report = classification_report(
        labels,
        predicted,
        labels=range(len(class_names)),
        target_names=list(class_names),
        output_dict=True,
        zero_division=0,
    )
    (directory / "classification_report.json").write_text(json.dumps(report, indent=1))


def confusion_picture(number: int, *, predictions: Path, class_names: Sequence[str]) -> bytes:
    """Draw what the validation predictions of a trial show, as a PNG.

    Args:
        number: Of the trial.
        predictions: `predictions.npz` of the job.
        class_names: K names.
    """
    with np.load(predictions, allow_pickle=False) as saved:
        counts = confusion_matrix(saved["labels"], saved["logits"].argmax(axis=1), labels=range(len(class_names)))
    file = io.BytesIO()
    save(confusion_figure(counts, class_names, title=_title(number)), file)
    return file.getvalue()


def save(figure: Figure, file: Path | IO[bytes]) -> None:
    """Write a figure; letters that the font lacks become boxes without a word about it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(file, dpi=DOTS_PER_INCH)


def confusion_figure(counts: NDArray[np.int64], class_names: Sequence[str], *, title: str) -> Figure:
    """Draw a confusion matrix: colour by the share of the true class, numbers are counts."""
    num_classes = len(class_names)
    names = [_short(name).replace("$", r"\$") for name in class_names]  # two dollars would make a formula
    is_named = num_classes <= MOST_LABELS
    square = min(10.0, max(3.4, 0.5 * num_classes))
    figure, axes, bar = _square_figure(square, label_inches=LETTER_INCHES * max(map(len, names)) if is_named else 0.3)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, cax=bar, label="share of the true class")
    axes.set(title=title, xlabel="predicted", ylabel="true")
    if is_named:
        axes.set_xticks(range(num_classes), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(num_classes), names)
    if num_classes <= MOST_COUNTS:
        _write_counts(axes, counts, shares)
    return figure


def _square_figure(square: float, *, label_inches: float) -> tuple[Figure, Axes, Axes]:
    """Return a figure with square axes and those of a colour bar, all lengths in inches.

    The margins are reckoned, not laid out: that takes longer than all else about a figure of this kind.
    """
    left, bottom = 0.55 + label_inches, 0.55 + 0.75 * label_inches
    width, height = left + square + 1.05, bottom + square + 0.45
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((left / width, bottom / height, square / width, square / height))
    bar = figure.add_axes(((left + square + 0.15) / width, bottom / height, 0.18 / width, square / height))
    return figure, axes, bar


def _short(name: str) -> str:
    return name if len(name) <= MOST_LETTERS else name[: MOST_LETTERS - 1] + "…"


def learning_curve(trial: Trial) -> Figure:
    """Draw loss and accuracy over epochs, with the rungs that the trial reached."""
    figure = Figure(figsize=(8, 3.4))
    margins = {"left": 0.06, "right": 0.98, "bottom": 0.14, "top": 0.82, "wspace": 0.16}  # a layout takes twice as long
    left, right = figure.subplots(1, 2, gridspec_kw=margins)
    epochs = [result.epoch for result in trial.results]
    marker = "o" if len(epochs) < 40 else None
    for axes, name, train, val in (
        (left, "loss", "train_loss", "val_loss"),
        (right, "accuracy", "train_accuracy", "val_accuracy"),
    ):
        for label, key, color in (("train (augmented)", train, "tab:gray"), ("validation", val, "tab:blue")):
            values = [getattr(result, key) for result in trial.results]
            axes.plot(epochs, values, marker=marker, markersize=3, label=label, color=color)
        for rung in trial.reached:
            axes.axvline(rung, color="tab:orange", linewidth=0.8, linestyle=":")
        axes.set(xlabel="epoch", title=name)
        axes.grid(alpha=0.25)
    left.legend(frameon=False)
    figure.suptitle(f"Trial {trial.number}")
    return figure


def _title(number: int) -> str:
    return f"Trial {number}, validation"


def _write_counts(axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    for (row, column), count in np.ndenumerate(counts):
        if count:
            color = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=color, fontsize=8)
