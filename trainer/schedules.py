"""Schedules as pure functions from the share of training that is done to the share of the peak rate.

Both lie in [0, 1]. `Plateau` looks at the validation scores, too. A schedule has no state, so resuming, plotting and
testing are free. The training loop asks for each step at its middle, `rate(schedule, (step + 0.5) / total_steps)` with
`step` from 0: so neither the first step of a warm-up nor the last of a decay is nothing.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trainer.settings import (
    Constant,
    Cosine,
    CosineRestarts,
    Exponential,
    Linear,
    MultiStep,
    OneCycle,
    Plateau,
    Polynomial,
    Schedule,
    Step,
    Wsd,
)
from trainer.watching import num_drops


def rate(schedule: Schedule, progress: float, scores: Sequence[float] = ()) -> float:
    """Return the share of the peak rate, in [0, 1].

    Args:
        schedule: Which, with its settings.
        progress: Share of the training that is done, in [0, 1].
        scores: On validation after each epoch so far, larger is better; `Plateau` alone looks at them.
    """
    assert 0 <= progress <= 1, f"{progress=} is outside [0, 1]"
    if isinstance(schedule, Plateau):
        return plateau(progress, schedule, scores)
    return _RATES[type(schedule)](progress, schedule)


def cosine(progress: float, schedule: Cosine) -> float:
    """Rise in a straight line to 1, then fall along half a cosine to `floor`.

    Source: Loshchilov and Hutter 2016, arXiv:1608.03983, Eq. 5 with one cycle.
    """
    if progress < schedule.warmup:
        return progress / schedule.warmup
    return _between(schedule.floor, 1, _half_cosine(_share(progress, schedule.warmup, 1)))


def onecycle(progress: float, schedule: OneCycle) -> float:
    """Rise along half a cosine from `start` to 1 at `peak_at`, then fall along another to 0.

    Source: Smith and Topin 2017, arXiv:1708.07120; cosines for its straight lines, momentum left alone.
    """
    if progress < schedule.peak_at:
        return _between(1, schedule.start, _half_cosine(progress / schedule.peak_at))
    return _half_cosine(_share(progress, schedule.peak_at, 1))


def linear(progress: float, schedule: Linear) -> float:
    """Rise in a straight line to 1, then fall in a straight line to `floor`."""
    if progress < schedule.warmup:
        return progress / schedule.warmup
    return _between(schedule.floor, 1, 1 - _share(progress, schedule.warmup, 1))


def step(progress: float, schedule: Step) -> float:
    """Hold 1, times `gamma` at `first` and at each further one of `drops` equal shares of what is left.

    A drop inside the warm-up lowers the line that the warm-up climbs.
    """
    gap = (1 - schedule.first) / schedule.drops
    passed = sum(progress >= schedule.first + gap * drop for drop in range(schedule.drops))
    return _ramp(progress, schedule.warmup) * schedule.gamma**passed


def wsd(progress: float, schedule: Wsd) -> float:
    """Rise to 1, hold, and fall to 0 over the last `decay` share; where the two overlap, the lower holds.

    Source: Hu et al. 2024, arXiv:2404.06395, Sec. 4; the decay is a straight line as in Haegele et al. 2024,
    arXiv:2405.18392.
    """
    return min(_ramp(progress, schedule.warmup), (1 - progress) / schedule.decay, 1.0)


def cosine_restarts(progress: float, schedule: CosineRestarts) -> float:
    """Rise in a straight line to 1, then fall to `floor` along each of `cycles` equal half cosines.

    Source: Loshchilov and Hutter 2016, arXiv:1608.03983, with T_mult = 1; the end is not a restart.
    """
    if progress < schedule.warmup:
        return progress / schedule.warmup
    cycles_done = _share(progress, schedule.warmup, 1) * schedule.cycles
    within = cycles_done - min(math.floor(cycles_done), schedule.cycles - 1)
    return _between(schedule.floor, 1, _half_cosine(within))


def constant(progress: float, schedule: Constant) -> float:
    """Rise in a straight line to 1, and stay there."""
    return _ramp(progress, schedule.warmup)


def multistep(progress: float, schedule: MultiStep) -> float:
    """Hold 1, times `gamma` at each of the two places that are passed, in whichever order they are given.

    Source: He et al. 2015, arXiv:1512.03385, Sec. 4.2, which divides by 10 at a half and at three quarters.
    """
    passed = (progress >= schedule.first) + (progress >= schedule.second)
    return _ramp(progress, schedule.warmup) * schedule.gamma**passed


def exponential(progress: float, schedule: Exponential) -> float:
    """Rise in a straight line to 1, then lose the same share in every step, to end at `floor`."""
    if progress < schedule.warmup:
        return progress / schedule.warmup
    decayed: float = schedule.floor ** _share(progress, schedule.warmup, 1)
    return decayed


def polynomial(progress: float, schedule: Polynomial) -> float:
    """Rise in a straight line to 1, then fall to `floor` as a power of what is left.

    Source: Chen et al. 2016, arXiv:1606.00915, Sec. 4.1.2 ("poly").
    """
    if progress < schedule.warmup:
        return progress / schedule.warmup
    left: float = (1 - _share(progress, schedule.warmup, 1)) ** schedule.power
    return _between(schedule.floor, 1, left)


def plateau(progress: float, schedule: Plateau, scores: Sequence[float]) -> float:
    """Rise in a straight line to 1, then times `gamma` after each `patience` epochs without gain.

    Source: torch.optim.lr_scheduler.ReduceLROnPlateau.
    """
    drops = num_drops(scores, schedule.patience)
    return _ramp(progress, schedule.warmup) * schedule.gamma**drops


def _ramp(progress: float, warmup: float) -> float:
    """The straight line from 0 to 1 at `warmup`, and 1 after it."""
    return progress / warmup if progress < warmup else 1.0


def _share(progress: float, start: float, end: float) -> float:
    return (progress - start) / (end - start)


def _half_cosine(share: float) -> float:
    """From 1 at 0 down to 0 at 1."""
    return (1 + math.cos(math.pi * share)) / 2


def _between(low: float, high: float, share: float) -> float:
    return low + (high - low) * share


_RATES: Mapping[type[Schedule], Callable[[float, Any], float]] = {
    Cosine: cosine,
    OneCycle: onecycle,
    Linear: linear,
    Step: step,
    Wsd: wsd,
    CosineRestarts: cosine_restarts,
    Constant: constant,
    MultiStep: multistep,
    Exponential: exponential,
    Polynomial: polynomial,
}
