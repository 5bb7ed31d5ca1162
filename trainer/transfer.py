"""What of a network with learnt weights is trained on, and at which rates.

A network is looked at as a row of blocks from the images to the head. The head is always trained.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from trainer.errors import ConfigError
from trainer.libraries import import_timm
from trainer.settings import Transfer, what_is_trained

Row = tuple[tuple[str, ...], ...]  # names of parameters by block, the head last


@dataclass(frozen=True, slots=True)
class Shares:
    """Of which parameters are trained, and how fast."""

    by_name: Mapping[str, float]  # times the job's rate; parameters that are not named stay as they are
    frozen: tuple[str, ...]  # names of the modules whose running statistics stay as they are


def shares_of(model: nn.Module, settings: Transfer, *, num_train: int) -> Shares:
    """Work out which parameters are trained and how fast.

    Args:
        model: Of timm or torchvision, with its head.
        settings: What the job says.
        num_train: Training images, for `auto`.

    Raises:
        ConfigError: If it has fewer blocks than shall be trained.
    """
    row = row_of(model)
    what = what_is_trained(settings, num_train)
    trained = {"all": len(row), "head": 1, "blocks": 1 + settings.blocks}[what]
    if trained > len(row):
        raise ConfigError(f"`transfer.blocks` is {settings.blocks}; this network has {len(row) - 1} beside its head.")
    by_name = {
        name: settings.layer_decay ** (len(row) - 1 - place) * (settings.head_lr if place == len(row) - 1 else 1.0)
        for place, names in enumerate(row)
        for name in names
        if place >= len(row) - trained
    }
    return Shares(by_name, tuple(_frozen_norms(model, by_name, freezes_all=settings.freeze_norms)))


def row_of(model: nn.Module) -> Row:
    """Return the names of a network's parameters by block, from the images to the head."""
    names = [name for name, _ in model.named_parameters()]
    head = set(_head_names(model, names))
    rest = [name for name in names if name not in head]
    return (*_blocks(model, rest), tuple(name for name in names if name in head))


def head_of(model: nn.Module) -> str | None:
    """Return the name of the one layer that gives the logits, or None where there are several."""
    layers = {name.rpartition(".")[0] for name in row_of(model)[-1]}
    return layers.pop() if len(layers) == 1 else None


def begin_at_zero(model: nn.Module, names: Iterable[str]) -> None:
    """Set linear layers that are new to a network with learnt weights to zero.

    With fewer images than features, most directions of a head are never trained. Random weights would stay there, and
    add noise to whatever is recognised.

    Source: Dosovitskiy et al., 2021, arXiv:2010.11929, Sec. 3.2, who begin at zero, too.

    Args:
        model: Is changed.
        names: Of parameters. Those of other layers stay: behind a ReLU, zero would never learn.
    """
    for name in names:
        layer, _, _ = name.rpartition(".")
        if isinstance(model.get_submodule(layer), nn.Linear):
            nn.init.zeros_(model.get_parameter(name))


def freeze(model: nn.Module, shares: Shares) -> None:
    """Switch training off where nothing is trained; the model is left in training mode elsewhere."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(parameter.requires_grad and name in shares.by_name)
    model.train()
    for name in shares.frozen:
        model.get_submodule(name).eval()


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is not trained before its time: all but the head of a network with learnt weights."""

    parameters: tuple[nn.Parameter, ...]
    norms: tuple[nn.Module, ...]  # whose running statistics wait, too

    def wait(self, is_waiting: bool) -> None:
        """Switch training off or on."""
        for parameter in self.parameters:
            parameter.requires_grad_(not is_waiting)
        for norm in self.norms:
            norm.train(not is_waiting)


def waiting_in(model: nn.Module) -> Waiting:
    """Collect what is in training beside the head."""
    head = set(row_of(model)[-1])
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    is_norm = (nn.modules.batchnorm._BatchNorm,)
    norms = (module for module in model.modules() if isinstance(module, is_norm) and module.training)
    return Waiting(tuple(parameter for name, parameter in named.items() if name not in head), tuple(norms))


def _head_names(model: nn.Module, names: Sequence[str]) -> Iterable[str]:
    """Yield the parameters of the last layers, which give the logits."""
    find: Any = getattr(model, "get_classifier", None)  # of timm
    if find is not None:
        own = find()
        heads = own if isinstance(own, tuple | list) else (own,)
        ids = {id(parameter) for head in heads for parameter in head.parameters()}
        yield from (name for name, parameter in model.named_parameters() if id(parameter) in ids)
    else:
        last = names[-1].rpartition(".")[0]
        yield from (name for name in names if name.rpartition(".")[0] == last)


def _blocks(model: nn.Module, names: Sequence[str]) -> Row:
    match: Any = getattr(model, "group_matcher", None)  # of timm
    if match is not None:
        found: Mapping[int, Sequence[str]] = import_timm().models.group_parameters(model, match(coarse=False))
        wanted = set(names)
        blocks_of_timm = (tuple(name for name in found[place] if name in wanted) for place in sorted(found))
        return tuple(filter(None, blocks_of_timm))
    blocks: dict[str, list[str]] = defaultdict(list)
    for name in names:
        blocks[".".join(name.split(".")[:2])].append(name)  # such as `layer4.1` and `features.12`
    return tuple(map(tuple, blocks.values()))


def _frozen_norms(model: nn.Module, trained: Mapping[str, float], *, freezes_all: bool) -> Iterable[str]:
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            own = [f"{name}.{parameter}" for parameter, _ in module.named_parameters()]
            if freezes_all or not any(parameter in trained for parameter in own):
                yield name
