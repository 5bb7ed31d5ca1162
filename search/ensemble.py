"""Whether several trained trials together answer better than the winner alone.

Source: Caruana et al., 2004, "Ensemble selection from libraries of models", Sec. 2: trials are added one by one, each
the one that helps most, the same one again if it does. Whoever chooses by images flatters himself on them, so what is
told of an ensemble is its score on images by which it was not chosen: validation in parts, one left out in turn.

Shapes: N images, K classes.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from search.answers import Answers, Floats, log_probabilities
from search.race import AnswersOf
from search.significance import is_worse, scores
from search.study import Study
from search.trials import OBJECTIVES, State, Trial, merit

ATTRIBUTE = "autoclf.ensemble"
MOST_CANDIDATES = 8  # the best complete trials
MOST_MEMBERS = 4  # different ones: each costs time with every image that is recognised
MOST_STEPS = 8
PARTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """Trials whose probabilities are averaged."""

    counts: Mapping[int, int]  # how often each trial counts, by number
    score: float  # the objective, on images by which it was not chosen
    winner_score: float  # of the winner alone, on the same images
    winner: int


def find_ensemble(
    trials: Sequence[Trial],
    winner: Trial,
    objective: str,
    answers_of: AnswersOf,
    *,
    limits: Mapping[str, float] | None = None,
) -> Ensemble | None:
    """Return an ensemble that is better than the winner alone, beyond what the choice of images explains; else None.

    Args:
        trials: Of the search.
        winner: Of them; complete.
        objective: Of the study.
        answers_of: Reads the validation predictions of a trial.
        limits: What a model may cost, by name: an answer of an ensemble costs what those of its members do.
    """
    complete = sorted(
        (trial for trial in trials if trial.state is State.COMPLETE and trial.results),
        key=lambda trial: (trial is winner, merit(trial.results[-1], objective), -trial.number),
        reverse=True,
    )
    found = {trial.number: answers_of(trial) for trial in complete[:MOST_CANDIDATES]}
    answers = {number: known for number, known in found.items() if known is not None}
    alone = answers.get(winner.number)
    if alone is None or len(answers) < 2 or any(len(a.labels) != len(alone.labels) for a in answers.values()):
        return None
    probabilities = {number: np.exp(log_probabilities(known.logits)) for number, known in answers.items()}
    every = np.arange(len(alone.labels))
    may_join = _within(complete, limits or {})
    unseen = np.empty_like(probabilities[winner.number])
    for part in _parts(alone.labels):
        chosen = choose(probabilities, alone.labels, objective, np.setdiff1d(every, part), may_join)
        unseen[part] = average(probabilities, chosen)[part]
    together = answers_from(unseen, alone.labels)
    if not is_worse([alone], [together], objective):
        return None
    counts = choose(probabilities, alone.labels, objective, every, may_join)
    if len(counts) < 2:
        return None
    sign = OBJECTIVES[objective]
    return Ensemble(
        counts=counts,
        score=sign * score_of(together, objective),
        winner_score=sign * score_of(alone, objective),
        winner=winner.number,
    )


def choose(
    probabilities: Mapping[int, Floats],
    labels: NDArray[np.int64],
    objective: str,
    images: NDArray[np.int64],
    may_join: Callable[[set[int]], bool] = lambda members: len(members) <= MOST_MEMBERS,
) -> dict[int, int]:
    """Return how often each trial counts in the ensemble that is best on some images.

    Args:
        probabilities: (N, K) of each candidate, by number; of equal ones the earlier is taken.
        labels: (N,).
        objective: One of `OBJECTIVES`.
        images: Numbers of those that decide.
        may_join: Says of trials whether they may be one model; of each alone it is true.
    """
    total = np.zeros_like(next(iter(probabilities.values()))[images])
    members: list[int] = []
    best: tuple[float, int] = (-np.inf, 0)  # score, and with how many members it was reached
    for step in range(1, MOST_STEPS + 1):
        tried = {
            number: score_of(answers_from((total + probabilities[number][images]) / step, labels[images]), objective)
            for number in probabilities
            if may_join({*members, number})
        }
        number = max(tried, key=lambda n: tried[n])
        members.append(number)
        total += probabilities[number][images]
        if tried[number] > best[0]:
            best = tried[number], step
    return dict(Counter(members[: best[1]]))


def average(probabilities: Mapping[int, Floats], counts: Mapping[int, int]) -> Floats:
    """Return the mean (N, K) of probabilities, each as often as it counts."""
    numbers = list(counts)
    mean: Floats = np.average([probabilities[n] for n in numbers], axis=0, weights=[counts[n] for n in numbers])
    return mean


def answers_from(probabilities: Floats, labels: NDArray[np.int64]) -> Answers:
    """Return (N, K) probabilities as answers: the softmax of their logarithms is what they are."""
    return Answers(logits=np.log(np.maximum(probabilities, 1e-30)).astype(np.float32), labels=labels)


def score_of(answers: Answers, objective: str) -> float:
    """Return the objective of answers, turned so that larger is better."""
    return float(scores(answers, objective, np.ones((1, len(answers.labels)), dtype=np.int64))[0])


def remembered_ensemble(study: Study) -> Ensemble | None:
    """Return the ensemble that a study offers, if there is one."""
    record = study.attributes.get(ATTRIBUTE)
    if not record:
        return None
    return Ensemble(**record | {"counts": {int(number): count for number, count in record["counts"].items()}})


def remember_ensemble(study: Study, found: Ensemble | None) -> None:
    """Keep what a study offers; None takes an earlier offer back."""
    record = None
    if found is not None:
        record = asdict(found) | {"counts": {str(number): count for number, count in found.counts.items()}}
    if study.attributes.get(ATTRIBUTE) != record:
        study.remember(ATTRIBUTE, record)


def _within(trials: Sequence[Trial], limits: Mapping[str, float]) -> Callable[[set[int]], bool]:
    """Return what says whether trials together are not too many and cost no more than they may."""
    costs = {trial.number: trial.footprint.costs() if trial.footprint else {} for trial in trials}

    def may_join(members: set[int]) -> bool:
        sums = {name: sum(costs[number].get(name, 0.0) for number in members) for name in limits}
        return len(members) <= MOST_MEMBERS and (
            len(members) == 1 or all(sums[name] <= limit for name, limit in limits.items())
        )

    return may_join


def _parts(labels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the numbers of images in parts, in each of which the classes have their shares."""
    shuffled = np.random.default_rng(0).permutation(len(labels))
    order = shuffled[np.argsort(labels[shuffled], kind="stable")]
    return [np.sort(order[start::PARTS]) for start in range(PARTS)]
