"""Draws points that fill the space evenly, rather than by chance: a scrambled Sobol sequence."""

from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats.qmc import Sobol

from search.samplers.base import next_baseline
from search.surrogate.encoding import Encoding
from search.trials import Trial
from spaces import SearchSpace, Value
from trainer.seeds import derive


@dataclass(frozen=True, slots=True, kw_only=True)
class Qmc:
    """Draws configurations; equal numbers of trials and seeds give equal draws.

    Source: Bergstra and Bengio, 2012, JMLR 13, Sec. 6, who find it somewhat ahead of random search.
    """

    space: SearchSpace
    seed: int

    def draw(self, trials: Sequence[Trial]) -> dict[str, Value]:
        """Return the parameters of the next trial, by name.

        Args:
            trials: All so far; their number decides which baseline or point is next.
        """
        given = next_baseline(self.space, trials)
        sequence = Sobol(max(1, len(self.space.params)), rng=derive(self.seed, "sampler"))
        num_before = len(trials)
        if num_before:  # by none it can't be moved
            sequence.fast_forward(num_before)
        return Encoding(self.space).params(sequence.random(1)[0][: len(self.space.params)], given)
