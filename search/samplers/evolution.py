"""Draws neighbours of good configurations: regularized evolution.

Source: Real et al., 2019, "Regularized Evolution for Image Classifier Architecture Search", arXiv:1802.01548, Alg. 1:
the best of a few that are drawn from the youngest trials has a child that differs in one parameter.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.samplers.base import next_baseline
from search.schedulers.promotion import estimate
from search.surrogate.candidates import STEP
from search.surrogate.encoding import Encoding
from search.surrogate.gp import Array
from search.trials import Trial
from spaces import Choice, Param, SearchSpace, Value
from trainer.seeds import derive

POPULATION = 20  # the youngest trials with a reading; the first ones are drawn evenly
TOURNAMENT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Evolution:
    """Draws configurations; equal trials and seed give equal draws."""

    space: SearchSpace
    seed: int

    def draw(self, trials: Sequence[Trial]) -> dict[str, Value]:
        """Return the parameters of the next trial, by name.

        Args:
            trials: All so far; their number decides which baseline is next.
        """
        encoding = Encoding(self.space)
        rng = np.random.default_rng(derive(self.seed, "sampler", len(trials)))
        anywhere = rng.random(len(self.space.params))
        scores = estimate(trials, self.space.budget.rungs, self.space.objective.metric)
        given = next_baseline(self.space, trials)
        if given is not None or len(scores) < POPULATION:
            return encoding.params(anywhere, given)
        youngest = sorted(scores)[-POPULATION:]
        few = rng.choice(youngest, size=TOURNAMENT, replace=False)
        parent = trials[int(max(few, key=lambda number: scores[number]))]
        return encoding.params(self._child(encoding.places([parent.params])[0], parent, rng))

    def _child(self, places: Array, parent: Trial, rng: np.random.Generator) -> Array:
        """Change one of the parameters that the parent has; what that opens up is drawn evenly."""
        has = [number for number, param in enumerate(self.space.params) if param.name in parent.params]
        changed = int(rng.choice(has))
        fresh = rng.random(len(places))
        inherited = np.array([number in has for number in range(len(places))])
        child = np.where(inherited, places, fresh)
        child[changed] = _moved(self.space.params[changed], float(places[changed]), rng)
        return child


def _moved(param: Param, place: float, rng: np.random.Generator) -> float:
    """Return another place on the axis of a parameter: another option, or a step along a range."""
    if isinstance(param.domain, Choice):
        num = len(param.domain.options)
        option = min(int(place * num), num - 1)
        return ((option + int(rng.integers(1, max(2, num)))) % num + 0.5) / num
    return float(np.clip(place + STEP * rng.normal(), 0.0, 1.0))
