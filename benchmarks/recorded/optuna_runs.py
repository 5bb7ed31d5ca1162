"""Optuna's own samplers and pruners on a recorded task, as a plain Optuna script uses them: one trial at a time.

Optuna draws from the ranges. Where rows of the table alone can be trained, the trial holds the hyperparameters of the
row that is taken for it from then on.
"""

import warnings
from collections.abc import Callable, Mapping

import numpy as np
import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from benchmarks.recorded.replay import Trainings, space_of
from benchmarks.recorded.tasks import Task
from benchmarks.recorded.traces import Trace
from search.distributions import distribution

ETA = 3

Pruners = Callable[[int], BasePruner]  # from the number of epochs


def optuna_random(task: Task, seed: int) -> Trace:
    """Random search, every configuration to the end."""
    return _run(task, RandomSampler(seed=seed), NopPruner())


def optuna_tpe(task: Task, seed: int) -> Trace:
    """TPE, every configuration to the end."""
    return _run(task, _tpe(seed), NopPruner())


def optuna_halving(task: Task, seed: int) -> Trace:
    """TPE and successive halving."""
    return _run(task, _tpe(seed), SuccessiveHalvingPruner(min_resource=task.first_rung, reduction_factor=ETA))


def optuna_halving_at_once(task: Task, seed: int) -> Trace:
    """TPE and successive halving from the first epoch on, as Optuna's examples have it."""
    return _run(task, _tpe(seed), SuccessiveHalvingPruner(min_resource=1, reduction_factor=ETA))


def optuna_hyperband(task: Task, seed: int) -> Trace:
    """TPE and Hyperband."""
    pruner = HyperbandPruner(min_resource=task.first_rung, max_resource=task.num_epochs, reduction_factor=ETA)
    return _run(task, _tpe(seed), pruner)


def optuna_hyperband_at_once(task: Task, seed: int) -> Trace:
    """TPE and Hyperband from the first epoch on."""
    return _run(task, _tpe(seed), HyperbandPruner(min_resource=1, max_resource=task.num_epochs, reduction_factor=ETA))


def optuna_median(task: Task, seed: int) -> Trace:
    """TPE and the median rule, with the start-up of Optuna's examples."""
    return _run(task, _tpe(seed), MedianPruner(n_startup_trials=5, n_warmup_steps=3))


STRATEGIES: Mapping[str, Callable[[Task, int], Trace]] = {
    "random search": optuna_random,
    "Optuna TPE": optuna_tpe,
    "Optuna TPE + SuccessiveHalvingPruner": optuna_halving,
    "Optuna TPE + HyperbandPruner": optuna_hyperband,
    "Optuna TPE + MedianPruner": optuna_median,
}
VARIANTS: Mapping[str, Callable[[Task, int], Trace]] = {
    "Optuna TPE + SuccessiveHalvingPruner from epoch 1": optuna_halving_at_once,
    "Optuna TPE + HyperbandPruner from epoch 1": optuna_hyperband_at_once,
}


def _tpe(seed: int) -> TPESampler:
    return TPESampler(seed=seed, multivariate=True)


def _run(task: Task, sampler: BaseSampler, pruner: BasePruner) -> Trace:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        storage = optuna.storages.InMemoryStorage()
        study = optuna.create_study(
            storage=storage, sampler=sampler, pruner=pruner, direction="maximize", study_name="recorded"
        )
        rows = Trainings(task, space_of(task, (float(task.num_epochs),)))
        ranges = {param.name: distribution(param) for param in rows.space.params}
        trace, now = Trace(), 0.0
        while now < task.budget and not rows.is_used_up:
            trial = study.ask(ranges)
            taken = rows.take(trial.params)
            number = storage.get_trial_id_from_study_id_trial_number(
                storage.get_study_id_from_name("recorded"), trial.number
            )
            for name, value in taken.items():
                storage.set_trial_param(number, name, ranges[name].to_internal_repr(value), ranges[name])
            now = _train(study, trial, rows, trace, now)
    trace.ends = rows.ends()
    return trace


def _train(study: optuna.Study, trial: optuna.Trial, rows: Trainings, trace: Trace, now: float) -> float:
    """Train what was taken last until it ends or is pruned; return the time then."""
    row = rows.taken[-1]
    score = -np.inf
    for epoch, (read, took) in enumerate(zip(*rows.curve(row), strict=True), start=1):
        now += float(took)
        score = float(read)
        trace.add(seconds=now, row=row, epoch=epoch, score=score)
        if not np.isfinite(score):
            study.tell(trial, state=TrialState.FAIL)
            return now
        trial.report(score, epoch)
        if trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return now
    study.tell(trial, score)
    return now
