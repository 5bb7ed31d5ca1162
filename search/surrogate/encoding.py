"""Configurations as arrays: places of their parameters, and points of the unit cube between which distances are taken.

Places: one for each parameter, in [0, 1]; what is not active has one, too, which says nothing.
Points: a range has an axis of its own. A choice has one for each option, at 0 or at 1/sqrt(2): any two options are at a
distance of 1. What is not active stands in the middle of its axis (a range) or at 0 (a choice), so that two
configurations are not told apart by what neither of them has.
Letters: N configurations, P parameters, D axes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.surrogate.gp import Array
from spaces import Choice, Param, SearchSpace, Value
from spaces.places import place_of, value_at

MIDDLE = 0.5
CHOSEN = 0.5**0.5


@dataclass(frozen=True, slots=True)
class Encoding:
    """The arrays of a space."""

    space: SearchSpace

    @property
    def num_axes(self) -> int:
        """Return D."""
        return sum(len(p.domain.options) if isinstance(p.domain, Choice) else 1 for p in self.space.params)

    def places(self, drawn: Sequence[Mapping[str, Value]]) -> Array:
        """Return the places (N, P) of configurations, given by parameter name."""
        rows = [[_place(param, params.get(param.name)) for param in self.space.params] for params in drawn]
        return np.array(rows, dtype=np.float64).reshape(len(drawn), len(self.space.params))

    def points(self, places: Array) -> Array:
        """Return the points (N, D) of configurations at places (N, P)."""
        taken: dict[str, NDArray[np.int64]] = {}
        columns: list[Array] = []
        for param, column in zip(self.space.params, places.T, strict=True):
            is_active = np.ones(len(places), dtype=bool)
            for name, option in param.when:
                is_active &= taken[name] == self._option(name, option)
            if isinstance(param.domain, Choice):
                num = len(param.domain.options)
                taken[param.name] = np.where(is_active, np.minimum((column * num).astype(np.int64), num - 1), -1)
                columns += [np.where(taken[param.name] == number, CHOSEN, 0.0) for number in range(num)]
            else:
                columns.append(np.where(is_active, column, MIDDLE))
        return np.stack(columns, axis=1) if columns else np.zeros((len(places), 0))

    def params(self, places: Array, given: Mapping[str, Value] | None = None) -> dict[str, Value]:
        """Return the configuration at places (P,), by parameter name; what is not active is left out.

        Values that are given, by name, are taken instead of those at their places.
        """
        known = given or {}
        drawn: dict[str, Value] = {}
        for param, place in zip(self.space.params, places.tolist(), strict=True):
            if param.is_active(drawn):
                drawn[param.name] = known[param.name] if param.name in known else value_at(param.domain, place)
        return drawn

    def _option(self, name: str, option: Value) -> int:
        domain = next(param.domain for param in self.space.params if param.name == name)
        assert isinstance(domain, Choice), f"{name} is no choice"
        return domain.options.index(option)


def _place(param: Param, value: Value | None) -> float:
    return MIDDLE if value is None else place_of(param.domain, value)
