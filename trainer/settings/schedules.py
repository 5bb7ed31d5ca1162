"""Schedules, as a space names them; all but `plateau` are functions of the share of training."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from trainer.settings.declare import BELOW_ONE, FRACTION, Range, number


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosine:
    """Linear warm-up, then half a cosine to `floor`."""

    warmup: float = number(0.05, BELOW_ONE)  # share of training
    floor: float = number(0.0, FRACTION)  # share of the peak


@dataclass(frozen=True, slots=True, kw_only=True)
class OneCycle:
    """Cosine up from `start` to the peak, cosine down to nothing."""

    peak_at: float = number(0.3, Range(0, 1, low_open=True, high_open=True))  # share of training
    start: float = number(0.04, FRACTION)  # share of the peak


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """Linear warm-up, then a straight line to `floor`."""

    warmup: float = number(0.0, BELOW_ONE)
    floor: float = number(0.0, FRACTION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Times `gamma` at `first` and again at each equal share of what is left."""

    first: float = number(0.5, Range(0, 1, low_open=True, high_open=True))  # share of training
    drops: int = number(2, Range(1, 10))
    gamma: float = number(0.1, Range(0, 1, low_open=True))
    warmup: float = number(0.0, BELOW_ONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wsd:
    """Warm-up, stable, decay: constant until the last `decay` share, then a straight line to nothing."""

    warmup: float = number(0.05, BELOW_ONE)
    decay: float = number(0.3, Range(0, 1, low_open=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class CosineRestarts:
    """`cycles` equal cosines, each from the peak to `floor`."""

    cycles: int = number(2, Range(1, 20))
    warmup: float = number(0.05, BELOW_ONE)
    floor: float = number(0.0, FRACTION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """Linear warm-up, then the peak to the end."""

    warmup: float = number(0.0, BELOW_ONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiStep:
    """Times `gamma` at `first` and again at `second`."""

    first: float = number(0.5, Range(0, 1, low_open=True, high_open=True))  # share of training
    second: float = number(0.75, Range(0, 1, low_open=True, high_open=True))  # share of training
    gamma: float = number(0.1, Range(0, 1, low_open=True))
    warmup: float = number(0.0, BELOW_ONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exponential:
    """Linear warm-up, then the same share lost in every step, down to `floor`."""

    warmup: float = number(0.0, BELOW_ONE)
    floor: float = number(0.01, Range(0, 1, low_open=True))  # share of the peak


@dataclass(frozen=True, slots=True, kw_only=True)
class Polynomial:
    """Linear warm-up, then a power of the share of training that is left, down to `floor`."""

    power: float = number(2.0, Range(0, 10, low_open=True))  # 1 is linear
    warmup: float = number(0.0, BELOW_ONE)
    floor: float = number(0.0, FRACTION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plateau:
    """Linear warm-up, then the peak, times `gamma` after each `patience` epochs without gain."""

    patience: int = number(5, Range(1, 1000))  # epochs; gain is that of `training.watch`
    gamma: float = number(0.1, Range(0, 1, low_open=True))
    warmup: float = number(0.0, BELOW_ONE)


Schedule = (
    Cosine | OneCycle | Linear | Step | Wsd | CosineRestarts | Constant | MultiStep | Exponential | Polynomial | Plateau
)
SCHEDULES: Mapping[str, type[Schedule]] = MappingProxyType(
    {
        "cosine": Cosine,
        "onecycle": OneCycle,
        "linear": Linear,
        "step": Step,
        "wsd": Wsd,
        "cosine_restarts": CosineRestarts,
        "constant": Constant,
        "multistep": MultiStep,
        "exponential": Exponential,
        "polynomial": Polynomial,
        "plateau": Plateau,
    }
)
