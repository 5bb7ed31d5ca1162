"""Draws evenly from the whole space: what every other sampler is measured against."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.samplers.base import next_baseline
from search.surrogate.encoding import Encoding
from search.trials import Trial
from spaces import SearchSpace, Value
from trainer.seeds import derive


@dataclass(frozen=True, slots=True, kw_only=True)
class Random:
    """Draws configurations; equal numbers of trials and seeds give equal draws."""

    space: SearchSpace
    seed: int

    def draw(self, trials: Sequence[Trial]) -> dict[str, Value]:
        """Return the parameters of the next trial, by name.

        Args:
            trials: All so far; their number decides which baseline is next.
        """
        places = np.random.default_rng(derive(self.seed, "sampler", len(trials))).random(len(self.space.params))
        return Encoding(self.space).params(places, next_baseline(self.space, trials))
