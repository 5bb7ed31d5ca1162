"""A model in another form, in a folder that appears when it has been written, read back and found to answer alike."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from search.errors import RefusedError, StudyError
from search.promotion.package import CARD, EXTRA, GRAPH, MANIFEST, Manifest, digests, write_manifest
from serving.export import tensorrt
from serving.export.checks import EXACT, Comparison, compare, pictures_of, size_of
from serving.export.formats import QUANTIZED, WRITERS, torch_answer
from serving.export.readme import readme
from serving.export.source import Source

TOLERANCE = 0.01  # of accuracy, that an export in whole numbers may lose


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written."""

    folder: Path
    files: Sequence[str]  # paths in it
    comparison: Comparison
    trtexec: str | None  # the command that builds a TensorRT engine of it
    objections: Sequence[str]  # of TensorRT's parser


def export(source: Source, *, format: str, out: Path, tolerance: float = TOLERANCE) -> Exported:
    """Write a model in another form.

    Args:
        source: The model.
        format: One of `FORMATS`.
        out: Folder to be made.
        tolerance: Accuracy on validation images that a format of whole numbers may lose.

    Raises:
        StudyError: If there is something at `out`, or the model can't be written so.
        RefusedError: If the export answers otherwise than the model; nothing is left at `out`.
    """
    from trainer.export import load_together

    if out.exists():
        raise StudyError(f"There is something at {str(out)!r}. Remove it, or choose another folder with --out.")
    servable = load_together(source.networks, source.data_set, temperature=source.manifest.temperature)
    pictures = pictures_of(source.data_set)
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent, prefix=".autoclf-export-") as name:
        folder = Path(name) / "export"
        (folder / EXTRA).mkdir(parents=True)
        answer = WRITERS[format](servable, source, folder, pictures.calibration)
        files = _files_in(folder)
        weights = size_of([weights for _, weights, _ in source.networks])
        before = ("PyTorch", torch_answer(servable), weights)
        comparison = compare(before, (format, answer, size_of([folder / file for file in files])), pictures)
        _check(comparison, format, tolerance)
        manifest = _manifest_of(source, comparison, format)
        (folder / EXTRA / CARD).write_text(readme(source, manifest, comparison, format, files), encoding="utf-8")
        write_manifest(folder, replace(manifest, files=digests(folder, _files_in(folder))))
        os.replace(folder, out)  # noqa: PTH105
    graph = next((out / file for file in files if file.endswith(GRAPH)), None)
    is_exact = graph is not None and format not in QUANTIZED
    return Exported(
        folder=out,
        files=[*files, f"{EXTRA}/{CARD}", f"{EXTRA}/{MANIFEST}"],
        comparison=comparison,
        trtexec=tensorrt.trtexec(graph, manifest) if is_exact and graph is not None else None,
        objections=tensorrt.objections(graph) if is_exact and graph is not None else (),
    )


def _check(comparison: Comparison, format: str, tolerance: float) -> None:
    """Refuse an export that answers otherwise than the model.

    Raises:
        RefusedError: With the figures.
    """
    told = (
        f"On {comparison.num_images:,} validation images probabilities differ by up to {comparison.difference:.2g}, "
        f"labels agree on {100 * comparison.agreement:.2f} %, accuracy is {100 * comparison.after.accuracy:.2f} % "
        f"after {100 * comparison.before.accuracy:.2f} %."
    )
    if not np.isfinite(comparison.difference):
        raise RefusedError(f"The export as {format} answers with what is no number. It was not written.", told)
    if format in QUANTIZED:
        if comparison.lost > tolerance:
            raise RefusedError(
                f"The export as {format} loses {100 * comparison.lost:.2f} points of accuracy, and "
                f"{100 * tolerance:g} are allowed. It was not written.",
                told,
                "Choose --format onnx, or allow more with --tolerance.",
            )
    elif comparison.difference > EXACT:
        raise RefusedError(
            f"The export as {format} answers otherwise than the model: probabilities differ by more than {EXACT:g}. "
            "It was not written.",
            told,
        )


def _manifest_of(source: Source, comparison: Comparison, format: str) -> Manifest:
    """Return what the export is: one that changes answers is known by the images that it was checked on."""
    if format not in QUANTIZED:
        return source.manifest
    accuracy, number = comparison.after.accuracy, comparison.num_images
    spread = 1.96 * float(np.sqrt(accuracy * (1 - accuracy) / number))
    bounds = (accuracy, max(0.0, accuracy - spread), min(1.0, accuracy + spread))
    return replace(source.manifest, accuracy=bounds, judged_on="validation", num_judged=number)


def _files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def default_folder(name: str, format: str) -> Path:
    """Return where an export goes unless told: a folder here."""
    stem = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in name.rstrip("/"))
    return Path(f"{stem}-{format}")
