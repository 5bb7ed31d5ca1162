"""Mixes in what the author of a space holds for good, for as long as the best trials bear him out.

Sources: Hvarfner et al., 2022, "πBO", arXiv:2204.11051, for a weight of the prior that fades as trials come in; Mallik
et al., 2023, "PriorBand", arXiv:2306.12370, for weighing it by how likely it makes the best trials so far.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean
from typing import Any

import numpy as np
from scipy.stats import truncnorm

from search.samplers.base import Sampler, next_baseline
from search.schedulers.promotion import estimate
from search.surrogate.encoding import Encoding
from search.trials import Trial
from spaces import Choice, Param, SearchSpace, Value
from spaces.places import place_of
from trainer.seeds import derive

WIDTHS = {"low": 0.25, "medium": 0.125, "high": 0.075}  # standard deviations along a range, in its length
SHARES = {"low": 0.4, "medium": 0.6, "high": 0.8}  # of the draws that take the option held for good
MOST = 0.5  # of the configurations that are drawn from priors
FADES_AFTER = 10  # trials; then the share falls as one over their number
BEST_SHARE = 1 / 3  # of the trials with a reading that are asked whether the priors are right
LEAST_ASKED = 3
TINY = 1e-300  # density, where that of a number would be none


@dataclass(frozen=True, slots=True, kw_only=True)
class WithPriors:
    """Draws some configurations from priors, and leaves the others to another sampler."""

    sampler: Sampler
    space: SearchSpace
    seed: int

    def draw(self, trials: Sequence[Trial]) -> dict[str, Value]:
        """Return the parameters of the next trial, by name.

        Args:
            trials: All so far; their number decides which baseline is next.
        """
        has_priors = any(param.prior is not None for param in self.space.params)
        if not has_priors or next_baseline(self.space, trials) is not None:
            return self.sampler.draw(trials)
        num_read = sum(len(trial.reached) for trial in trials)  # a draw that is not begun is not drawn for ever
        rng = np.random.default_rng(derive(self.seed, "prior", len(trials), num_read))
        if rng.random() >= self.share(trials):
            return self.sampler.draw(trials)
        places = np.array([draw_place(param, rng) for param in self.space.params])
        return Encoding(self.space).params(places)

    def share(self, trials: Sequence[Trial]) -> float:
        """Return the probability that the next configuration is drawn from the priors."""
        fading = min(1.0, FADES_AFTER / max(1, len(trials)))
        scores = estimate(trials, self.space.budget.rungs, self.space.objective.metric)
        if len(scores) < LEAST_ASKED:
            return MOST * fading
        best = sorted(scores, key=lambda number: (-scores[number], number))
        asked = best[: max(LEAST_ASKED, round(BEST_SHARE * len(best)))]
        odds = math.exp(fmean(self._log_odds(trials[number]) for number in asked))
        return min(MOST, odds / (1 + odds)) * fading

    def _log_odds(self, trial: Trial) -> float:
        """Return how much likelier a trial is by the priors than by an even draw, per parameter, in nats."""
        known = [
            _log_density(param, trial.params[param.name])
            for param in self.space.params
            if param.prior is not None and param.name in trial.params
        ]
        return fmean(known) if known else 0.0


def draw_place(param: Param, rng: np.random.Generator) -> float:
    """Return a place on the axis of a parameter: near its prior, or anywhere if it has none."""
    if param.prior is None:
        return float(rng.random())
    centre = place_of(param.domain, param.prior.value)
    if isinstance(param.domain, Choice):
        is_taken = rng.random() < SHARES[param.prior.confidence]
        return centre if is_taken else float(rng.random())
    return float(_normal(centre, WIDTHS[param.prior.confidence]).rvs(random_state=rng))


def _log_density(param: Param, value: Value) -> float:
    """Return the logarithm of the density of a value by its prior, where an even draw has zero."""
    assert param.prior is not None
    if isinstance(param.domain, Choice):
        num, share = len(param.domain.options), SHARES[param.prior.confidence]
        probability = (1 - share) / num + (share if value == param.prior.value else 0.0)
        return math.log(probability * num)
    bell = NormalDist(place_of(param.domain, param.prior.value), WIDTHS[param.prior.confidence])
    within = bell.cdf(1.0) - bell.cdf(0.0)
    return math.log(max(bell.pdf(place_of(param.domain, value)), TINY) / within)


def _normal(centre: float, width: float) -> Any:
    """Return a normal distribution that is cut off at the ends of the unit interval."""
    return truncnorm(-centre / width, (1 - centre) / width, loc=centre, scale=width)
