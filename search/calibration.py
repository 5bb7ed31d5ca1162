"""Temperature scaling: how sure a network may be of its answers, by what it said of images it was not trained on.

Shapes: N images, K classes.
"""

import numpy as np
from scipy.optimize import minimize_scalar

from search.answers import Answers, log_probabilities

BOUNDS = (-3.0, 3.0)  # of the logarithm of a temperature


def temperature_of(answers: Answers) -> float:
    """Return the temperature that logits are to be divided by so that their cross-entropy is least.

    Where every answer is right, however sure, less doubt is always better; the least temperature is 1 then, as nothing
    says how much surer to be.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599, section 4.2.

    Args:
        answers: To the validation images.
    """
    rows = np.arange(len(answers.labels))
    logs = log_probabilities(answers.logits)

    def loss(log_temperature: float) -> float:
        tempered = log_probabilities((logs / np.exp(log_temperature)).astype(np.float64))
        return float(-tempered[rows, answers.labels].mean())

    lowest = 0.0 if not answers.num_wrong() else BOUNDS[0]
    found = minimize_scalar(loss, bounds=(lowest, BOUNDS[1]), method="bounded")
    return float(np.exp(found.x))


def tempered(answers: Answers, temperature: float) -> Answers:
    """Return answers whose logits are divided by a temperature."""
    return Answers(logits=(answers.logits / temperature).astype(np.float32), labels=answers.labels)
