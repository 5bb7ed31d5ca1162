"""Samplers and schedulers by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from search.errors import StudyError
from search.samplers import Gp, Random, Sampler, Tpe
from search.schedulers import FreezeThaw, Promotion, Scheduler
from search.surrogate.encoding import Encoding
from search.surrogate.outlook import Surrogate
from spaces import SearchSpace
from trainer.errors import did_you_mean


@dataclass(frozen=True, slots=True)
class Ground:
    """What samplers and schedulers are made of."""

    space: SearchSpace
    seed: int
    surrogate: Surrogate  # shared, so that the model is made once for the same trials


SAMPLERS: Mapping[str, Callable[[Ground], Sampler]] = {
    "gp": lambda ground: Gp(surrogate=ground.surrogate, seed=ground.seed),
    "random": lambda ground: Random(space=ground.space, seed=ground.seed),
    "tpe": lambda ground: Tpe(space=ground.space, seed=ground.seed),
}
SCHEDULERS: Mapping[str, Callable[[Ground, Sampler], Scheduler]] = {
    "freeze-thaw": lambda ground, sampler: FreezeThaw(
        rungs=ground.space.budget.rungs, surrogate=ground.surrogate, sampler=sampler
    ),
    "promotion": lambda ground, _: Promotion(
        rungs=ground.space.budget.rungs, eta=ground.space.budget.eta, objective=ground.space.objective.metric
    ),
}


@dataclass(frozen=True, slots=True)
class Strategy:
    """How a search chooses."""

    sampler: Sampler
    scheduler: Scheduler


def make_strategy(space: SearchSpace, *, seed: int, sampler: str, scheduler: str) -> Strategy:
    """Return a strategy by the names of its parts.

    Raises:
        StudyError: If there is no such sampler or scheduler.
    """
    check_names(sampler=sampler, scheduler=scheduler)
    ground = Ground(space, seed, Surrogate(Encoding(space)))
    drawing = SAMPLERS[sampler](ground)
    return Strategy(drawing, SCHEDULERS[scheduler](ground, drawing))


def check_names(*, sampler: str, scheduler: str) -> None:
    """Check that there are such a sampler and such a scheduler.

    Raises:
        StudyError: If there are not.
    """
    for kind, name, known in (("sampler", sampler, SAMPLERS), ("scheduler", scheduler, SCHEDULERS)):
        if name not in known:
            raise StudyError(f"There is no {kind} {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}.")
