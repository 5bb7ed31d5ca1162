"""Draws from a normal distribution that follows the best: the covariance matrix adaptation of Hansen.

Source: Hansen and Ostermeier, 2001; the library `cmaes` (Nomura and Shibata, 2024, arXiv:2402.01373).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cmaes
import numpy as np

from search.errors import StudyError
from search.samplers.base import next_baseline
from search.schedulers.promotion import estimate
from search.surrogate.encoding import Encoding
from search.trials import Trial
from spaces import Choice, SearchSpace, Value
from trainer.seeds import derive

FIRST_STEP = 0.3  # standard deviation at the beginning, in lengths of a range


@dataclass(frozen=True, slots=True, kw_only=True)
class CmaEs:
    """Draws configurations of ranges; equal trials and seed give equal draws."""

    space: SearchSpace
    seed: int

    def __post_init__(self) -> None:
        """Check that there are ranges alone.

        Raises:
            StudyError: If something of the space is a choice, or there are fewer than two ranges.
        """
        choices = [p.name for p in self.space.params if isinstance(p.domain, Choice) and len(p.domain.options) > 1]
        if choices:
            shown = ", ".join(f"`{name}`" for name in choices)
            raise StudyError(
                f"The sampler cmaes draws numbers alone, and choices are in this space: {shown}. "
                f"Fix `{choices[0]}` with --set, or take another sampler, such as tpe."
            )
        if len(self._ranges) < 2:
            raise StudyError("The sampler cmaes needs two ranges at least. Take another sampler, such as gp.")

    def draw(self, trials: Sequence[Trial]) -> dict[str, Value]:
        """Return the parameters of the next trial, by name.

        Args:
            trials: All so far; their number decides which baseline is next. The distribution is worked out from those
                with a reading, a generation at a time, in the order in which they began.
        """
        encoding, ranges = Encoding(self.space), self._ranges
        scores = estimate(trials, self.space.budget.rungs, self.space.objective.metric)
        known = sorted(scores)
        places = encoding.places([trials[number].params for number in known])[:, ranges]
        found = cmaes.CMA(
            mean=np.full(len(ranges), 0.5),
            sigma=FIRST_STEP,
            bounds=np.array([[0.0, 1.0]] * len(ranges)),
            seed=derive(self.seed, "sampler", len(trials)) % 2**32,
        )
        size = found.population_size
        for start in range(0, len(known) - size + 1, size):
            generation = range(start, start + size)
            found.tell([(places[row], -scores[known[row]]) for row in generation])
        drawn = np.full(len(self.space.params), 0.5)
        drawn[ranges] = found.ask()
        return encoding.params(drawn, next_baseline(self.space, trials))

    @property
    def _ranges(self) -> list[int]:
        return [number for number, param in enumerate(self.space.params) if not isinstance(param.domain, Choice)]
