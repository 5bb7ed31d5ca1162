"""Who is promoted."""

from search_samples import METRIC, after, new_trial, ordered, reached, result

from search.schedulers import Promotion, Resume, Situation
from search.trials import Trial

PROMOTION = Promotion(rungs=(1.0, 3.0, 9.0), eta=2, objective=METRIC)


def paused(number: int, accuracy: float, loss: float) -> Trial:
    return after(new_trial(number), ordered(1.0), result(1.0, accuracy, loss=loss), reached(1.0))


def decide(*trials: Trial) -> object:
    return PROMOTION.decide(Situation(trials=trials, max_trials=len(trials), seconds_left=None, has_free_slot=True))


def test_the_better_half_of_a_rung_goes_on() -> None:
    assert decide(paused(0, 0.5, 1.0), paused(1, 0.6, 1.0)) == Resume(1, 3.0)


def test_of_equal_scores_the_smaller_loss_goes_on() -> None:
    assert decide(paused(0, 0.5, 1.0), paused(1, 0.5, 0.9)) == Resume(1, 3.0)


def test_of_equals_the_earlier_goes_on() -> None:
    assert decide(paused(0, 0.5, 1.0), paused(1, 0.5, 1.0)) == Resume(0, 3.0)
