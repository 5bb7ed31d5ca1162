"""One scheduler of Syne Tune on tables of recorded curves, by a Python that has it; called as `tables` says."""

import datetime
import random

import numpy as np
from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import uniform
from syne_tune.optimizer.baselines import ASHA, ASHACQR, BOHB
from syne_tune.optimizer.scheduler import SchedulerDecision
from tables import run, take_nearest

STRATEGIES = {"Syne Tune ASHA": ASHA, "Syne Tune BOHB": BOHB, "Syne Tune ASHA + CQR": ASHACQR}
ETA = 3


def search(make, units, scores, seconds, budget, seed):
    """Return the readings of one search: lists of seconds, rows, epochs and scores."""
    random.seed(seed)
    np.random.seed(seed)
    num_rows, num_axes = units.shape
    space = {f"x{axis}": uniform(0.0, 1.0) for axis in range(num_axes)}
    scheduler = make(
        space,
        metric="score",
        time_attr="epoch",
        max_t=scores.shape[1],
        do_minimize=False,
        random_seed=seed,
        grace_period=1,
        reduction_factor=ETA,
    )
    worst = float(np.nanmin(scores))
    free, trace, now = set(range(num_rows)), [], 0.0
    while now < budget and free:
        suggestion = scheduler.suggest()
        drawn = np.array([suggestion.config[f"x{axis}"] for axis in range(num_axes)])
        row = take_nearest(units, drawn, free)
        config = {f"x{axis}": float(units[row, axis]) for axis in range(num_axes)}
        trial = Trial(trial_id=num_rows - len(free) - 1, config=config, creation_time=datetime.datetime.now())
        scheduler.on_trial_add(trial)
        for epoch in range(1, scores.shape[1] + 1):
            now += float(seconds[row, epoch - 1])
            score = float(scores[row, epoch - 1])
            trace.append((now, row, epoch, score if np.isfinite(score) else None))
            told = {"score": score if np.isfinite(score) else worst, "epoch": epoch}
            if scheduler.on_trial_result(trial, told) != SchedulerDecision.CONTINUE or not np.isfinite(score):
                break
    return trace


if __name__ == "__main__":
    run(STRATEGIES, search)
