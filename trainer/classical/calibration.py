"""Scores that are no probabilities, multiplied so that their softmax comes near to such.

Shapes: N images, K classes.
"""

import numpy as np
from numpy.typing import NDArray

SMALLEST, LARGEST = 1e-3, 1e3
HALVINGS = 50


def calibrated_scale(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return the factor with which the softmax of scores fits labels best; who comes first stays first.

    It is the inverse of the temperature of Guo et al. 2017, arXiv:1706.04599, section 4.2. Every class is taken to have
    been seen once more than it was, as in Platt 1999, "Probabilistic Outputs for Support Vector Machines", section 2.2,
    so that scores without a mistake do not make it infinite.

    Args:
        scores: (N, K), of images that nothing was fitted on.
        labels: (N,); where there are none, the factor is 1.
    """
    num_images, num_classes = scores.shape
    if not num_images:
        return 1.0
    truth = np.full(scores.shape, 1 / (num_images + num_classes))
    truth[np.arange(num_images), labels] += num_images / (num_images + num_classes)
    low, high = SMALLEST, LARGEST
    for _ in range(HALVINGS):  # the mean loss is convex in the factor, so its slope changes sign once
        middle = float(np.sqrt(low * high))
        slope = ((_softmax(middle * scores) - truth) * scores).sum()
        low, high = (low, middle) if slope > 0 else (middle, high)
    return float(np.sqrt(low * high))


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares
