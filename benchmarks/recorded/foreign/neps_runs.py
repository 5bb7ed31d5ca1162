"""One algorithm of NePS on tables of recorded curves, by a Python that has it; called as `tables` says.

A configuration that goes on pays for its further epochs alone. NePS counts rungs down from the last epoch, by a third,
to the first rung at the least. Its PriorBand is given no priors: what remains is Hyperband with steps from the best.
"""

import random

import neps
import numpy as np
import torch
from neps import algorithms
from tables import run

STRATEGIES = {
    "NePS ASHA": algorithms.asha,
    "NePS Hyperband": algorithms.hyperband,
    "NePS PriorBand": algorithms.priorband,
}
ETA = 3


def search(make, table, seed):
    """Return the readings of one search: seconds, row, epoch and score of each, in order."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    names = [f"x{axis}" for axis in range(table.num_axes)]
    axes = {name: neps.HPOFloat(lower=0.0, upper=1.0) for name in names}
    epochs = neps.HPOInteger(lower=table.first_rung, upper=table.num_epochs, is_fidelity=True)
    asked = neps.AskAndTell(make(neps.SearchSpace({**axes, "epoch": epochs}), eta=ETA))
    rows, trained, trace, now = {}, {}, [], 0.0
    while now < table.budget:
        trial = asked.ask()
        name = trial.id.partition("_rung_")[0]
        if name not in rows:
            if table.is_used_up:
                break
            rows[name], told = table.take(np.array([trial.config[axis] for axis in names]))
            trained[name] = 0, told
        done, told = trained[name]
        trial.config.update({axis: float(value) for axis, value in zip(names, told, strict=True)})
        reading = table.worst
        for epoch in range(done + 1, int(trial.config["epoch"]) + 1):
            took, score = table.step(rows[name], epoch)
            now += took
            trace.append((now, rows[name], epoch, score))
            trained[name] = epoch, told
            reading = table.worst if score is None else score
            if score is None:
                break
        asked.tell(trial, -reading)
    return trace


if __name__ == "__main__":
    run(STRATEGIES, search)
