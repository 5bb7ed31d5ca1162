"""Metrics of predictions on one split, and how far another sample of images might move them.

Everything is worked out for weighted images: a row of ones gives the metric itself, a row of counts that were drawn
with replacement gives it on a bootstrap sample (Efron, 1979). Macro averages are over the classes that occur.

Shapes: N images, K classes, R rows of weights.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

TOP = 5
CALIBRATION_BINS = 15  # of equal width, as in Guo et al., 2017
SAMPLES = 1000  # bootstrap samples behind an interval
LEVEL = 0.95
SAMPLES_AT_ONCE = 50
MOST_RANKED = 1_000_000  # images times classes; beyond, metrics of rankings get no interval
RANKING = ("auroc", "mean_average_precision")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric with the bounds between which 95 % of its bootstrap samples lie; equal to it where none were drawn."""

    value: float
    low: float
    high: float


def estimates(logits: NDArray[np.float32], labels: Whole, *, samples: int = SAMPLES) -> dict[str, Estimate]:
    """Return every metric of a split with its percentile bootstrap interval.

    Args:
        logits: (N, K).
        labels: (N,), from 0 to K - 1.
        samples: Drawn with a fixed seed, so that equal predictions have equal intervals.

    Raises:
        ValueError: If there are no images.
    """
    values = metrics(logits, labels)
    rng = np.random.default_rng(0)
    counts = rng.multinomial(len(labels), np.full(len(labels), 1 / len(labels)), size=samples)
    drawn: dict[str, list[Floats]] = {name: [] for name in values}
    for start in range(0, samples, SAMPLES_AT_ONCE):
        some = counts[start : start + SAMPLES_AT_ONCE].astype(np.float64)
        for name, found in weighted_metrics(logits, labels, some, ranks=logits.size <= MOST_RANKED).items():
            drawn[name].append(found)
    return {name: _estimate(value, drawn[name]) for name, value in values.items()}


def metrics(logits: NDArray[np.float32], labels: Whole) -> dict[str, float]:
    """Return every metric of (N, K) logits against (N,) labels, by name.

    Raises:
        ValueError: If there are no images.
    """
    found = weighted_metrics(logits, labels, np.ones((1, len(labels))))
    return {name: float(value[0]) for name, value in found.items()}


def weighted_metrics(
    logits: NDArray[np.float32], labels: Whole, weights: Floats, *, ranks: bool = True
) -> dict[str, Floats]:
    """Return every metric for each row of weights.

    Args:
        logits: (N, K).
        labels: (N,).
        weights: (R, N), not negative.
        ranks: Whether to work out those of rankings, which take longest.

    Returns:
        (R,) by name. Not a number where a metric is not defined, such as the area under a curve with one class.
        `accuracy` and `top5_accuracy`: share of right answers. `loss`: mean cross-entropy, nats. `brier`: mean squared
        distance of the probabilities to the truth, from 0 to 2 (Brier, 1950). `ece`: expected calibration error.
        `auroc` and `mean_average_precision`: one class against the rest, macro.

    Raises:
        ValueError: If there are no images.
    """
    if not len(labels):
        raise ValueError("There are no images to score.")
    log_probabilities = _log_softmax(logits.astype(np.float64))
    probabilities = np.exp(log_probabilities)
    predicted: Whole = logits.argmax(axis=1)
    rows = np.arange(len(labels))
    totals = weights.sum(axis=1)
    top = np.argpartition(-logits, min(TOP, logits.shape[1]) - 1, axis=1)[:, :TOP]
    truth = np.zeros_like(probabilities)
    truth[rows, labels] = 1
    found = {
        "accuracy": weights @ (predicted == labels) / totals,
        "top5_accuracy": weights @ (top == labels[:, None]).any(axis=1) / totals,
        "loss": weights @ -log_probabilities[rows, labels] / totals,
        "brier": weights @ np.square(probabilities - truth).sum(axis=1) / totals,
        "ece": _calibration_error(probabilities.max(axis=1), predicted == labels, weights) / totals,
        **class_metrics(labels, predicted, weights, num_classes=logits.shape[1]),
    }
    return found | (_ranking_metrics(probabilities, labels, weights) if ranks else {})


def class_metrics(labels: Whole, predicted: Whole, weights: Floats, *, num_classes: int) -> dict[str, Floats]:
    """Return precision, recall and F1, averaged over classes in three ways, and the balanced accuracy.

    A class that is never predicted has precision 0. `macro`: each class counts the same; `weighted`: each as often as
    it occurs; `micro`: each image counts the same, which for one label an image is the accuracy.

    Args:
        labels: (N,).
        predicted: (N,).
        weights: (R, N).
        num_classes: K.
    """
    right = np.where(labels == predicted, labels, num_classes)  # wrong answers go into a bin of their own
    occurs, told, hit = (_summed(classes, weights, num_classes) for classes in (labels, predicted, right))
    micro = hit.sum(axis=1) / occurs.sum(axis=1)
    scores = {
        "precision": hit / np.maximum(told, 1e-300),
        "recall": hit / np.maximum(occurs, 1e-300),
        "f1": 2 * hit / np.maximum(occurs + told, 1e-300),
    }
    is_there = occurs > 0
    found = {}
    for name, score in scores.items():
        found[f"{name}_macro"] = (score * is_there).sum(axis=1) / is_there.sum(axis=1)
        found[f"{name}_weighted"] = (score * occurs).sum(axis=1) / occurs.sum(axis=1)
        found[f"{name}_micro"] = micro
    return found | {"balanced_accuracy": found["recall_macro"]}


def _summed(classes: Whole, weights: Floats, num_classes: int) -> Floats:
    """Return (R, K): the weight of each class; classes beyond K are left out."""
    return np.stack([np.bincount(classes, row, num_classes + 1)[:num_classes] for row in weights])


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=1, keepdims=True)
    normalised: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return normalised


def _calibration_error(confidence: Floats, is_right: NDArray[np.bool_], weights: Floats) -> Floats:
    """Return (R,): over bins of confidence, the distance of hits to confidence, summed."""
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = np.zeros((len(confidence), CALIBRATION_BINS))
    gaps[np.arange(len(bins)), bins] = is_right - confidence
    error: Floats = np.abs(weights @ gaps).sum(axis=1)
    return error


def _ranking_metrics(probabilities: Floats, labels: Whole, weights: Floats) -> dict[str, Floats]:
    """Return the averages over classes, without those of which a sample has no images, or nothing else."""
    scores = [_ranking(probabilities[:, k], labels == k, weights) for k in range(probabilities.shape[1])]
    return {name: _mean([score[place] for score in scores]) for place, name in enumerate(RANKING)}


def _ranking(scores: Floats, is_class: NDArray[np.bool_], weights: Floats) -> tuple[Floats, Floats]:
    """Return the area under the ROC curve and the average precision of one class, (R,) each; ties count half."""
    order = np.argsort(-scores, kind="stable")
    firsts = np.flatnonzero(np.diff(scores[order], prepend=np.inf))  # of runs of equal scores
    ordered = weights[:, order]
    positive = np.add.reduceat(ordered * is_class[order], firsts, axis=1)
    negative = np.add.reduceat(ordered * ~is_class[order], firsts, axis=1)
    positives, negatives = positive.cumsum(axis=1), negative.cumsum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        below = negatives[:, -1:] - negatives + negative / 2
        area = (positive * below).sum(axis=1) / (positives[:, -1] * negatives[:, -1])
        precision = positives / np.maximum(positives + negatives, 1e-300)
        average = (positive * precision).sum(axis=1) / positives[:, -1]
    return area, average


def _mean(columns: list[Floats]) -> Floats:
    """Return the mean of what is a number, row by row."""
    table = np.stack(columns)
    counts = np.isfinite(table).sum(axis=0)
    mean: Floats = np.nansum(table, axis=0) / np.where(counts, counts, math.nan)
    return mean


def _estimate(value: float, drawn: list[Floats]) -> Estimate:
    samples = np.concatenate(drawn) if drawn else np.array([value])
    samples = samples[np.isfinite(samples)]
    if not len(samples):
        return Estimate(value, value, value)
    low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))


def finite(found: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """Yield the metrics that are defined."""
    return ((name, value) for name, value in found.items() if math.isfinite(value))
