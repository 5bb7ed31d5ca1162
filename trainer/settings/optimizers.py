"""Optimizers, as a space names them; `lr` is the peak rate of one step at the job's batch size."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from trainer.settings.declare import BELOW_ONE, NOT_NEGATIVE, POSITIVE, number


@dataclass(frozen=True, slots=True, kw_only=True)
class Sgd:
    """SGD with Nesterov momentum."""

    lr: float = number(0.1, POSITIVE)
    momentum: float = number(0.9, BELOW_ONE)
    weight_decay: float = number(5e-4, NOT_NEGATIVE)  # coupled: added to the gradient


@dataclass(frozen=True, slots=True, kw_only=True)
class Adam:
    """Adam; its weight decay is coupled (an L2 penalty)."""

    lr: float = number(1e-3, POSITIVE)
    beta1: float = number(0.9, BELOW_ONE)
    beta2: float = number(0.999, BELOW_ONE)
    weight_decay: float = number(0.0, NOT_NEGATIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdamW:
    """Adam with decoupled weight decay."""

    lr: float = number(1e-3, POSITIVE)
    beta1: float = number(0.9, BELOW_ONE)
    beta2: float = number(0.999, BELOW_ONE)
    weight_decay: float = number(0.05, NOT_NEGATIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Muon:
    """Muon for the filters and hidden matrices, SGD with Nesterov momentum for the rest."""

    lr: float = number(0.24, POSITIVE)  # of the filters, each kept at norm 1 per row
    momentum: float = number(0.6, BELOW_ONE)
    sgd_lr: float = number(0.05, POSITIVE)  # of biases and norms; those of the fast net get 64 times as much
    head_lr: float = number(0.5, POSITIVE)  # of the last layer
    sgd_momentum: float = number(0.85, BELOW_ONE)
    weight_decay: float = number(2e-3, NOT_NEGATIVE)  # of the SGD part, times its rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Lion:
    """Lion: the sign of an interpolated momentum."""

    lr: float = number(3e-4, POSITIVE)
    beta1: float = number(0.9, BELOW_ONE)
    beta2: float = number(0.99, BELOW_ONE)
    weight_decay: float = number(0.1, NOT_NEGATIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimmOptimizer:
    """Any optimizer of timm, by its name in timm.optim.list_optimizers()."""

    name: str = "nadamw"  # as the library lists it
    lr: float = number(1e-3, POSITIVE)
    momentum: float = number(0.9, BELOW_ONE)  # where it has one, or the first beta
    beta2: float = number(0.999, BELOW_ONE)  # where it has two betas
    weight_decay: float = number(0.0, NOT_NEGATIVE)  # coupled or not, as it is made


Optimizer = Sgd | Adam | AdamW | Muon | Lion | TimmOptimizer
OPTIMIZERS: Mapping[str, type[Optimizer]] = MappingProxyType(
    {
        "sgd": Sgd,
        "adam": Adam,
        "adamw": AdamW,
        "muon": Muon,
        "lion": Lion,
        "timm": TimmOptimizer,
    }
)
