"""What lies between the rows of a table: blends of the nearest ones. Needs NumPy alone, as other tools use it, too."""

import numpy as np
from numpy.typing import NDArray

NUM_NEAREST = 10  # rows that count
WIDTH_BY = 5  # of these: at the distance of that one a row counts exp(-1)
LEAST_WIDTH = 1e-12
FLOOR = 0.05  # quantile of the scores after one epoch, below which all are equally bad

Floats = NDArray[np.float64]


def blend(units: Floats, scores: Floats, seconds: Floats, place: Floats) -> tuple[Floats, Floats]:
    """Return the scores and seconds (E,) of a configuration at a place (D,): means, in which near rows count more.

    Args:
        units: Places (N, D) of the rows.
        scores: As `tamed` gives them (N, E).
        seconds: (N, E).
        place: In units.
    """
    apart = np.square(units - place).sum(axis=1)
    rows = np.argsort(apart, kind="stable")[:NUM_NEAREST]
    width = max(float(apart[rows[min(WIDTH_BY, len(rows)) - 1]]), LEAST_WIDTH)
    weights = np.exp(-apart[rows] / width)
    weights /= weights.sum()
    return weights @ scores[rows], weights @ seconds[rows]


def tamed(scores: Floats) -> Floats:
    """Return scores (N, E) that can be blended: what diverged, or is worse than a bad beginning, is that."""
    beginnings = scores[:, 0][np.isfinite(scores[:, 0])]
    floor = float(np.quantile(beginnings, FLOOR)) if len(beginnings) else 0.0
    return np.where(np.isfinite(scores), np.maximum(scores, floor), floor)
