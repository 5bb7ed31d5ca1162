"""Metrics against scikit-learn, and against sums written out one by one."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sk

from trainer.metrics import LEVEL, Floats, Whole, estimates, metrics, weighted_metrics

Logits = NDArray[np.float32]


def predictions(seed: int, *, num_images: int, num_classes: int, skill: float = 1.0) -> tuple[Logits, Whole]:
    """Make logits that lean to the truth, on labels that are not balanced."""
    rng = np.random.default_rng(seed)
    shares = np.arange(1, num_classes + 1) / np.arange(1, num_classes + 1).sum()
    labels = rng.choice(num_classes, num_images, p=shares)
    logits = rng.normal(size=(num_images, num_classes)).astype(np.float32)
    logits[np.arange(num_images), labels] += skill
    half = num_images // 2
    logits[half : 2 * half] = logits[:half]  # so that there are ties
    return logits, labels


def by_scikit_learn(logits: Logits, labels: Whole, weights: Floats) -> dict[str, float]:
    probabilities = np.exp(logits.astype(np.float64))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    predicted, there = logits.argmax(axis=1), np.unique(labels[weights > 0])
    found: dict[str, float] = {
        "accuracy": sk.accuracy_score(labels, predicted, sample_weight=weights),
        "balanced_accuracy": sk.recall_score(
            labels, predicted, labels=there, average="macro", sample_weight=weights, zero_division=0
        ),
        "loss": sk.log_loss(labels, probabilities, labels=range(logits.shape[1]), sample_weight=weights),
    }
    for name, score in (("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)):
        for average in ("macro", "weighted"):
            found[f"{name}_{average}"] = score(
                labels, predicted, labels=there, average=average, sample_weight=weights, zero_division=0
            )
        found[f"{name}_micro"] = score(labels, predicted, average="micro", sample_weight=weights)
    truth = [(labels == k, probabilities[:, k]) for k in there]
    found["mean_average_precision"] = float(
        np.mean([sk.average_precision_score(yes, score, sample_weight=weights) for yes, score in truth])
    )
    found["auroc"] = float(np.mean([sk.roc_auc_score(yes, score, sample_weight=weights) for yes, score in truth]))
    return found


@pytest.mark.parametrize("num_classes", [2, 3, 7])
@pytest.mark.parametrize("seed", range(4))
def test_the_metrics_are_those_of_scikit_learn(num_classes: int, seed: int) -> None:
    logits, labels = predictions(seed, num_images=120, num_classes=num_classes)
    weights = np.random.default_rng(seed).integers(0, 4, size=(3, 120)).astype(np.float64)

    found = weighted_metrics(logits, labels, weights)

    for row, weight in enumerate(weights):
        for name, expected in by_scikit_learn(logits, labels, weight).items():
            assert found[name][row] == pytest.approx(expected, abs=1e-6), name


def test_top5_brier_and_calibration_are_the_sums_that_define_them() -> None:
    logits, labels = predictions(0, num_images=80, num_classes=8)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    top5 = brier = 0.0
    bins: dict[int, list[float]] = {}
    for number, label in enumerate(labels):
        row = probabilities[number]
        top5 += sum(value > row[label] for value in row) < 5
        brier += sum((value - (k == label)) ** 2 for k, value in enumerate(row))
        bins.setdefault(math.floor(row.max() * 15), []).append((logits[number].argmax() == label) - row.max())

    found = metrics(logits, labels)

    assert found["top5_accuracy"] == pytest.approx(top5 / 80)
    assert found["brier"] == pytest.approx(brier / 80)
    assert found["ece"] == pytest.approx(sum(abs(sum(gaps)) for gaps in bins.values()) / 80)


@given(seed=st.integers(0, 10**6), num_images=st.integers(1, 40), num_classes=st.integers(2, 6))
@settings(deadline=None, max_examples=60)
def test_weights_count_as_repeated_images(seed: int, num_images: int, num_classes: int) -> None:
    logits, labels = predictions(seed, num_images=num_images, num_classes=num_classes)
    counts = np.random.default_rng(seed).integers(0, 3, num_images)
    counts[0] += 1
    repeated = np.repeat(np.arange(num_images), counts)

    weighted = weighted_metrics(logits, labels, counts[None].astype(np.float64))
    expected = metrics(logits[repeated], labels[repeated])

    for name, value in expected.items():
        assert weighted[name][0] == pytest.approx(value, nan_ok=True), name


@given(seed=st.integers(0, 10**6), num_images=st.integers(1, 30), num_classes=st.integers(2, 5))
@settings(deadline=None, max_examples=40)
def test_every_metric_but_the_loss_lies_within_its_bounds(seed: int, num_images: int, num_classes: int) -> None:
    found = metrics(*predictions(seed, num_images=num_images, num_classes=num_classes))

    assert found["loss"] >= 0
    assert 0 <= found["brier"] <= 2
    shares = {name: value for name, value in found.items() if name not in ("loss", "brier") and math.isfinite(value)}
    assert all(-1e-9 <= value <= 1 + 1e-9 for value in shares.values()), shares


def test_a_perfect_model_has_perfect_scores() -> None:
    labels = np.arange(12) % 3

    found = metrics(50 * np.eye(3, dtype=np.float32)[labels], labels)

    assert all(found[name] == pytest.approx(1) for name in ("accuracy", "f1_macro", "auroc", "mean_average_precision"))
    assert found["brier"] == pytest.approx(0, abs=1e-9)
    assert found["ece"] == pytest.approx(0, abs=1e-9)


def test_one_class_has_no_curve() -> None:
    found = metrics(np.zeros((4, 2), dtype=np.float32), np.zeros(4, dtype=np.int64))

    assert math.isnan(found["auroc"])
    assert found["accuracy"] == 1


def test_no_images_have_no_metrics() -> None:
    with pytest.raises(ValueError, match="no images"):
        metrics(np.zeros((0, 2), dtype=np.float32), np.zeros(0, dtype=np.int64))


def test_the_interval_of_an_accuracy_is_that_of_its_binomial() -> None:
    labels = np.zeros(400, dtype=np.int64)
    logits = np.zeros((400, 2), dtype=np.float32)
    logits[:300, 0], logits[300:, 1] = 1, 1

    found = estimates(logits, labels)["accuracy"]

    half = 1.96 * math.sqrt(0.75 * 0.25 / 400)
    assert found.value == 0.75
    assert found.low == pytest.approx(0.75 - half, abs=0.01)
    assert found.high == pytest.approx(0.75 + half, abs=0.01)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    held = []
    for seed in range(60):
        logits, labels = predictions(seed, num_images=150, num_classes=3)
        found = estimates(logits, labels, samples=200)["balanced_accuracy"]
        held.append(found.low <= TRUE_BALANCED <= found.high)

    assert np.mean(held) > LEVEL - 0.1


def true_balanced_accuracy() -> float:
    logits, labels = predictions(10**6, num_images=200_000, num_classes=3)
    return float(sk.balanced_accuracy_score(labels, logits.argmax(axis=1)))


TRUE_BALANCED = true_balanced_accuracy()


def test_equal_predictions_have_equal_intervals() -> None:
    logits, labels = predictions(0, num_images=50, num_classes=3)

    assert estimates(logits, labels, samples=60) == estimates(logits, labels, samples=60)


def test_rankings_of_very_many_images_and_classes_get_no_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.metrics.MOST_RANKED", 10)
    logits, labels = predictions(0, num_images=50, num_classes=3)

    found = estimates(logits, labels, samples=20)

    assert found["auroc"].low == found["auroc"].value == found["auroc"].high
    assert found["accuracy"].low < found["accuracy"].high
