"""What the scripts of all tools share: the tables that they search and the file that they leave. Needs NumPy alone.

python TOOL_runs.py TABLES.npz STRATEGY SEED OUT.json

TABLES holds for each task NAME: `NAME/units` (N, D) in [0, 1], `NAME/scores` (N, E), `NAME/seconds` (N, E) and
`NAME/budget`. OUT holds the readings of each task in order: seconds, row, epoch, score (null where training diverged).
One trial trains at a time; what is drawn is taken to the nearest free row, and the tool is told of that row.
"""

import json
import logging
import sys
import warnings
from pathlib import Path

import numpy as np


def take_nearest(units, drawn, free):
    """Return the free row of (N, D) units that is nearest to what was drawn (D,); it is free no longer."""
    rows = np.array(sorted(free))
    row = int(rows[np.square(units[rows] - drawn).sum(axis=1).argmin()])
    free.discard(row)
    return row


def run(strategies, search):
    """Run the strategy that the command line names on every task.

    Args:
        strategies: What `search` is given, by name.
        search: Takes a strategy, units, scores, seconds, budget and a seed; returns the readings.
    """
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    tables, strategy, seed, out = sys.argv[1:]
    found = {}
    with np.load(tables, allow_pickle=False) as arrays:
        for name in sorted({key.rpartition("/")[0] for key in arrays.files}):
            parts = [arrays[f"{name}/{part}"] for part in ("units", "scores", "seconds", "budget")]
            found[name] = search(strategies[strategy], *parts, int(seed))
    Path(out).write_text(json.dumps(found))
