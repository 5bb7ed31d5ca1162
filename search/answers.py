"""What a network answered on the validation split, and what that says of the labels.

Shapes: N images, K classes.
"""

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Validation predictions of a trial at its last rung; its network was not trained on these images."""

    logits: NDArray[np.float32]  # (N, K)
    labels: NDArray[np.int64]  # (N,), from 0 to K - 1

    def class_shares(self) -> Floats:
        """Return (K,): the share of each class among the labels."""
        shares: Floats = np.bincount(self.labels, minlength=self.logits.shape[1]) / len(self.labels)
        return shares

    def blind_accuracy(self) -> float:
        """Return the accuracy of naming the most frequent class, whatever the image shows."""
        return float(self.class_shares().max())

    def blind_loss(self) -> float:
        """Return the cross-entropy of naming the shares of the classes, in nats: ln K where they are equal."""
        shares = self.class_shares()
        return float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())

    def num_wrong(self) -> int:
        """Return how many images are answered otherwise than labelled."""
        return int((self.logits.argmax(axis=1) != self.labels).sum())


def load_answers(path: Path) -> Answers | None:
    """Read the `predictions.npz` of a job, or return None where none was left that can be read."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as saved:
            return Answers(logits=saved["logits"], labels=saved["labels"])
    except (OSError, EOFError, ValueError, KeyError, BadZipFile):
        return None


def noise_share(answers: Answers) -> float:
    """Estimate the share of labels that are wrong.

    A label counts as wrong where the network gives another class at least the probability that it gives that class on
    average where it stands on the label; the counts are then scaled to the number of labels of each class.

    Source: Northcutt et al., 2021 (confident learning), arXiv:1911.00068, Eq. 1 to 3: one minus the diagonal of the
    estimated joint distribution of given and true labels.
    """
    counts = confident_joint(np.exp(log_probabilities(answers.logits)), answers.labels)
    rows = counts.sum(axis=1)
    kept = np.divide(counts.diagonal(), rows, out=np.ones(len(rows)), where=rows > 0)
    return float(1 - answers.class_shares() @ kept)


def confident_joint(probabilities: Floats, labels: NDArray[np.int64]) -> Floats:
    """Count images by label (rows) and by the class that the network is confident of (columns).

    Args:
        probabilities: (N, K), rows sum to 1.
        labels: (N,).

    Returns:
        (K, K); an image whose probabilities all stay below the thresholds of their classes is not counted.
    """
    num_classes = probabilities.shape[1]
    own = probabilities[np.arange(len(labels)), labels]
    sizes = np.bincount(labels, minlength=num_classes)
    sums = np.bincount(labels, own, minlength=num_classes)
    thresholds = np.divide(sums, sizes, out=np.full(num_classes, np.inf), where=sizes > 0)
    confident = np.where(probabilities >= thresholds, probabilities, 0.0)
    is_counted = confident.any(axis=1)
    counts = np.zeros((num_classes, num_classes))
    np.add.at(counts, (labels[is_counted], confident[is_counted].argmax(axis=1)), 1)
    return counts


def doubt(answers: Answers) -> float:
    """Return how well low confidence tells wrong answers from right ones: area under the ROC curve, ties count half.

    A network doubts its own mistakes, and then this is far above 0.5; where the label is wrong and the answer right,
    there is nothing to doubt, and it is 0.5. Not a number where all answers are right, or all wrong.

    Source: Hendrycks and Gimpel, 2017, arXiv:1610.02136, Sec. 3: the largest softmax probability as confidence.
    """
    confidence = log_probabilities(answers.logits).max(axis=1)
    is_right = answers.logits.argmax(axis=1) == answers.labels
    right, wrong = np.sort(confidence[is_right]), confidence[~is_right]
    if not len(right) or not len(wrong):
        return float("nan")
    places = np.searchsorted(right, wrong, "left") + np.searchsorted(right, wrong, "right")
    return float(1 - places.mean() / (2 * len(right)))


def log_probabilities(logits: NDArray[np.floating]) -> Floats:
    """Return the logarithm of the softmax of each row."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    normalised: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return normalised
