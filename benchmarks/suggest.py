"""Draws from a declared space with Optuna, as a script of its users does."""

from optuna import Trial
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.distributions import distribution
from spaces import SearchSpace, Value


def suggest(trial: Trial, space: SearchSpace) -> dict[str, Value]:
    """Ask Optuna as its users do, for one parameter after the other."""
    drawn: dict[str, Value] = {}
    for param in space.params:
        if param.is_active(drawn):
            drawn[param.name] = _suggested(trial, param.name, distribution(param))
    return drawn


def _suggested(trial: Trial, name: str, asked: BaseDistribution) -> Value:
    match asked:
        case FloatDistribution():
            return trial.suggest_float(name, asked.low, asked.high, log=asked.log, step=asked.step)
        case IntDistribution():
            return trial.suggest_int(name, asked.low, asked.high, log=asked.log, step=asked.step)
        case CategoricalDistribution():
            option = trial.suggest_categorical(name, asked.choices)
            assert option is not None, "no option of a space is empty"
            return option
        case _:
            raise AssertionError(asked)
