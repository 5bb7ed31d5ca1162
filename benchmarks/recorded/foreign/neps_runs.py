"""One algorithm of NePS on tables of recorded curves. `benchmarks.recorded` runs it by a Python that has NePS.

python neps_runs.py TABLES.npz STRATEGY SEED OUT.json

TABLES and OUT are those of syne_tune_runs.py. One training at a time; what is drawn is taken to the nearest row that is
free, and the algorithm is told of that row. A configuration that goes on pays for its further epochs alone.
"""

import json
import logging
import random
import sys
import warnings
from pathlib import Path

import neps
import numpy as np
import torch
from neps import algorithms

STRATEGIES = {"NePS ASHA": algorithms.asha, "NePS PriorBand": algorithms.priorband}
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
            known = np.array(sorted(free))
            rows[name] = int(known[np.square(units[known] - drawn).sum(axis=1).argmin()])
            free.discard(rows[name])
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


def main():
    """Run one strategy on every task."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    tables, strategy, seed, out = sys.argv[1:]
    found = {}
    with np.load(tables, allow_pickle=False) as arrays:
        for name in sorted({key.rpartition("/")[0] for key in arrays.files}):
            parts = [arrays[f"{name}/{part}"] for part in ("units", "scores", "seconds", "budget")]
            found[name] = search(STRATEGIES[strategy], *parts, int(seed))
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
