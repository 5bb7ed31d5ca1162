"""Our own strategies, by name."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

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
from spaces import Prior, SearchSpace, Value

Search = Callable[[Task, int], Trace]  # of a task, with a seed
MakeSampler = Callable[[SearchSpace, int], Sampler]
Guess = Callable[[Task, int], Mapping[str, Value]]  # of a task, with a seed
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
    rungs: Callable[[int], tuple[float, ...]],
    *,
    alone: int | None = None,
    is_among_rows: bool = False,
    guess: Guess | None = None,
) -> Search:
    """Return freeze and thaw with Gaussian processes.

    Args:
        rungs: From the number of epochs.
        alone: Trials that the model draws before TPE draws every other one; None where it never does.
        is_among_rows: Whether the model weighs the free rows of the table, where these alone can be trained: else the
            place that it thinks best is never tried, so that it is asked for again and again, which no search of real
            trainings suffers from.
        guess: Gives each hyperparameter a prior.
    """

    def search(task: Task, seed: int) -> Trace:
        space = space_of(task, rungs(task.num_epochs))
        if guess is not None:
            held = guess(task, seed)
            space = replace(space, params=tuple(replace(p, prior=Prior(value=held[p.name])) for p in space.params))
        surrogate, rows = Surrogate(Encoding(space)), Trainings(task, space)
        propose = rows.propose if is_among_rows and not task.is_continuous else None
        sampler: Sampler = Gp(surrogate=surrogate, seed=seed, propose=propose)
        if alone is not None:
            sampler = Mixed((Tpe(space=space, seed=seed), sampler), alone=alone)
        if guess is not None:
            sampler = WithPriors(sampler=sampler, space=space, seed=seed)
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


def _guess(task: Task, seed: int, *, is_good: bool) -> Mapping[str, Value]:
    """Return what somebody might hold for good: of some rows that which ends best, or that which ends worst."""
    rows = np.random.default_rng(seed).permutation(len(task.values))[:GUESSES]
    ends = task.finals[rows]
    return params_of(task, int(rows[ends.argmax() if is_good else ends.argmin()]))


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
    "freeze-thaw + TPE and GP with good priors": _freeze_thaw(
        fine_rungs_of, alone=ALONE, guess=partial(_guess, is_good=True)
    ),
    "freeze-thaw + TPE and GP with bad priors": _freeze_thaw(
        fine_rungs_of, alone=ALONE, guess=partial(_guess, is_good=False)
    ),
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
