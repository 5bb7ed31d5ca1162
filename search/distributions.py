"""A declared space in Optuna's terms. The one place that knows both."""

from collections.abc import Mapping
from typing import assert_never

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from spaces import Choice, Float, Integer, Param, SearchSpace, Value


def distribution(param: Param) -> BaseDistribution:
    """Return Optuna's form of a parameter's domain."""
    match param.domain:
        case Float(low=low, high=high, log=log, step=step):
            return FloatDistribution(low, high, log=log, step=step)
        case Integer(low=low, high=high, log=log, step=step):
            return IntDistribution(low, high, log=log, step=step)
        case Choice(options=options):
            return CategoricalDistribution(options)
        case _:
            assert_never(param.domain)


def distributions(space: SearchSpace, drawn: Mapping[str, Value]) -> dict[str, BaseDistribution]:
    """Return the distributions of the parameters that were drawn."""
    return {param.name: distribution(param) for param in space.params if param.name in drawn}
