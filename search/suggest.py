"""From a declared space to Optuna: distributions, and a draw out of them. The one place that knows both."""

from collections.abc import Mapping
from typing import assert_never

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import Study
from optuna.trial import FrozenTrial

from spaces import Choice, Float, Integer, Param, SearchSpace, Value


def suggest(study: Study, space: SearchSpace, *, given: Mapping[str, Value]) -> dict[str, Value]:
    """Draw a value for each active parameter, in the order that the space declares them.

    Parameters that hang on the same options are drawn together, once those are drawn. (A trial of Optuna's would draw
    for every option that there is, which takes most of its time.)

    Args:
        study: Whose sampler is asked, for a trial that is added to it.
        space: Declares the parameters.
        given: Values by parameter name that are taken as they are.
    """
    study.ask()
    trial = study.get_trials(deepcopy=False)[-1]
    drawn: dict[str, Value] = {}
    while level := [param for param in space.params if param.name not in drawn and param.is_active(drawn)]:
        drawn |= {param.name: given[param.name] for param in level if param.name in given}
        for when in dict.fromkeys(param.when for param in level):
            wanted = {p.name: distribution(p) for p in level if p.when == when and p.name not in given}
            drawn |= _together(study, trial, wanted)
    return {param.name: drawn[param.name] for param in space.params if param.name in drawn}


def _together(study: Study, trial: FrozenTrial, wanted: dict[str, BaseDistribution]) -> dict[str, Value]:
    """Draw parameters; each by itself where the sampler does not draw them together, as before it has seen trials."""
    found = study.sampler.sample_relative(study, trial, wanted) if wanted else {}
    return {
        name: found[name] if name in found else study.sampler.sample_independent(study, trial, name, wanted[name])
        for name in wanted
    }


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
