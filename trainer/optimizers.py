"""From the settings of an optimizer to torch optimizers over a model's parameters.

Every group carries `initial_lr`, its peak rate; the loop sets `lr` to the schedule's share of it.
"""

from collections.abc import Iterable
from typing import Any, assert_never

import torch
from torch import nn

from trainer import settings as config
from trainer.errors import ConfigError, did_you_mean
from trainer.libraries import import_timm
from trainer.models.fastnet import BIAS_RATE, FastNet
from trainer.muon import Muon
from trainer.transfer import Shares

Optimizers = tuple[torch.optim.Optimizer, ...]
Group = dict[str, Any]  # parameters with the options that hold for them

COMPILED = "kron"  # begins the names of those that torch.compile must translate before their first step


def build_optimizers(
    settings: config.Optimizer, model: nn.Module, *, precision: torch.dtype, shares: Shares | None = None
) -> Optimizers:
    """Build the optimizers that together hold every trainable parameter of a model once.

    Args:
        settings: Which optimizer, with its peak rates.
        model: On the device it will be trained on.
        precision: Of Muon's orthogonalisation: the one that the device computes fast.
        shares: Of the rates, by parameter, where a network with learnt weights is trained on.
    """
    built = _build(settings, model, precision, fused=None if shares is not None else True)
    if shares is not None:
        for optimizer in built:
            _share_rates(optimizer, model, shares)
    for group in groups_of(built):
        group["initial_lr"] = group["lr"]
    return built


def _build(settings: config.Optimizer, model: nn.Module, precision: torch.dtype, *, fused: bool | None) -> Optimizers:
    """Build what takes a step in one pass over the memory, which is several times as fast on a processor.

    Args:
        settings: Which optimizer, with its peak rates.
        model: On the device it will be trained on.
        precision: Of Muon's orthogonalisation.
        fused: None where SGD has to do without: torch's fused one wants that all parameters have momentum, or none.
    """
    match settings:
        case config.Sgd(lr=lr, momentum=momentum, weight_decay=decay):
            name = "sgd" if momentum else "momentum"  # timm's `momentum` is plain: Nesterov's needs some
            sgd = _from_timm(name, model, lr=lr, weight_decay=decay, momentum=momentum, fused=fused)
            return (_with_own_rates(sgd, model),)
        case config.Adam(lr=lr, beta1=beta1, beta2=beta2, weight_decay=decay):
            return (_from_timm("adam", model, lr=lr, weight_decay=decay, betas=(beta1, beta2), fused=True),)
        case config.AdamW(lr=lr, beta1=beta1, beta2=beta2, weight_decay=decay):
            return (_from_timm("adamw", model, lr=lr, weight_decay=decay, betas=(beta1, beta2), fused=True),)
        case config.Lion(lr=lr, beta1=beta1, beta2=beta2, weight_decay=decay):
            return (_from_timm("lion", model, lr=lr, weight_decay=decay, betas=(beta1, beta2)),)
        case config.TimmOptimizer():
            return (_by_name(settings, model),)
        case config.Muon():
            return _muon_with_sgd(settings, model, precision, fused=fused)
        case _:
            assert_never(settings)


def groups_of(optimizers: Iterable[torch.optim.Optimizer]) -> list[Group]:
    """Return the parameter groups of several optimizers in order."""
    return [group for optimizer in optimizers for group in optimizer.param_groups]


def _by_name(settings: config.TimmOptimizer, model: nn.Module) -> torch.optim.Optimizer:
    """Ask timm's factory for any optimizer, with those of the momenta that it knows.

    Raises:
        ConfigError: If there is none of that name here, or it cannot take the settings.
    """
    factory, name = import_timm().optim, settings.name
    known = factory.list_optimizers()
    if name not in known:
        message = f"timm has no optimizer {name!r}.{did_you_mean(name, known)}"
        raise ConfigError(f"{message} `optimizer.name` is one of timm.optim.list_optimizers().")
    if name.startswith(COMPILED):
        raise ConfigError(f"timm's {name} compiles itself anew for each shape, which is not to be had here.")
    info = factory.get_optimizer_info(name)
    if info.second_order:
        raise ConfigError(f"timm's {name} needs second derivatives, which are not worked out in training.")
    momenta: dict[str, Any] = {"momentum": settings.momentum} if info.has_momentum else {}
    if info.has_betas and info.num_betas == 2:
        momenta["betas"] = (settings.momentum, settings.beta2)
    try:
        return _from_timm(name, model, lr=settings.lr, weight_decay=settings.weight_decay, **momenta)
    except (AssertionError, ImportError, RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(f"timm's {name} cannot be had with these settings: {error}") from error


def _from_timm(name: str, model: nn.Module, **options: Any) -> torch.optim.Optimizer:
    """Ask timm's factory, which leaves biases and norms without weight decay; its SGD is Nesterov's."""
    optimizer: torch.optim.Optimizer = import_timm().optim.create_optimizer_v2(model, opt=name, **options)
    return optimizer


def _with_own_rates(sgd: torch.optim.Optimizer, model: nn.Module) -> torch.optim.Optimizer:
    """Put the parameters that their model wants trained faster into groups of their own.

    Their weight decay, which PyTorch multiplies by the rate, stays what it was in a step.
    """
    apart = {id(parameter) for parameter in model.biases()} if isinstance(model, FastNet) else set()
    usual: list[Group] = []
    faster: list[Group] = []
    for group in sgd.param_groups:
        plain = [p for p in group["params"] if id(p) not in apart]
        scaled = [p for p in group["params"] if id(p) in apart]
        rates = {"lr": BIAS_RATE * group["lr"], "weight_decay": group["weight_decay"] / BIAS_RATE}
        usual += [group | {"params": plain}] if plain else []
        faster += [group | rates | {"params": scaled}] if scaled else []
    sgd.param_groups = usual + faster
    return sgd


def _share_rates(optimizer: torch.optim.Optimizer, model: nn.Module, shares: Shares) -> None:
    """Give each parameter its share of its group's rate."""
    share_of = {id(parameter): shares.by_name.get(name, 1.0) for name, parameter in model.named_parameters()}
    groups: list[Group] = []
    for group in optimizer.param_groups:
        for share in dict.fromkeys(share_of[id(p)] for p in group["params"]):
            members = [p for p in group["params"] if share_of[id(p)] == share]
            groups.append(group | {"params": members, "lr": share * group["lr"]})
    optimizer.param_groups = groups


def _muon_with_sgd(
    settings: config.Muon, model: nn.Module, precision: torch.dtype, *, fused: bool | None
) -> Optimizers:
    """Hidden filters and matrices to Muon, the last layer and the rest to SGD with rates of their own."""
    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    head = layers[-1]
    in_head = {id(p) for p in head.parameters()}
    matrices = [layer.weight for layer in layers[:-1] if layer.weight.requires_grad]
    taken = in_head | {id(p) for p in matrices}
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in taken]
    decay = settings.weight_decay
    groups = [
        {"params": rest, "lr": settings.sgd_lr, "weight_decay": decay / settings.sgd_lr},
        {"params": list(head.parameters()), "lr": settings.head_lr, "weight_decay": decay / settings.head_lr},
    ]
    momentum = settings.sgd_momentum
    sgd = torch.optim.SGD(groups, momentum=momentum, nesterov=momentum > 0, fused=fused)
    has_batch_norm = any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    rest_by_sgd = _with_own_rates(sgd, model)
    if not matrices:  # nothing but the head is trained
        return (rest_by_sgd,)
    muon = Muon(matrices, lr=settings.lr, momentum=settings.momentum, project=has_batch_norm, dtype=precision)
    return muon, rest_by_sgd
