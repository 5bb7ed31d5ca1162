"""Optuna's own samplers and pruners on a recorded task, as a plain Optuna script uses them: one trial at a time.

Optuna draws from the ranges, the nearest row of the table is trained unless what lies between rows may be, and the
trial holds that row's own hyperparameters from then on.
"""

import warnings
from collections.abc import Callable, Mapping

import numpy as np
import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from benchmarks.recorded.replay import Rows, nearest, params_of, space_of
from benchmarks.recorded.tasks import Task
from benchmarks.recorded.traces import Trace
from search.suggest import distribution

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
    return _run(task, _tpe(seed), SuccessiveHalvingPruner(min_resource=1, reduction_factor=ETA))


def optuna_hyperband(task: Task, seed: int) -> Trace:
    """TPE and Hyperband."""
    return _run(task, _tpe(seed), HyperbandPruner(min_resource=1, max_resource=task.num_epochs, reduction_factor=ETA))


def optuna_median(task: Task, seed: int) -> Trace:
    """TPE and the median rule, with the start-up of Optuna's examples."""
    return _run(task, _tpe(seed), MedianPruner(n_startup_trials=5, n_warmup_steps=3))


def optuna_median_among_rows(task: Task, seed: int) -> Trace:
    """TPE that weighs rows of the table, and the median rule."""
    sampler = AmongRows(seed=seed, multivariate=True)
    sampler.task = task
    return _run(task, sampler, MedianPruner(n_startup_trials=5, n_warmup_steps=3))


STRATEGIES: Mapping[str, Callable[[Task, int], Trace]] = {
    "random search": optuna_random,
    "Optuna TPE": optuna_tpe,
    "Optuna TPE + SuccessiveHalvingPruner": optuna_halving,
    "Optuna TPE + HyperbandPruner": optuna_hyperband,
    "Optuna TPE + MedianPruner": optuna_median,
}
VARIANTS: Mapping[str, Callable[[Task, int], Trace]] = {
    "Optuna TPE among rows + MedianPruner": optuna_median_among_rows,
}


def _tpe(seed: int) -> TPESampler:
    return TPESampler(seed=seed, multivariate=True)


class AmongRows(TPESampler):
    """TPE whose candidates are moved to the nearest rows before it weighs them, as those of our model are."""

    task: Task

    def _compute_acquisition_func(self, samples, below, above):  # type: ignore[no-untyped-def]
        for place in range(len(next(iter(samples.values())))):
            drawn = {name: samples[name][place] for name in self.task.names}
            for name, value in params_of(self.task, nearest(self.task, drawn, ())).items():
                samples[name][place] = value
        return super()._compute_acquisition_func(samples, below, above)


def _run(task: Task, sampler: BaseSampler, pruner: BasePruner) -> Trace:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        storage = optuna.storages.InMemoryStorage()
        study = optuna.create_study(
            storage=storage, sampler=sampler, pruner=pruner, direction="maximize", study_name="recorded"
        )
        rows = Rows(task, space_of(task, (float(task.num_epochs),)))
        ranges = {param.name: distribution(param) for param in rows.space.params}
        trace, now = Trace(), 0.0
        while now < task.budget and len(rows.taken) < len(task.values):
            trial = study.ask(ranges)
            taken = rows.take(trial.params)
            number = storage.get_trial_id_from_study_id_trial_number(
                storage.get_study_id_from_name("recorded"), trial.number
            )
            for name, value in taken.items():
                storage.set_trial_param(number, name, ranges[name].to_internal_repr(value), ranges[name])
            now = _train(study, trial, rows, trace, now)
    return trace


def _train(study: optuna.Study, trial: optuna.Trial, rows: Rows, trace: Trace, now: float) -> float:
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
