"""Whether a candidate may take a champion's place: both have answered the same locked test images, one by one.

Two questions are asked of the pairs of answers. Is the candidate right more often, beyond what the choice of images
explains? That is McNemar's test, exact. And by how much is it better in what the search went by? That is a difference
with a bootstrap interval.
Shapes: N images, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from search.answers import Answers
from search.significance import difference_interval, scores
from search.trials import OBJECTIVES

LEVEL = 0.05  # chance of such a lead, were the two equally good, below which it counts
ROUNDING = 1e-9  # of a lead: shares of images are not exact
ONE_BY_ONE = ("val/accuracy",)  # objectives that count right answers, which McNemar's test is exact for


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A candidate and a champion on the same test images."""

    num_images: int
    only_candidate: int  # images that the candidate alone answers rightly
    only_champion: int
    chance: float  # of so many more right answers, were both equally good (one-sided, exact)
    metric: str  # that the search went by, such as `accuracy`
    candidate: float
    champion: float
    low: float  # bounds of the 95 % interval of what the candidate is better by; larger is better whatever the metric
    high: float

    @property
    def lead(self) -> float:
        """Return what the candidate is better by in the metric, turned so that larger is better."""
        sign = OBJECTIVES[f"val/{self.metric}"]
        return sign * (self.candidate - self.champion)

    def is_better(self, *, level: float, margin: float | None) -> bool:
        """Say whether the candidate may take the champion's place.

        Args:
            level: Chance below which a lead counts.
            margin: Lead in the metric that is enough by itself; None where none is.
        """
        if margin is not None and self.lead >= margin - ROUNDING:
            return True
        if f"val/{self.metric}" in ONE_BY_ONE:
            return self.lead > 0 and self.chance < level
        return self.low > 0


def compare(candidate: Answers, champion: Answers, objective: str) -> Comparison:
    """Compare answers to the same test images.

    Args:
        candidate: On the locked test split.
        champion: On the same images, in the same order.
        objective: Of the search that found the candidate.

    Raises:
        ValueError: If the labels differ: they are not the same images.
    """
    if not np.array_equal(candidate.labels, champion.labels):
        raise ValueError("Both must have answered the same images.")
    ours, theirs = (found.logits.argmax(axis=1) == found.labels for found in (candidate, champion))
    only_ours, only_theirs = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    once = np.ones((1, len(ours)), dtype=np.int64)
    sign = OBJECTIVES[objective]
    value, other = (sign * float(scores(found, objective, once)[0]) for found in (candidate, champion))
    low, high = difference_interval(candidate, champion, objective)
    return Comparison(
        num_images=len(ours),
        only_candidate=only_ours,
        only_champion=only_theirs,
        chance=mcnemar(only_ours, only_theirs),
        metric=objective.removeprefix("val/"),
        candidate=value,
        champion=other,
        low=low,
        high=high,
    )


def mcnemar(only_ours: int, only_theirs: int) -> float:
    """Return the chance of as many discordant pairs in our favour, were either equally likely: exact and one-sided.

    Source: McNemar 1947, Psychometrika 12(2), with the binomial distribution in place of its approximation (Fagerland,
    Lydersen and Laake 2013, BMC Medical Research Methodology 13:91, equation 1).
    """
    num = only_ours + only_theirs
    return float(binomtest(only_ours, num, 0.5, alternative="greater").pvalue) if num else 1.0


def in_words(found: Comparison) -> Sequence[str]:
    """Return lines that say how the two stand."""

    def shown(value: float) -> str:
        return f"{value:.4f}" if found.metric == "loss" else f"{100 * value:.2f} %"

    name = found.metric.replace("_", " ")
    return (
        f"{name} on {found.num_images} test images: candidate {shown(found.candidate)}, champion "
        f"{shown(found.champion)}",
        f"the candidate is better by {shown(found.lead)} (95 % interval {shown(found.low)} to {shown(found.high)})",
        f"answered rightly by the candidate alone: {found.only_candidate}, by the champion alone: "
        f"{found.only_champion}; the chance of that, were both equally good, is {found.chance:.3g}",
    )
