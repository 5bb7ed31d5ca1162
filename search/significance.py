"""Whether one network is better than another, by what both answered on the same images.

Shapes: N images, R samples of them.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from search.answers import Answers, log_probabilities
from search.trials import OBJECTIVES
from trainer.metrics import TOP, class_metrics

SAMPLES = 1000  # bootstrap samples behind a judgement
SAMPLES_AT_ONCE = 100
LEVEL = 0.05  # chance of a worse score on other images below which a difference counts

Floats = NDArray[np.float64]


def is_worse(ours: Sequence[Answers], theirs: Sequence[Answers], objective: str) -> bool:
    """Say whether networks are worse than others, beyond what the choice of images explains.

    A paired bootstrap: the same images are drawn for both, with replacement, and each side scores the mean of its
    networks. Ours are worse if they score at least as well as theirs on less than 5 % of the samples.

    Source: Efron and Tibshirani, 1993, An Introduction to the Bootstrap, Sec. 16.2; drawn with a fixed seed.

    Args:
        ours: Of one configuration, an entry for each seed.
        theirs: Of the other one, on the same images.
        objective: By which they are compared.

    Raises:
        ValueError: If they were not asked about the same images.
    """
    if any(not np.array_equal(answers.labels, ours[0].labels) for answers in (*ours, *theirs)):
        raise ValueError("Both must have been asked about the same images.")
    num_images = len(ours[0].labels)
    rng = np.random.default_rng(0)
    at_least = 0
    for _ in range(SAMPLES // SAMPLES_AT_ONCE):
        images = rng.integers(num_images, size=(SAMPLES_AT_ONCE, num_images))
        drawn = np.stack([np.bincount(row, minlength=num_images) for row in images])
        lead = _mean_score(ours, objective, drawn) - _mean_score(theirs, objective, drawn)
        at_least += int((lead >= 0).sum())
    return at_least < LEVEL * SAMPLES


def difference_interval(ours: Answers, theirs: Answers, objective: str) -> tuple[float, float]:
    """Return the bounds of the 95 % interval of how much better ours are: a paired percentile bootstrap.

    Source: Efron and Tibshirani, 1993, An Introduction to the Bootstrap, Sec. 13.3; drawn with a fixed seed.

    Args:
        ours: Of one network.
        theirs: Of another one, on the same images.
        objective: By which they are compared; larger is better, whatever it is.
    """
    num_images = len(ours.labels)
    rng = np.random.default_rng(0)
    leads = []
    for _ in range(SAMPLES // SAMPLES_AT_ONCE):
        drawn = rng.multinomial(num_images, np.full(num_images, 1 / num_images), size=SAMPLES_AT_ONCE)
        leads.append(scores(ours, objective, drawn) - scores(theirs, objective, drawn))
    low, high = np.quantile(np.concatenate(leads), (0.025, 0.975))
    return float(low), float(high)


def scores(answers: Answers, objective: str, weights: NDArray[np.int64]) -> Floats:
    """Return the objective of answers for each row of weights, turned so that larger is better.

    Args:
        answers: Of one network.
        objective: One of `OBJECTIVES`.
        weights: (R, N), how often each image counts.

    Returns:
        (R,).
    """
    labels, predicted = answers.labels, answers.logits.argmax(axis=1)
    match objective:
        case "val/accuracy":
            right: Floats = (predicted == labels).astype(np.float64)
        case "val/top5_accuracy":
            num = min(TOP, answers.logits.shape[1])
            top = np.argpartition(-answers.logits, num - 1, axis=1)[:, :num]
            right = (top == labels[:, None]).any(axis=1).astype(np.float64)
        case "val/loss":
            right = log_probabilities(answers.logits)[np.arange(len(labels)), labels]
        case _:
            assert objective in OBJECTIVES, objective
            found = class_metrics(labels, predicted, weights.astype(np.float64), num_classes=answers.logits.shape[1])
            return found[objective.removeprefix("val/")]
    mean: Floats = weights @ right / weights.sum(axis=1)
    return mean


def _mean_score(networks: Sequence[Answers], objective: str, weights: NDArray[np.int64]) -> Floats:
    mean: Floats = np.mean([scores(answers, objective, weights) for answers in networks], axis=0)
    return mean
