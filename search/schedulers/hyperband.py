"""Asynchronous Hyperband: several brackets of successive halving, each with a first rung of its own.

Source: Li et al. 2018, "Hyperband", JMLR 18(185), Algorithm 1, for how many configurations a bracket gets; Li et al.
2018, arXiv:1810.05934, for asynchronous brackets. Where early rungs mislead, the later brackets do not listen to them.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from search.schedulers.base import Action, Finish, Situation, Start, Wait
from search.schedulers.closing import may_start, owed
from search.schedulers.promotion import Rules, pressed_by_time, promotion
from search.table import Table, table_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperband:
    """Promote the best 1/eta of each rung of each bracket."""

    rungs: tuple[float, ...]  # epochs, rising; bracket b begins at the rung of that place
    eta: int
    objective: str

    def decide(self, situation: Situation) -> Action:
        """Return what to do now."""
        pressed = pressed_by_time(situation, self.rungs, self.objective)
        if pressed is not None:
            return pressed
        if not situation.has_free_slot:
            return Wait()
        table = table_of(situation.trials, self.rungs, self.objective)
        first = self.rungs[bracket_of(len(situation.trials), num_rungs=len(self.rungs), eta=self.eta)]
        fitting = (rung for rung in (first, self.rungs[0]) if may_start(situation, table, rung))
        started = next(map(Start, fitting), None)
        return owed(situation, table) or self._promotion(situation) or started or self._last(situation, table)

    def _promotion(self, situation: Situation, *, at_least: int = 0) -> Action | None:
        table = table_of(situation.trials, self.rungs, self.objective)
        order = np.array(_order(len(self.rungs), self.eta))
        brackets = order[table.numbers % len(order)]
        for bracket in range(len(self.rungs)):
            rules = Rules(rungs=self.rungs, eta=self.eta, objective=self.objective, at_least=at_least, first=bracket)
            found = promotion(situation, rules, brackets == bracket)
            if found is not None:
                return found
        return None

    def _last(self, situation: Situation, table: Table) -> Action:
        if table.is_running.any():
            return Wait()
        return self._promotion(situation, at_least=1) or Finish()


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
