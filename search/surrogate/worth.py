"""What it is worth to go on with a configuration: the price for a second of training that it would just be worth.

One pays for the way to the next rung, sees the reading there, and pays for the rest of the way only if that still looks
worth its price; at the end, the improvement over the best score is the gain. The price at which the whole bargain is
just even is an index: whoever has the highest is next. So a look that costs little is worth something even where little
is to be expected, and nobody is trained to the end to learn what an early rung would have told.

Source: indices of this kind are optimal for looking for the best of several closed boxes (Weitzman 1979, Econometrica
47(3)) and for bandits (Gittins 1979); that there are two stages only, the next rung and the rest, simplifies them.
Expected improvement is that of Jones, Schonlau and Welch 1998, Journal of Global Optimization 13, equation 15.
"""

from functools import lru_cache

import numpy as np
from scipy.special import log_ndtr, ndtr

from search.surrogate.evidence import Rows
from search.surrogate.gp import LEAST_READINGS, Array, Kernel, condition, likeliest, num_for_kernel
from search.surrogate.rungs import Forecast

NODES = np.linspace(-5.0, 5.0, 41)  # of readings at the next rung, in spreads; even, for what is summed up has kinks
SHARES = np.exp(-(NODES**2) / 2) / np.exp(-(NODES**2) / 2).sum()
HALVINGS = 20  # of the interval that holds a price
EVEN = 0.02  # relative spread of seconds below which they are taken for equal
MOST_RATES = 200  # that an estimate rests on
TINY = 1e-12
ROOT_2PI = np.sqrt(2 * np.pi)


def expected_improvement(mean: Array, spread: Array, best: float) -> Array:
    """Return by how much normal levels (N,) exceed the best one in the mean, 0 where they don't."""
    off = (mean - best) / np.maximum(spread, TINY)
    found: Array = np.maximum(spread, TINY) * (off * ndtr(off) + np.exp(-(off**2) / 2) / ROOT_2PI)
    return found


def chance(mean: Array, spread: Array, best: float) -> Array:
    """Return how probable it is that normal levels (N,) exceed the best one."""
    found: Array = np.exp(log_ndtr((mean - best) / np.maximum(spread, TINY)))
    return found


def price(forecast: Forecast, best: float, *, to_next: Array, rest: Array) -> Array:
    """Return the price of a second (N,) at which it would just be worth to go on.

    Args:
        forecast: Of N configurations.
        best: Level to improve on.
        to_next: Seconds (N,) to the next rung, above 0.
        rest: Seconds (N,) from there to the last one; 0 where that is the next.
    """
    spread = np.sqrt(np.maximum(forecast.next_variance, TINY**2))
    slope = forecast.shared / spread
    left = np.sqrt(np.maximum(forecast.last_variance - slope**2, 0.0))
    means = forecast.last_mean[:, None] + slope[:, None] * NODES
    gains = expected_improvement(means, np.broadcast_to(left[:, None], means.shape), best)
    whole = expected_improvement(forecast.last_mean, forecast.last_spread, best)
    low, high = whole / (to_next + rest), whole / to_next
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        paid = (SHARES * np.maximum(gains - (middle * rest)[:, None], 0.0)).sum(axis=1)
        is_worth_it = paid > middle * to_next
        low, high = np.where(is_worth_it, middle, low), np.where(is_worth_it, high, middle)
    found: Array = low
    return found


def expected_rates(points: Array | Rows, rates: Array, wanted: Array) -> Array:
    """Return seconds an epoch (M,) at wanted points (M, D), from those (N,) measured at points (N, D); NaN for none."""
    known = np.flatnonzero(np.isfinite(rates))
    if not len(known):
        return np.ones(len(wanted))
    logs = np.log(rates[known])
    spread = float(logs.std())
    if spread < EVEN or len(logs) < LEAST_READINGS:
        return np.full(len(wanted), float(np.exp(np.median(logs))))
    num = num_for_kernel(len(logs))
    kernel = _chosen(points[known[:num]].tobytes(), logs[:num].tobytes(), num)
    used = np.linspace(0, len(logs) - 1, min(len(logs), MOST_RATES)).astype(np.int64)
    mean = condition(kernel, points[known[used]], (logs[used] - logs.mean()) / spread).mean_at(wanted)
    found: Array = np.exp(logs.mean() + spread * mean)
    return found


@lru_cache(maxsize=32)
def _chosen(points: bytes, logs: bytes, num: int) -> Kernel:
    values = np.frombuffer(logs)
    standard = (values - values.mean()) / (values.std() + EVEN)
    return likeliest(np.frombuffer(points).reshape(num, -1), standard)
