"""What the author of a space holds for good, mixed into what a sampler draws."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import mean

import numpy as np
import pytest
from search_samples import quality, trial_at, trials_of

from search.samplers import Random, WithPriors
from search.samplers.prior import FADES_AFTER, MOST, draw_place
from search.trials import Trial
from spaces import Confidence, Prior, SearchSpace, Value

RATE = "optimizer.adamw.lr"
GOOD, BAD = 0.001, 0.0001  # of the rate: the best there is, and the worst


def with_prior(space: SearchSpace, value: Value, confidence: Confidence = "medium") -> SearchSpace:
    """The space with a prior of the rate of AdamW, and without baselines."""
    params = tuple(
        replace(param, prior=Prior(value=value, confidence=confidence)) if param.name == RATE else param
        for param in space.params
    )
    return replace(space, params=params, baselines=())


def mixed(space: SearchSpace) -> WithPriors:
    return WithPriors(sampler=Random(space=space, seed=0), space=space, seed=0)


def trial_with(number: int, accuracy: float, params: Mapping[str, Value]) -> Trial:
    return trial_at(number, {1.0: accuracy}, params=params)


def adamw(rate: float) -> dict[str, Value]:
    return {"optimizer": "adamw", RATE: rate, "training.batch_size": 32}


def test_without_priors_the_sampler_draws_as_by_itself(small_space: SearchSpace) -> None:
    space = replace(small_space, baselines=())

    drawn = [mixed(space).draw([trial_with(n, 0.5, {}) for n in range(number)]) for number in range(8)]

    alone = Random(space=space, seed=0)
    assert drawn == [alone.draw([trial_with(n, 0.5, {}) for n in range(number)]) for number in range(8)]


def test_baselines_go_before_priors(small_space: SearchSpace) -> None:
    space = replace(with_prior(small_space, GOOD), baselines=small_space.baselines)

    assert mixed(space).draw([]).items() >= dict(space.baselines[0]).items()


def test_about_half_of_the_first_draws_are_near_the_prior(small_space: SearchSpace) -> None:
    space = with_prior(small_space, GOOD, "high")
    drawn = [WithPriors(sampler=Random(space=space, seed=n), space=space, seed=n).draw([]) for n in range(300)]
    rates = [float(params[RATE]) for params in drawn if RATE in params]

    near = mean(GOOD / 1.5 < rate < GOOD * 1.5 for rate in rates)

    assert 0.4 < near < 0.65, "half of them from the prior, and some by chance"


def test_what_is_not_begun_is_not_drawn_for_ever(small_space: SearchSpace) -> None:
    """A scheduler may find that going on with a trial is worth more than a draw from the priors."""
    sampler = mixed(with_prior(small_space, GOOD, "high"))
    waiting = [trial_with(n, 0.5, adamw(GOOD)) for n in range(4)]
    read_on = [trial_at(0, {1.0: 0.5, **{2.0 + n: 0.6 for n in range(more)}}) for more in range(12)]

    drawn = [str(sampler.draw([trial, *waiting[1:]])) for trial in read_on]

    assert len(set(drawn)) > 2


@pytest.mark.parametrize("confidence", ["low", "medium", "high"])
def test_the_surer_the_author_the_nearer_the_draws(small_space: SearchSpace, confidence: Confidence) -> None:
    spread = {"low": (0.15, 0.4), "medium": (0.09, 0.15), "high": (0.05, 0.09)}[confidence]
    space = with_prior(small_space, GOOD, confidence)
    param = next(param for param in space.params if param.name == RATE)

    rng = np.random.default_rng(0)
    places = [draw_place(param, rng) for _ in range(2000)]

    assert spread[0] < np.std(places) < spread[1]
    assert 0 <= min(places) <= max(places) <= 1


def test_priors_fade_as_trials_come_in(small_space: SearchSpace) -> None:
    sampler = mixed(with_prior(small_space, GOOD))
    borne_out = [trial_with(n, 0.5, adamw(GOOD)) for n in range(4 * FADES_AFTER)]

    assert sampler.share([]) == MOST
    assert sampler.share(borne_out[:FADES_AFTER]) == MOST
    assert sampler.share(borne_out) == pytest.approx(MOST / 4)


def test_priors_that_the_best_trials_contradict_are_hardly_drawn_from(small_space: SearchSpace) -> None:
    sampler = mixed(with_prior(small_space, BAD, "high"))
    contradicting = [trial_with(n, 0.9 if n % 3 == 0 else 0.1, adamw(0.01 if n % 3 == 0 else BAD)) for n in range(9)]

    assert sampler.share(contradicting) < 0.05


def best_of_searches(space: SearchSpace, strategy: tuple[str, str], *, max_trials: int) -> float:
    """The quality of the best configuration, in the mean over ten seeds."""

    def best(seed: int) -> float:
        sampler, scheduler = strategy
        trials = trials_of(space, sampler=sampler, scheduler=scheduler, max_trials=max_trials, seed=seed)
        return max(map(_quality, trials))

    return mean(best(seed) for seed in range(10))


def _quality(trial: Trial) -> float:
    return quality(trial.config)


def missed(found: Sequence[float]) -> list[float]:
    return [0.9 - value for value in found]


@pytest.mark.parametrize("strategy", [("tpe", "promotion"), ("gp", "freeze-thaw")], ids=["by ranks", "by a model"])
def test_a_good_prior_helps_and_a_bad_one_costs_little(small_space: SearchSpace, strategy: tuple[str, str]) -> None:
    unaided = replace(small_space, baselines=())

    none, good, bad = missed(
        [
            best_of_searches(unaided, strategy, max_trials=8),
            best_of_searches(with_prior(small_space, GOOD, "high"), strategy, max_trials=8),
            best_of_searches(with_prior(small_space, BAD, "high"), strategy, max_trials=8),
        ]
    )

    assert good < 0.7 * none
    assert bad < none + 0.03
