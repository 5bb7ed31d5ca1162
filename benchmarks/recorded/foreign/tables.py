"""What the scripts of all tools share: the tables that they search and the file that they leave. Needs NumPy alone.

python TOOL_runs.py TABLES.npz STRATEGY SEED OUT.json

TABLES holds for each task NAME: `NAME/units` (N, D) in [0, 1], `NAME/scores` (N, E), `NAME/seconds` (N, E),
`NAME/budget`, `NAME/first_rung` and `NAME/is_continuous`. OUT holds for each task its `readings` in order: seconds,
row, epoch, score (null where training diverged), and the last scores of all places between rows as `ends`. One trial
trains at a time.
"""

import json
import logging
import sys
import traceback
import warnings
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))  # which needs no more than this file does
from blend import blend, tamed

PARTS = ("units", "scores", "seconds", "budget", "first_rung", "is_continuous")


class Table:
    """One task, and what was trained of it: as `Trainings` of `benchmarks.recorded.replay`."""

    def __init__(self, units, scores, seconds, budget, first_rung, is_continuous):
        self.units, self.scores, self.seconds = units, scores, seconds
        self.budget, self.first_rung, self.is_continuous = float(budget), int(first_rung), bool(is_continuous)
        self.num_axes, self.num_epochs = units.shape[1], scores.shape[1]
        self.worst = float(np.nanmin(scores)) if np.isfinite(scores).any() else 0.0  # told of what diverges
        self.tamed = tamed(scores)
        self.taken, self.between = [], []

    @property
    def is_used_up(self):
        """Say whether nothing new can be trained."""
        return not self.is_continuous and len(self.taken) == len(self.units)

    def take(self, drawn):
        """Take what is trained for drawn units (D,); return its number, and the units that it counts for."""
        if self.is_continuous:
            self.taken.append(len(self.units) + len(self.between))
            self.between.append(blend(self.units, self.tamed, self.seconds, drawn))
            return self.taken[-1], drawn
        apart = np.square(self.units - drawn).sum(axis=1)
        apart[self.taken] = np.inf
        self.taken.append(int(apart.argmin()))
        return self.taken[-1], self.units[self.taken[-1]]

    def step(self, taken, epoch):
        """Return the seconds of an epoch, and the score after it: None where training diverged."""
        num = len(self.units)
        scores, seconds = (self.scores[taken], self.seconds[taken]) if taken < num else self.between[taken - num]
        score = float(scores[epoch - 1])
        return float(seconds[epoch - 1]), score if np.isfinite(score) else None


def run(strategies, search):
    """Run the strategy that the command line names on every task; what fails is told and left out.

    Args:
        strategies: What `search` is given, by name.
        search: Takes a strategy, a table and a seed; returns the readings.
    """
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    tables, strategy, seed, out = sys.argv[1:]
    found = {}
    with np.load(tables, allow_pickle=False) as arrays:
        for name in sorted({key.rpartition("/")[0] for key in arrays.files}):
            try:
                table = Table(*(arrays[f"{name}/{part}"] for part in PARTS))
                readings = search(strategies[strategy], table, int(seed))
                found[name] = {"readings": readings, "ends": [float(scores[-1]) for scores, _ in table.between]}
            except Exception:  # noqa: BLE001  -- whatever a tool raises on an odd table
                traceback.print_exc()
                sys.stderr.write(f"{strategy} failed on {name}.\n")
    if not found:
        raise SystemExit(1)
    Path(out).write_text(json.dumps(found))
