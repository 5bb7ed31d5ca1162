"""Trials whose answers are averaged."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from search_samples import METRIC, Ground, trial_at

from search.answers import Answers, log_probabilities
from search.ensemble import (
    MOST_MEMBERS,
    Ensemble,
    answers_from,
    average,
    choose,
    find_ensemble,
    remember_ensemble,
    remembered_ensemble,
    score_of,
)
from search.trials import State, Trial
from trainer.metrics import metrics
from trainer.results import Footprint

NUM = 3000
CLASSES = 5


def noisy(seed: int, *, noise: float = 2.0, num: int = NUM) -> Answers:
    """A network that sees each image's class through noise of its own."""
    labels = np.arange(num) % CLASSES
    logits = 2 * np.eye(CLASSES)[labels] + noise * np.random.default_rng(seed).normal(size=(num, CLASSES))
    return Answers(logits=logits.astype(np.float32), labels=labels)


def trials_of(answers: Mapping[int, Answers]) -> list[Trial]:
    return [
        trial_at(number, {9.0: metrics(known.logits, known.labels)["accuracy"]}, ended=State.COMPLETE)
        for number, known in answers.items()
    ]


def found_in(answers: Mapping[int, Answers], winner: int = 0) -> Ensemble | None:
    trials = trials_of(answers)
    return find_ensemble(trials, trials[winner], METRIC, lambda trial: answers[trial.number])


def test_networks_that_err_on_different_images_are_better_together() -> None:
    answers = {number: noisy(number) for number in range(4)}

    found = found_in(answers)

    assert found is not None
    assert len(found.counts) >= 2
    assert found.score > found.winner_score + 0.03
    assert found.winner_score == pytest.approx(score_of(answers[0], METRIC))


def test_networks_that_err_alike_are_not() -> None:
    answers = dict.fromkeys(range(4), noisy(0))

    assert found_in(answers) is None


def test_much_worse_networks_do_not_help() -> None:
    answers = {0: noisy(0, noise=0.7)} | {number: noisy(number, noise=6.0) for number in range(1, 5)}

    assert found_in(answers) is None


def test_its_score_is_that_of_images_it_was_not_chosen_by() -> None:
    """Of networks that guess, the best on some images is no better on others; nothing is offered."""
    rng = np.random.default_rng(0)
    labels = np.arange(400) % CLASSES
    answers = {n: Answers(logits=rng.normal(size=(400, CLASSES)).astype(np.float32), labels=labels) for n in range(8)}
    probabilities = {n: np.exp(log_probabilities(known.logits)) for n, known in answers.items()}
    chosen = choose(probabilities, labels, METRIC, np.arange(400))
    flattered = score_of(answers_from(average(probabilities, chosen), labels), METRIC)

    best = max(answers, key=lambda n: score_of(answers[n], METRIC))
    assert flattered > 1 / CLASSES + 0.02, "by luck it seems to be something"
    assert found_in(answers, winner=best) is None


def test_few_different_trials_are_taken_however_many_there_are() -> None:
    probabilities = {number: np.exp(log_probabilities(noisy(number).logits)) for number in range(8)}

    chosen = choose(probabilities, noisy(0).labels, METRIC, np.arange(NUM))

    assert 2 <= len(chosen) <= MOST_MEMBERS


def test_together_they_cost_no_more_than_one_may() -> None:
    answers = {number: noisy(number) for number in range(4)}
    trials = [
        replace(trial, footprint=Footprint(parameters=10, flops=None, latency_ms=4.0 - number, size_mb=1.0))
        for number, trial in enumerate(trials_of(answers))
    ]

    def members(**limits: float) -> set[int]:
        found = find_ensemble(trials, trials[0], METRIC, lambda trial: answers[trial.number], limits=limits)
        return set(found.counts) if found else set()

    assert members() == members(latency_ms=10.0, flops=1.0) == {0, 1, 2, 3}
    assert len(members(parameters=20)) == 2
    assert members(latency_ms=3.0) == {2, 3}, "2 and 1 ms"
    assert members(latency_ms=2.5) == set()
    assert members(size_mb=1.0) == set()


def test_the_first_of_an_ensemble_is_the_best_alone() -> None:
    probabilities = {
        number: np.exp(log_probabilities(noisy(number, noise=noise).logits))
        for number, noise in enumerate((3.0, 1.0, 2.0))
    }

    assert 1 in choose(probabilities, noisy(0).labels, METRIC, np.arange(NUM))


def test_probabilities_are_averaged_as_often_as_they_count() -> None:
    one, other = np.array([[1.0, 0.0]]), np.array([[0.25, 0.75]])

    assert average({0: one, 1: other}, {0: 1, 1: 2}).tolist() == [[0.5, 0.5]]


def test_nothing_is_offered_without_predictions_or_of_one_trial() -> None:
    answers = {0: noisy(0), 1: noisy(1)}
    trials = trials_of(answers)

    assert find_ensemble(trials, trials[0], METRIC, lambda trial: None) is None
    assert find_ensemble(trials[:1], trials[0], METRIC, lambda trial: answers[trial.number]) is None


def test_a_study_remembers_its_offer_and_takes_it_back(ground: Ground) -> None:
    study = ground.study()
    offered = Ensemble(counts={3: 2, 1: 1}, score=0.95, winner_score=0.94, winner=3)
    assert remembered_ensemble(study) is None

    remember_ensemble(study, offered)
    assert remembered_ensemble(study) == offered

    remember_ensemble(study, None)
    assert remembered_ensemble(study) is None
