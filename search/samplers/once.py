"""No configuration twice: what a trial has is not drawn again, whichever sampler draws."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from search.samplers.base import Sampler, next_baseline
from search.surrogate.candidates import propose
from search.surrogate.encoding import Encoding
from search.trials import Trial, are_same
from spaces import SearchSpace, Value
from trainer.seeds import derive

NUM_CANDIDATES = 300
MOST_ROUNDS = 20  # of candidates, until one of them is new
DIGITS = 10  # of a number, by which two differ


@dataclass(slots=True)
class Tried:
    """The configurations of trials, remembered from one draw to the next."""

    _known: set[frozenset[tuple[str, Value]]] = field(default_factory=set)  # of the first so many trials
    _num_known: int = 0

    def has(self, trials: Sequence[Trial], params: Mapping[str, Value]) -> bool:
        """Say whether one of the trials has these parameters."""
        if len(trials) < self._num_known:
            self._num_known, self._known = 0, set()
        self._known.update(_key(trial.params) for trial in trials[self._num_known :])
        self._num_known = len(trials)
        return _key(params) in self._known

    def num(self) -> int:
        """Return how many different configurations the trials of the last question have."""
        return len(self._known)


@dataclass(slots=True, kw_only=True)
class Once:
    """Where another sampler draws what a trial has, takes the nearest configuration that none has.

    It asks that sampler once for the same trials: a scheduler may ask before the engine does.
    """

    sampler: Sampler
    space: SearchSpace
    seed: int
    _tried: Tried = field(default_factory=Tried)
    _last: tuple[tuple[Trial, ...], dict[str, Value]] | None = None  # trials, and what was drawn for them

    def draw(self, trials: Sequence[Trial]) -> dict[str, Value]:
        """Return the parameters of the next trial, by name.

        Args:
            trials: All so far; their number decides which baseline is next.
        """
        if self._last is None or not are_same(self._last[0], trials):
            self._last = tuple(trials), self._draw(trials)
        return dict(self._last[1])

    def _draw(self, trials: Sequence[Trial]) -> dict[str, Value]:
        drawn = self.sampler.draw(trials)
        if next_baseline(self.space, trials) is not None or not self._tried.has(trials, drawn):
            return drawn
        if self._tried.num() >= self.space.num_configurations():
            return drawn
        encoding = Encoding(self.space)
        wanted = encoding.places([drawn])
        rng = np.random.default_rng(derive(self.seed, "once", len(trials)))
        for _ in range(MOST_ROUNDS):
            places = propose(self.space, rng, wanted, num=NUM_CANDIDATES)
            is_new = [not self._tried.has(trials, encoding.params(place)) for place in places]
            if any(is_new):
                apart = np.linalg.norm(encoding.points(places) - encoding.points(wanted), axis=1)
                return encoding.params(places[int(np.where(is_new, apart, np.inf).argmin())])
        return drawn  # of a space in which, to all appearance, nothing is left


def _key(params: Mapping[str, Value]) -> frozenset[tuple[str, Value]]:
    """Return what equal configurations have in common; numbers that differ by rounding alone are equal."""
    return frozenset((name, _rounded(value)) for name, value in params.items())


def _rounded(value: Value) -> Value:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
