"""A trial's learning curve as one reads it: the last stretch of it against the one before."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from statistics import fmean, median

from trainer.results import EpochResult

WINDOW_SHARE = 1 / 8  # of the results; the last ones are compared with as many before them
LEAST_GAIN = 0.005  # of accuracy, from window to window, that is an improvement
LEAST_FALL = 0.05  # of the validation loss, from window to window, as a share of it, that is one
STEADY = 1.5  # times what the loss changes from result to result, in the median: a fall that is no accident


@dataclass(frozen=True, slots=True)
class Curve:
    """The results of a trial from the first whole epoch on; before, a part of the validation split is scored."""

    results: tuple[EpochResult, ...]

    @property
    def last(self) -> EpochResult:
        """Return the last result."""
        return self.results[-1]

    @property
    def best(self) -> EpochResult:
        """Return the result with the smallest validation loss."""
        return min(self.results, key=lambda result: result.val_loss)

    @property
    def train_losses(self) -> tuple[float, ...]:
        """Return the training losses in order."""
        return tuple(result.train_loss for result in self.results)

    @property
    def error(self) -> float:
        """Return the standard error of the last validation accuracy."""
        return standard_error(self.last.val_accuracy, self.last.val_images)

    @property
    def gap(self) -> float:
        """Return the training accuracy over that of validation."""
        return self.now("train_accuracy") - self.now("val_accuracy")

    @property
    def jitter(self) -> float:
        """Return by how much the validation loss changes from result to result, in the median."""
        losses = [result.val_loss for result in self.results]
        return median(abs(after - before) for before, after in pairwise(losses))

    @property
    def improves(self) -> bool:
        """Say whether validation was still getting better in the last window."""
        gain = self.now("val_accuracy") - self.before("val_accuracy")
        fall = 1 - self.now("val_loss") / max(self.before("val_loss"), 1e-12)
        return gain > max(self.error, LEAST_GAIN) or (gain >= 0 and fall > LEAST_FALL)

    @property
    def creeps(self) -> bool:
        """Say whether validation gets better at a pace that would tell if training went on for as long again."""
        fall = self.before("val_loss") - self.now("val_loss")
        as_long_again = len(self.results) / self._window * fall / max(self.before("val_loss"), 1e-12)
        return as_long_again > LEAST_FALL and fall > STEADY * self.jitter

    def now(self, name: str) -> float:
        """Return the mean of a field over the last window."""
        return _mean(name, self.results[-self._window :])

    def before(self, name: str) -> float:
        """Return the mean of a field over the window before the last."""
        return _mean(name, self.results[-2 * self._window : -self._window])

    @property
    def _window(self) -> int:
        return max(2, int(WINDOW_SHARE * len(self.results)))


def curve_of(results: Sequence[EpochResult]) -> Curve:
    """Return what counts of a trial's results."""
    return Curve(tuple(result for result in results if result.epoch >= 1))


def standard_error(accuracy: float, num_images: int) -> float:
    """Return the binomial standard error of an accuracy.

    Source: Agresti and Coull, 1998, The American Statistician 52(2): two right and two wrong answers are added, so that
    a perfect score is not taken for a certain one.
    """
    num = num_images + 4
    share = (accuracy * num_images + 2) / num
    return sqrt(share * (1 - share) / num)


def _mean(name: str, results: Sequence[EpochResult]) -> float:
    return fmean(getattr(result, name) for result in results)
