"""What the validation scores of whole epochs decide: when to stop, when to lower the rate, which weights to keep.

A list of scores holds one of each whole epoch in order, turned so that larger is better.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from torch import Tensor

from trainer.results import Evaluation

LEAST_GAIN = 1e-4  # relative; what PyTorch's ReduceLROnPlateau takes for a gain, too

Watch = Literal["accuracy", "loss", "balanced_accuracy", "f1_macro"]


@dataclass(frozen=True, slots=True)
class Best:
    """Weights with the best watched score so far, and the validation logits behind it."""

    score: float  # larger is better
    weights: dict[str, Tensor]  # of the model that was scored
    logits: Tensor  # (N, K), of the whole split


def watched(evaluation: Evaluation, watch: Watch) -> float:
    """Return the score that a job goes by, turned so that larger is better."""
    value: float = getattr(evaluation, watch)
    return -value if watch == "loss" else value


def has_stalled(scores: Sequence[float], patience: int) -> bool:
    """Say whether the mean of the last `patience` scores is no better than that of as many before them.

    Means, because a single lucky epoch would else decide when a job ends, and another seed would decide otherwise.

    Args:
        scores: So far.
        patience: Epochs; 0 waits for ever.

    Source: Prechelt 1998, "Early Stopping - But When?", Sec. 2.1, whose strips of k epochs these are.
    """
    if not patience or len(scores) < 2 * patience:
        return False
    return fmean(scores[-patience:]) <= fmean(scores[-2 * patience : -patience])


def num_drops(scores: Sequence[float], patience: int) -> int:
    """Return how often `patience` epochs in a row brought no gain over the best before them.

    A gain counts from a ten-thousandth of the best on. Source: torch.optim.lr_scheduler.ReduceLROnPlateau.
    """
    best, waited, drops = float("-inf"), 0, 0
    for score in scores:
        if score > best + LEAST_GAIN * abs(best) or best == float("-inf"):
            best, waited = score, 0
        else:
            waited += 1
        if waited > patience:
            waited, drops = 0, drops + 1
    return drops
