"""Losses, as a space names them; all are summed over classes, so that their rates are alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from trainer.settings.declare import BELOW_ONE, Range, number


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What is made small, image by image."""

    class_weights: Literal["none", "balanced", "effective"] = "none"  # images of rare classes count more
    beta: float = number(0.999, BELOW_ONE)  # of `effective`; nearer to 1 comes nearer to `balanced`


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossEntropy(Loss):
    """Cross-entropy of the softmax."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bce(Loss):
    """Binary cross-entropy of each class by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Focal(Loss):
    """Cross-entropy in which what is known already counts less."""

    gamma: float = number(2.0, Range(0, 10))  # 0 is cross-entropy


@dataclass(frozen=True, slots=True, kw_only=True)
class LogitAdjusted(Loss):
    """Cross-entropy of logits that are given how often each class occurs, so that they need not learn it."""

    tau: float = number(1.0, Range(0, 10))  # 0 is cross-entropy


AnyLoss = CrossEntropy | Bce | Focal | LogitAdjusted
LOSSES: Mapping[str, type[AnyLoss]] = MappingProxyType(
    {
        "cross_entropy": CrossEntropy,
        "bce": Bce,
        "focal": Focal,
        "logit_adjusted": LogitAdjusted,
    }
)
