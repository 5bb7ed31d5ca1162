"""What the engine asks of a sampler."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from search.trials import Trial
from spaces import SearchSpace, Value


class Sampler(Protocol):
    """Draws configurations.

    It keeps no state of its own: equal trials and seed give equal draws, so a search that was interrupted goes on as
    if nothing had happened.
    """

    def draw(self, trials: Sequence[Trial]) -> dict[str, Value]:
        """Return the parameters of the next trial, by name.

        Args:
            trials: All so far; their number decides which baseline is next.
        """
        ...


def next_baseline(space: SearchSpace, trials: Sequence[Trial]) -> Mapping[str, Value] | None:
    """Return the baseline that is the next trial; None when all have been tried."""
    return space.baselines[len(trials)] if len(trials) < len(space.baselines) else None
