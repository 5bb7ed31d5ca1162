"""Draws by several samplers in turn: what misleads one of them does not mislead the others."""

from collections.abc import Sequence
from dataclasses import dataclass

from search.samplers.base import Sampler
from search.trials import Trial
from spaces import Value

ALONE = 10  # trials at first; until then TPE would draw by chance


@dataclass(frozen=True, slots=True)
class Mixed:
    """Asks the last sampler, which learns from the fewest trials, for the first ones; then each in turn."""

    samplers: tuple[Sampler, ...]
    alone: int = ALONE  # trials of the last sampler at first

    def draw(self, trials: Sequence[Trial]) -> dict[str, Value]:
        """Return the parameters of the next trial, by name.

        Args:
            trials: All so far; their number decides whose turn it is.
        """
        turn = len(trials) % len(self.samplers) if len(trials) >= self.alone else -1
        return self.samplers[turn].draw(trials)
