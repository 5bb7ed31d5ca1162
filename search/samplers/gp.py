"""Draws what promises most for the time it takes, by a model of the readings at all rungs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from search.samplers.base import next_baseline
from search.samplers.once import Tried
from search.surrogate.candidates import propose
from search.surrogate.gp import Array
from search.surrogate.outlook import Outlook, Surrogate
from search.trials import Trial
from spaces import Value
from trainer.seeds import derive

STARTUP_TRIALS = 6  # with a reading, before the model is asked
NUM_CANDIDATES = 300
LEAST_PROMISING = 2  # trials that candidates are drawn near to
PROMISING_SHARE = 0.2

Propose = Callable[[np.random.Generator, Array], Array]  # places (N, P) in any order, given promising ones (M, P)


@dataclass(slots=True, kw_only=True)
class Gp:
    """Draws configurations; equal trials and seed give equal draws."""

    surrogate: Surrogate
    seed: int
    propose: Propose | None = None  # None for candidates from the whole space
    _last: tuple[Outlook, Array] | None = None  # what was chosen by an outlook: a scheduler asks before the engine does
    _tried: Tried = field(default_factory=Tried)

    def draw(self, trials: Sequence[Trial]) -> dict[str, Value]:
        """Return the parameters of the next trial, by name.

        Args:
            trials: All so far; their number decides which baseline is next.
        """
        encoding = self.surrogate.encoding
        given = next_baseline(encoding.space, trials)
        if given is not None:
            return encoding.params(self._rng(len(trials)).random(len(encoding.space.params)), given)
        return encoding.params(self.best_place(trials))

    def best_place(self, trials: Sequence[Trial]) -> Array:
        """Return the places (P,) of the configuration that is worth most; of any, while the model has little to say."""
        rng, space = self._rng(len(trials)), self.surrogate.encoding.space
        outlook = self.surrogate.outlook(trials)
        num_read = len(outlook.evidence.numbers) if outlook else 0
        if outlook is None or num_read < STARTUP_TRIALS:
            return self._untried(trials, self._candidates(rng, np.zeros((0, len(space.params)))))
        if self._last is None or self._last[0] is not outlook:
            promising = outlook.promising(max(LEAST_PROMISING, int(PROMISING_SHARE * num_read)))
            found = self._candidates(rng, promising)
            self._last = outlook, self._untried(trials, found[np.argsort(-outlook.of_new(found), kind="stable")])
        return self._last[1]

    def _untried(self, trials: Sequence[Trial], places: Array) -> Array:
        """Return the first of places (N, P) whose configuration no trial has; the first of all if there is none."""
        params = self.surrogate.encoding.params
        new = (place for place in places if not self._tried.has(trials, params(place)))
        return np.asarray(next(new, places[0]))

    def _candidates(self, rng: np.random.Generator, promising: Array) -> Array:
        if self.propose is not None:
            return self.propose(rng, promising)
        return propose(self.surrogate.encoding.space, rng, promising, num=NUM_CANDIDATES)

    def _rng(self, number: int) -> np.random.Generator:
        return np.random.default_rng(derive(self.seed, "sampler", number))
