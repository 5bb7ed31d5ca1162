"""Asynchronous Hyperband: several brackets of successive halving, each with a first rung of its own.

Source: Li et al. 2018, "Hyperband", JMLR 18(185), Algorithm 1, for how many configurations a bracket gets; Li et al.
2018, arXiv:1810.05934, for asynchronous brackets. Where early rungs mislead, the later brackets do not listen to them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from search.schedulers.base import Action, Finish, Situation, Start, Wait
from search.schedulers.closing import may_start, owed
from search.schedulers.promotion import Rules, pressed_by_time, promotion
from search.trials import State, Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperband:
    """Promote the best 1/eta of each rung of each bracket."""

    rungs: tuple[float, ...]  # epochs, rising; bracket b begins at the rung of that place
    eta: int
    objective: str

    def decide(self, situation: Situation) -> Action:
        """Return what to do now."""
        trials = situation.trials
        pressed = pressed_by_time(situation, self.rungs, self.objective)
        if pressed is not None:
            return pressed
        if not situation.has_free_slot:
            return Wait()
        first = self.rungs[bracket_of(len(trials), num_rungs=len(self.rungs), eta=self.eta)]
        started = Start(first) if may_start(situation, first) else None
        return owed(trials, self.rungs) or self._promotion(situation) or started or self._last(situation)

    def _promotion(self, situation: Situation, *, at_least: int = 0) -> Action | None:
        for bracket, trials in enumerate(self._brackets(situation.trials)):
            rules = Rules(rungs=self.rungs[bracket:], eta=self.eta, objective=self.objective, at_least=at_least)
            found = promotion(trials, situation, rules)
            if found is not None:
                return found
        return None

    def _last(self, situation: Situation) -> Action:
        if any(trial.state is State.RUNNING for trial in situation.trials):
            return Wait()
        return self._promotion(situation, at_least=1) or Finish()

    def _brackets(self, trials: Sequence[Trial]) -> list[list[Trial]]:
        brackets: list[list[Trial]] = [[] for _ in self.rungs]
        for trial in trials:
            brackets[bracket_of(trial.number, num_rungs=len(self.rungs), eta=self.eta)].append(trial)
        return brackets


@cache
def bracket_of(number: int, *, num_rungs: int, eta: int) -> int:
    """Return the bracket of a trial: each gets its share at any time, as near as whole numbers allow.

    Hyperband gives bracket b of B, the one with the earliest first rung being 0, ceil(B / (s + 1) * eta^s)
    configurations, where s = B - 1 - b is how often it halves.
    """
    return _order(num_rungs, eta)[number % len(_order(num_rungs, eta))]


@cache
def _order(num_rungs: int, eta: int) -> tuple[int, ...]:
    """Return the brackets of the trials of one round."""
    halvings = [num_rungs - 1 - bracket for bracket in range(num_rungs)]
    sizes = [math.ceil(num_rungs / (s + 1) * eta**s) for s in halvings]
    given = [0] * num_rungs
    order = []
    for place in range(1, sum(sizes) + 1):
        behind = [size * place / sum(sizes) - known for size, known in zip(sizes, given, strict=True)]
        bracket = max(range(num_rungs), key=lambda b: (behind[b], -b))
        given[bracket] += 1
        order.append(bracket)
    return tuple(order)
