"""The card of a promoted model, for people: what it is, what it was trained on, how good, where it is weak."""

from collections.abc import Mapping, Sequence

import numpy as np

from search.answers import Answers
from search.calibration import tempered
from search.promotion.candidate import Candidate
from search.promotion.package import GRAPH, Manifest
from trainer.config import flat
from trainer.data import DataSet
from trainer.metrics import Estimate

SHOWN = {  # metrics, and whether they are shares
    "accuracy": True,
    "balanced_accuracy": True,
    "f1_macro": True,
    "top5_accuracy": True,
    "loss": False,
    "ece": True,
}
MOST_CLASSES = 30  # in a confusion matrix that a person reads
MOST_WEAK = 8  # classes and pairs that are named


def model_card(
    candidate: Candidate,
    data: DataSet,
    manifest: Manifest,
    *,
    figures: Mapping[str, Estimate],
    source: str,
    seed: int,
) -> str:
    """Return the card as Markdown.

    Args:
        candidate: With its answers to the test images.
        data: That it was found on.
        manifest: Of its package.
        figures: On the test images.
        source: Of the images, as the command line names it.
        seed: Of the search.
    """
    answers = tempered(candidate.answers, candidate.temperature)
    sections = (
        _head(candidate, manifest),
        _use(manifest),
        _training(candidate, data, source),
        _figures(figures, answers),
        _weaknesses(answers, manifest.class_names),
        _confusion(answers, manifest.class_names),
        _again(candidate, manifest, source, seed),
    )
    return "\n\n".join(sections) + "\n"


def _head(candidate: Candidate, manifest: Manifest) -> str:
    trials = ", ".join(f"trial {number}" for number in manifest.trials)
    return (
        f"# {candidate.study}: {trials}\n\nA classifier of images in {len(manifest.class_names)} classes, found by "
        f"autoclf {manifest.versions.get('autoclf', '')}."
    )


def _use(manifest: Manifest) -> str:
    height, width, channels = manifest.image_shape
    colours = "RGB" if channels == 3 else "grey"
    num = len(manifest.class_names)
    return (
        f"## Use\n\n`{GRAPH}` takes `images`, uint8 of shape (N, {height}, {width}, {channels}), {colours}, and gives\n"
        f"`probabilities`, float32 of shape (N, {num}). Normalisation is inside the graph; resizing is not:\n"
        f"{manifest.resizing} The classes in order are in `manifest.json`.\n"
        f"Probabilities are calibrated by a temperature of {manifest.temperature:.3f}, found on validation images."
    )


def _training(candidate: Candidate, data: DataSet, source: str) -> str:
    images = f"{data.num_train:,} training images"
    if candidate.is_refit:
        images += f" and {data.num_val:,} validation images"
    lines = [f"| `{path}` | {value} |" for path, value in _settings(candidate).items()]
    table = "\n".join(["| setting | value |", "|---|---|", *lines])
    return f"## Training\n\nOn {images} of `{source}` (fingerprint `{data.fingerprint}`).\n\n{table}"


def _settings(candidate: Candidate) -> Mapping[str, object]:
    config = candidate.members[0].config
    return {
        path: value for path, value in flat(config).items() if value not in (None, "", 0, 0.0, False) and path != "data"
    }


def _figures(found: Mapping[str, Estimate], answers: Answers) -> str:
    def shown(value: float, *, is_share: bool) -> str:
        return f"{100 * value:.2f} %" if is_share else f"{value:.4f}"

    lines = [
        f"| {name.replace('_', ' ')} | {shown(found[name].value, is_share=is_share)} | "
        f"{shown(found[name].low, is_share=is_share)} to {shown(found[name].high, is_share=is_share)} |"
        for name, is_share in SHOWN.items()
        if name in found and np.isfinite(found[name].value)
    ]
    table = "\n".join(["| metric | value | 95 % interval |", "|---|---|---|", *lines])
    return (
        f"## Figures\n\nOn {len(answers.labels):,} test images, which no decision of the search rested on.\n\n{table}"
    )


def _weaknesses(answers: Answers, names: Sequence[str]) -> str:
    matrix = confusion(answers, len(names))
    totals = matrix.sum(axis=1)
    recall = np.divide(matrix.diagonal(), totals, out=np.ones(len(names)), where=totals > 0)
    weakest = [k for k in np.argsort(recall, kind="stable").tolist() if totals[k] and recall[k] < 1][:MOST_WEAK]
    wrong = matrix - np.diag(matrix.diagonal())
    pairs = [divmod(int(place), len(names)) for place in np.argsort(-wrong, axis=None, kind="stable")[:MOST_WEAK]]
    lines = [f"- `{names[k]}` is recognised in {100 * recall[k]:.1f} % of {totals[k]} images." for k in weakest]
    lines += [f"- `{names[a]}` is taken for `{names[b]}` {wrong[a, b]} times." for a, b in pairs if wrong[a, b]]
    lines.append(
        "- Whatever an image shows, it is given one of these classes: nothing but a low probability tells that it is "
        "none of them. Images of another kind than the ones it was trained on may be answered wrongly and surely."
    )
    return "## Weaknesses\n\n" + "\n".join(lines)


def _confusion(answers: Answers, names: Sequence[str]) -> str:
    if len(names) > MOST_CLASSES:
        return f"## Confusion matrix\n\nOf {len(names)} classes it is left out here."
    matrix = confusion(answers, len(names))
    lines = ["| " + " | ".join(["", *names]) + " |", "|" + "---|" * (len(names) + 1)]
    lines += [
        "| " + " | ".join([name, *map(str, row)]) + " |" for name, row in zip(names, matrix.tolist(), strict=True)
    ]
    return "## Confusion matrix\n\nA row a class, a column an answer, in test images.\n\n" + "\n".join(lines)


def _again(candidate: Candidate, manifest: Manifest, source: str, seed: int) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    return (
        f"## Again\n\n    autoclf reproduce {candidate.study}:{candidate.trial.number}\n\n"
        "where the study's store is, compares what comes of the same settings bit for bit. "
        f"Study `{candidate.study}` on `{source}`, seed {seed}; made with {versions}."
    )


def confusion(answers: Answers, num_classes: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Return (K, K) counts of images by label (rows) and answer (columns)."""
    found = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(found, (answers.labels, answers.logits.argmax(axis=1)), 1)
    return found
