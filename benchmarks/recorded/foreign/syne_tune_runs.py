"""One scheduler of Syne Tune on tables of recorded curves, by a Python that has it; called as `tables` says."""

import datetime
import random

import numpy as np
from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import uniform
from syne_tune.optimizer.baselines import ASHA, BOHB
from syne_tune.optimizer.scheduler import SchedulerDecision
from syne_tune.optimizer.schedulers.asha import AsynchronousSuccessiveHalving
from syne_tune.optimizer.schedulers.searchers.last_value_multi_fidelity_searcher import LastValueMultiFidelitySearcher
from tables import run

ETA = 3
REFITS_AFTER = 10  # configurations; after each one, as is usual, a search of all tables would take an hour and more


def conformal(space, *, random_seed, **options):
    """Return the library's ASHACQR, whose model is made anew after some configurations."""
    searcher = LastValueMultiFidelitySearcher(
        space, random_seed=random_seed, searcher="cqr", update_frequency=REFITS_AFTER
    )
    return AsynchronousSuccessiveHalving(space, searcher=searcher, random_seed=random_seed, **options)


STRATEGIES = {"Syne Tune ASHA": ASHA, "Syne Tune BOHB": BOHB, "Syne Tune ASHA + CQR": conformal}


def search(make, table, seed):
    """Return the readings of one search: lists of seconds, rows, epochs and scores."""
    random.seed(seed)
    np.random.seed(seed)
    names = [f"x{axis}" for axis in range(table.num_axes)]
    scheduler = make(
        {name: uniform(0.0, 1.0) for name in names},
        metric="score",
        time_attr="epoch",
        max_t=table.num_epochs,
        do_minimize=False,
        random_seed=seed,
        grace_period=table.first_rung,
        reduction_factor=ETA,
    )
    trace, now = [], 0.0
    while now < table.budget and not table.is_used_up:
        suggestion = scheduler.suggest()
        row, told = table.take(np.array([suggestion.config[name] for name in names]))
        config = {name: float(value) for name, value in zip(names, told, strict=True)}
        trial = Trial(trial_id=len(table.taken) - 1, config=config, creation_time=datetime.datetime.now())
        scheduler.on_trial_add(trial)
        for epoch in range(1, table.num_epochs + 1):
            took, score = table.step(row, epoch)
            now += took
            trace.append((now, row, epoch, score))
            told = {"score": table.worst if score is None else score, "epoch": epoch}
            if scheduler.on_trial_result(trial, told) != SchedulerDecision.CONTINUE or score is None:
                break
    return trace


if __name__ == "__main__":
    run(STRATEGIES, search)
