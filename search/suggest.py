"""From a declared space to Optuna: distributions, and a draw out of them. The one place that knows both."""

from collections.abc import Mapping
from typing import assert_never

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import BaseTrial

from spaces import Choice, Float, Integer, Param, SearchSpace, Value


def suggest(trial: BaseTrial, space: SearchSpace, *, given: Mapping[str, Value]) -> dict[str, Value]:
    """Draw a value for each active parameter, in the order that the space declares them.

    Args:
        trial: Asked for what is not given.
        space: Declares the parameters.
        given: Values by parameter name that are taken as they are.
    """
    drawn: dict[str, Value] = {}
    for param in space.params:
        if param.is_active(drawn):
            drawn[param.name] = given[param.name] if param.name in given else _draw(trial, param)
    return drawn


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


def _given(value: str | int | float | bool | None) -> Value:
    assert value is not None, "no option of a space is empty"
    return value


def _draw(trial: BaseTrial, param: Param) -> Value:
    match param.domain:
        case Float(low=low, high=high, log=log, step=step):
            return trial.suggest_float(param.name, low, high, log=log, step=step)
        case Integer(low=low, high=high, log=log, step=step):
            return trial.suggest_int(param.name, low, high, log=log, step=step)
        case Choice(options=options):
            return _given(trial.suggest_categorical(param.name, options))
        case _:
            assert_never(param.domain)
