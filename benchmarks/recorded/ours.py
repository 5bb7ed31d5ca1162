"""Our own strategies, by name."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from benchmarks.recorded.replay import OBJECTIVE, Trainings, params_of, replay, space_of
from benchmarks.recorded.tasks import FIRST_RUNG, Task
from benchmarks.recorded.traces import Trace
from benchmarks.recorded.views import AsOptunaHasIt, OfOptuna, OnForecasts, OnLastReadings, OnOneRung
from search.samplers import Gp, Mixed, Random, Sampler, Tpe
from search.samplers.mixed import ALONE
from search.samplers.prior import WithPriors
from search.schedulers import FreezeThaw, Hyperband, Promotion
from search.surrogate.encoding import Encoding
from search.surrogate.outlook import Surrogate
from spaces import Prior, SearchSpace

Search = Callable[[Task, int], Trace]  # of a task, with a seed
MakeSampler = Callable[[SearchSpace, int], Sampler]
ETA = 3
FINE_ETA = 2
GUESSES = 25  # rows, of which the best is what somebody who knows the task might hold for good


def rungs_of(num_epochs: int, eta: int = ETA) -> tuple[float, ...]:
    """Return whole epochs, from the last one down by a factor each, to the first rung of all strategies."""
    rungs = [num_epochs]
    while round(num_epochs / eta ** len(rungs)) >= FIRST_RUNG:
        rungs.insert(0, round(num_epochs / eta ** len(rungs)))
    return tuple(map(float, rungs))


def fine_rungs_of(num_epochs: int) -> tuple[float, ...]:
    """Return rungs by halves, and one at three quarters: the last stretch is for what still leads then."""
    return tuple(sorted({*rungs_of(num_epochs, FINE_ETA), float(round(0.75 * num_epochs) or 1)}))


def _by_ranks(make: MakeSampler, scheduler: type[Promotion] | type[Hyperband] = Promotion) -> Search:
    """Return a strategy that promotes by ranks, with a sampler."""

    def search(task: Task, seed: int) -> Trace:
        space = space_of(task, rungs_of(task.num_epochs))
        by_ranks = scheduler(rungs=space.budget.rungs, eta=ETA, objective=OBJECTIVE)
        return replay(task, space, by_ranks, make(space, seed), Trainings(task, space))

    return search


def _freeze_thaw(
    rungs: Callable[[int], tuple[float, ...]], *, alone: int | None = None, is_among_rows: bool = False
) -> Search:
    """Return freeze and thaw with Gaussian processes.

    Args:
        rungs: From the number of epochs.
        alone: Trials that the model draws before TPE draws every other one; None where it never does.
        is_among_rows: Whether the model weighs the free rows of the table, where these alone can be trained: else the
            place that it thinks best is never tried, so that it is asked for again and again, which no search of real
            trainings suffers from.
    """

    def search(task: Task, seed: int) -> Trace:
        space = space_of(task, rungs(task.num_epochs))
        surrogate, rows = Surrogate(Encoding(space)), Trainings(task, space)
        propose = rows.propose if is_among_rows and not task.is_continuous else None
        sampler: Sampler = Gp(surrogate=surrogate, seed=seed, propose=propose)
        if alone is not None:
            sampler = Mixed((Tpe(space=space, seed=seed), sampler), alone=alone)
        scheduler = FreezeThaw(rungs=space.budget.rungs, surrogate=surrogate, sampler=sampler)
        return replay(task, space, scheduler, sampler, rows)

    return search


def _freeze_thaw_with(make: MakeSampler) -> Search:
    """Return freeze and thaw with another sampler."""

    def search(task: Task, seed: int) -> Trace:
        space = space_of(task, fine_rungs_of(task.num_epochs))
        sampler = make(space, seed)
        scheduler = FreezeThaw(rungs=space.budget.rungs, surrogate=Surrogate(Encoding(space)), sampler=sampler)
        return replay(task, space, scheduler, sampler, Trainings(task, space))

    return search


def _with_priors(*, good: bool) -> Search:
    """Return the default with a prior on each hyperparameter: the best of some rows at the end, or the worst."""

    def search(task: Task, seed: int) -> Trace:
        rows = np.random.default_rng(seed).permutation(len(task.values))[:GUESSES]
        row = int(rows[task.finals[rows].argmax() if good else task.finals[rows].argmin()])
        space, held = space_of(task, fine_rungs_of(task.num_epochs)), params_of(task, row)
        space = replace(space, params=tuple(replace(p, prior=Prior(value=held[p.name])) for p in space.params))
        surrogate = Surrogate(Encoding(space))
        mixed = Mixed((Tpe(space=space, seed=seed), Gp(surrogate=surrogate, seed=seed)), alone=ALONE)
        sampler = WithPriors(sampler=mixed, space=space, seed=seed)
        scheduler = FreezeThaw(rungs=space.budget.rungs, surrogate=surrogate, sampler=sampler)
        return replay(task, space, scheduler, sampler, Trainings(task, space))

    return search


def _tpe(kind: type[Tpe] = Tpe) -> MakeSampler:
    return lambda space, seed: kind(space=space, seed=seed)


def _on_forecasts(space: SearchSpace, seed: int) -> Sampler:
    return OnForecasts(space=space, seed=seed, surrogate=Surrogate(Encoding(space)))


def _random(space: SearchSpace, seed: int) -> Sampler:
    return Random(space=space, seed=seed)


DEFAULT = "freeze-thaw + TPE and GP"
STRATEGIES: Mapping[str, Search] = {
    DEFAULT: _freeze_thaw(fine_rungs_of, alone=ALONE),
    "promotion + TPE": _by_ranks(_tpe()),
}
VARIANTS: Mapping[str, Search] = {  # other pairs and rungs, and what else a sampler might see
    "freeze-thaw + TPE and GP on few rungs": _freeze_thaw(rungs_of, alone=ALONE),
    "freeze-thaw + TPE and GP from the first": _freeze_thaw(fine_rungs_of, alone=0),
    "freeze-thaw + TPE and GP with good priors": _with_priors(good=True),
    "freeze-thaw + TPE and GP with bad priors": _with_priors(good=False),
    "freeze-thaw + GP": _freeze_thaw(fine_rungs_of),
    "freeze-thaw + GP among rows": _freeze_thaw(fine_rungs_of, is_among_rows=True),
    "freeze-thaw + TPE": _freeze_thaw_with(_tpe()),
    "freeze-thaw + random": _freeze_thaw_with(_random),
    "promotion + random": _by_ranks(_random),
    "hyperband + TPE": _by_ranks(_tpe(), Hyperband),
    "promotion + TPE on last readings": _by_ranks(_tpe(OnLastReadings)),
    "promotion + TPE on one rung": _by_ranks(_tpe(OnOneRung)),
    "promotion + TPE on forecasts": _by_ranks(_on_forecasts),
    "promotion + TPE as Optuna has it": _by_ranks(_tpe(AsOptunaHasIt)),
    "promotion + TPE of Optuna": _by_ranks(_tpe(OfOptuna)),
}
