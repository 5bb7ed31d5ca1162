"""One algorithm of NePS on tables of recorded curves, by a Python that has it; called as `tables` says.

A configuration that goes on pays for its further epochs alone.
"""

import random

import neps
import numpy as np
import torch
from neps import algorithms
from tables import run, take_nearest

STRATEGIES = {
    "NePS ASHA": algorithms.asha,
    "NePS Hyperband": algorithms.hyperband,
    "NePS PriorBand": algorithms.priorband,
}
ETA = 3


def search(make, units, scores, seconds, budget, seed):
    """Return the readings of one search: seconds, row, epoch and score of each, in order."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    num_rows, num_axes = units.shape
    axes = {f"x{axis}": neps.HPOFloat(lower=0.0, upper=1.0) for axis in range(num_axes)}
    epochs = neps.HPOInteger(lower=1, upper=scores.shape[1], is_fidelity=True)
    asked = neps.AskAndTell(make(neps.SearchSpace({**axes, "epoch": epochs}), eta=ETA))
    worst = float(np.nanmin(scores))
    free, rows, trained, trace, now = set(range(num_rows)), {}, {}, [], 0.0
    while now < budget and free:
        trial = asked.ask()
        name = trial.id.partition("_rung_")[0]
        if name not in rows:
            drawn = np.array([trial.config[f"x{axis}"] for axis in range(num_axes)])
            rows[name] = take_nearest(units, drawn, free)
        row = rows[name]
        trial.config.update({f"x{axis}": float(units[row, axis]) for axis in range(num_axes)})
        reading = worst
        for epoch in range(trained.get(name, 0) + 1, int(trial.config["epoch"]) + 1):
            now += float(seconds[row, epoch - 1])
            score = float(scores[row, epoch - 1])
            trace.append((now, row, epoch, score if np.isfinite(score) else None))
            trained[name] = epoch
            reading = score if np.isfinite(score) else worst
            if not np.isfinite(score):
                break
        asked.tell(trial, -reading)
    return trace


if __name__ == "__main__":
    run(STRATEGIES, search)
