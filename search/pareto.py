"""The trials to choose among where accuracy is not all: none of the others is both better and cheaper."""

from collections.abc import Sequence
from typing import Literal

from search.book import contenders
from search.trials import Trial, score

Cost = Literal["latency_ms", "flops", "parameters", "size_mb"]


def pareto_front(trials: Sequence[Trial], objective: str, cost: Cost) -> list[Trial]:
    """Return the trials that no other one beats, the cheapest first; of two that are alike, the earlier.

    Args:
        trials: Of one study. Complete ones are compared, or those that went farthest where there are none; one whose
            cost was not measured is left out.
        objective: Of the study.
        cost: Of one answer, or of the file of weights.
    """
    known = [(costs[cost], trial) for trial in contenders(trials) if cost in (costs := _costs(trial))]
    known.sort(key=lambda pair: (pair[0], -score(pair[1].results[-1], objective), pair[1].number))
    front: list[Trial] = []
    for _, trial in known:
        if not front or score(trial.results[-1], objective) > score(front[-1].results[-1], objective):
            front.append(trial)
    return front


def _costs(trial: Trial) -> dict[str, float]:
    return trial.footprint.costs() if trial.footprint else {}
