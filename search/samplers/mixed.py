"""Draws by several samplers in turn: what misleads one of them does not mislead the others."""

from collections.abc import Sequence
from dataclasses import dataclass

from search.samplers.base import Sampler
from search.trials import Trial
from spaces import Value


@dataclass(frozen=True, slots=True)
class Mixed:
    """Asks one sampler for the first trial, the next for the second, and so on."""

    samplers: tuple[Sampler, ...]

    def draw(self, trials: Sequence[Trial]) -> dict[str, Value]:
        """Return the parameters of the next trial, by name.

        Args:
            trials: All so far; their number decides whose turn it is.
        """
        return self.samplers[len(trials) % len(self.samplers)].draw(trials)
