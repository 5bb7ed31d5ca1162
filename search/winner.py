"""Which trial a search ends with, and what of the race for it the study remembers."""

from collections.abc import Sequence

from search.book import best_of
from search.race import Standing
from search.study import Study
from search.trials import Trial

ATTRIBUTE = "autoclf.race"


def remembered_standing(study: Study) -> Standing | None:
    """Return how the last race of a study ended, if there was one."""
    record = study.attributes.get(ATTRIBUTE)
    if record is None:
        return None
    scores = {int(number): tuple(values) for number, values in record["scores"].items()}
    return Standing(scores=scores, left={int(number): why for number, why in record["left"].items()})


def remember_standing(study: Study, standing: Standing) -> None:
    """Keep how a race ended."""
    scores = {str(number): list(values) for number, values in standing.scores.items()}
    study.remember(ATTRIBUTE, {"scores": scores, "left": {str(n): why for n, why in standing.left.items()}})


def winner_of(trials: Sequence[Trial], objective: str, standing: Standing | None) -> Trial | None:
    """Return the trial that a search ends with: who won the race, if the best trial was in it; else the best."""
    best = best_of(list(trials), objective)
    if best is None or standing is None or best.number not in standing.scores:
        return best
    return trials[standing.winner]
