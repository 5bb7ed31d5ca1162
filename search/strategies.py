"""Samplers and schedulers by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from search.errors import StudyError
from search.samplers import CmaEs, Evolution, Gp, Mixed, Once, Qmc, Random, Sampler, Tpe, WithinLimits, WithPriors
from search.schedulers import (
    FreezeThaw,
    Hyperband,
    Promotion,
    Scheduler,
    Stopping,
    above_the_median,
    always,
    among_the_best,
)
from search.schedulers.promotion import estimate
from search.surrogate.encoding import Encoding
from search.surrogate.outlook import Surrogate
from search.trials import Trial
from spaces import SearchSpace
from trainer.errors import did_you_mean


@dataclass(frozen=True, slots=True)
class Ground:
    """What samplers and schedulers are made of."""

    space: SearchSpace
    seed: int
    surrogate: Surrogate  # shared, so that the model is made once for the same trials

    @property
    def rungs(self) -> tuple[float, ...]:
        """Return where trials are compared: epochs, rising."""
        return self.space.budget.rungs

    @property
    def eta(self) -> int:
        """Return of how many one goes on."""
        return self.space.budget.eta

    @property
    def objective(self) -> str:
        """Return the metric that is compared."""
        return self.space.objective.metric


SAMPLERS: Mapping[str, Callable[[Ground], Sampler]] = {
    "cmaes": lambda ground: CmaEs(space=ground.space, seed=ground.seed),
    "evolution": lambda ground: Evolution(space=ground.space, seed=ground.seed),
    "gp": lambda ground: Gp(surrogate=ground.surrogate, seed=ground.seed),
    "mixed": lambda ground: Mixed((SAMPLERS["tpe"](ground), SAMPLERS["gp"](ground))),
    "qmc": lambda ground: Qmc(space=ground.space, seed=ground.seed),
    "random": lambda ground: Random(space=ground.space, seed=ground.seed),
    "tpe": lambda ground: Tpe(space=ground.space, seed=ground.seed),
}
SCHEDULERS: Mapping[str, Callable[[Ground, Sampler], Scheduler]] = {
    "asha": lambda ground, _: Stopping(
        rungs=ground.rungs, objective=ground.objective, stays=among_the_best(ground.eta)
    ),
    "freeze-thaw": lambda ground, sampler: FreezeThaw(rungs=ground.rungs, surrogate=ground.surrogate, sampler=sampler),
    "hyperband": lambda ground, _: Hyperband(rungs=ground.rungs, eta=ground.eta, objective=ground.objective),
    "median": lambda ground, _: Stopping(rungs=ground.rungs, objective=ground.objective, stays=above_the_median),
    "none": lambda ground, _: Stopping(rungs=ground.rungs[-1:], objective=ground.objective, stays=always),
    "promotion": lambda ground, _: Promotion(rungs=ground.rungs, eta=ground.eta, objective=ground.objective),
}


@dataclass(frozen=True, slots=True)
class Strategy:
    """How a search chooses."""

    sampler: Sampler
    scheduler: Scheduler
    expected: Callable[[Sequence[Trial]], Mapping[int, float]]  # at the last rung, by number


def make_strategy(space: SearchSpace, *, seed: int, sampler: str, scheduler: str) -> Strategy:
    """Return a strategy by the names of its parts.

    Raises:
        StudyError: If there is no such sampler or scheduler.
    """
    check_names(sampler=sampler, scheduler=scheduler)
    ground = Ground(space, seed, Surrogate(Encoding(space)))
    with_priors = WithPriors(sampler=SAMPLERS[sampler](ground), space=space, seed=seed)
    within_limits = WithinLimits(sampler=with_priors, space=space, seed=seed)
    drawing = Once(sampler=within_limits, space=space, seed=seed)
    return Strategy(
        sampler=drawing,
        scheduler=SCHEDULERS[scheduler](ground, drawing),
        expected=partial(_by_model if scheduler == "freeze-thaw" else _by_ranks, ground),
    )


def _by_model(ground: Ground, trials: Sequence[Trial]) -> Mapping[int, float]:
    outlook = ground.surrogate.outlook(trials)
    return outlook.expected() if outlook else {}


def _by_ranks(ground: Ground, trials: Sequence[Trial]) -> Mapping[int, float]:
    return estimate(trials, ground.rungs, ground.objective)


def check_names(*, sampler: str, scheduler: str) -> None:
    """Check that there are such a sampler and such a scheduler.

    Raises:
        StudyError: If there are not.
    """
    for kind, name, known in (("sampler", sampler, SAMPLERS), ("scheduler", scheduler, SCHEDULERS)):
        if name not in known:
            raise StudyError(f"There is no {kind} {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}.")
