"""Temperature scaling: how sure a network may be of its answers, by what it said of images it was not trained on.

Shapes: N images, K classes.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from search.answers import Answers, Floats, log_probabilities

BOUNDS = (-3.0, 3.0)  # of the logarithm of a temperature


def temperature_of(answers: Answers) -> float:
    """Return the temperature that logits are to be divided by so that their cross-entropy is least.

    A label counts as if one of N + 2 images bore another one, which says how sure to be where all answers are right.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599, section 4.2; the targets are
    those of Platt 1999, "Probabilistic Outputs for Support Vector Machines", section 2.2.

    Args:
        answers: To the validation images.
    """
    logs = log_probabilities(answers.logits)
    found = minimize_scalar(lambda log: platt_loss(logs / np.exp(log), answers.labels), bounds=BOUNDS, method="bounded")
    return float(np.exp(found.x))


def platt_loss(logits: Floats, labels: NDArray[np.int64]) -> float:
    """Return the mean cross-entropy of logits (N, K) to labels (N,) of which 1 / (N + 2) are other classes'."""
    num, num_classes = logits.shape
    logs = log_probabilities(logits)
    own = logs[np.arange(num), labels]
    share = 1 / (num + 2)
    others = (logs.sum(axis=1) - own) / max(1, num_classes - 1)
    return float(-((1 - share) * own + share * others).mean())


def tempered(answers: Answers, temperature: float) -> Answers:
    """Return answers whose logits are divided by a temperature."""
    return Answers(logits=(answers.logits / temperature).astype(np.float32), labels=answers.labels)
