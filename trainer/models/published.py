"""Networks of timm and torchvision by name, from scratch or with their published weights.

Weights come from the network, or from a file where there is none; files are opened with `weights_only=True`.
"""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainer.data import DataSet
from trainer.data.store import Moments
from trainer.errors import ConfigError, did_you_mean, is_out_of_memory
from trainer.libraries import import_timm, import_torchvision
from trainer.settings import Model, Timm, TorchVision, is_pretrained
from trainer.transfer import begin_at_zero, row_of

FILE = "file:"
WITH_SIDE_HEADS = ("googlenet", "inception_v3")  # of torchvision; their second heads are left out
MOST_HEAD_TENSORS = 2  # weight and bias, which a head for other classes replaces


def input_moments(settings: Model, data_set: DataSet) -> Moments:
    """Return what pixels are normalised by: what the weights were trained with, else the training images' own.

    Raises:
        ConfigError: If there is no such network.
    """
    if not is_pretrained(settings):
        return data_set.moments
    assert isinstance(settings, Timm | TorchVision), "no other network has published weights"
    published = _timm_moments(settings.name) if isinstance(settings, Timm) else _torchvision_moments(settings.name)
    if len(data_set.mean) == len(published.mean):
        return published
    mean, std = (sum(values) / len(values) for values in (published.mean, published.std))  # grey images
    return Moments((mean,) * len(data_set.mean), (std,) * len(data_set.std))


def build_published(
    settings: Timm | TorchVision, *, image_size: int, channels: int, num_classes: int, with_weights: bool
) -> nn.Module:
    """Build a network for these images and classes.

    Args:
        settings: Its library and name, and where its weights are.
        image_size: Pixels a side.
        channels: Of the images; the first layer's filters are folded or repeated for other numbers than three.
        num_classes: Logits of the new head.
        with_weights: False where a checkpoint follows.

    Raises:
        ConfigError: If there is no such network, it can't take the images, or its weights can't be had.
    """
    loads = is_pretrained(settings) and with_weights
    if isinstance(settings, Timm):
        return _build_timm(settings, image_size=image_size, channels=channels, num_classes=num_classes, loads=loads)
    return _build_torchvision(settings, channels=channels, num_classes=num_classes, loads=loads)


def _build_timm(settings: Timm, *, image_size: int, channels: int, num_classes: int, loads: bool) -> nn.Module:
    config = _timm_config(settings.name)
    file = _weights_file(settings.weights) if loads and settings.weights else None
    build = partial(
        import_timm().create_model,
        settings.name,
        in_chans=channels,
        num_classes=num_classes,
        drop_rate=settings.dropout or None,
        drop_path_rate=settings.drop_path or None,
        img_size=image_size if config.fixed_input_size else None,
    )
    try:
        with torch.random.fork_rng(devices=[]):
            unloaded = build() if file else None
        model: nn.Module = build(pretrained=loads, pretrained_cfg_overlay={"file": str(file)} if file else None)
    except TypeError as error:
        raise ConfigError(f"timm's {settings.name} does not take these settings: {error}.") from error
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise _no_weights(settings, error) from error
    if loads and config.num_classes != num_classes:
        begin_at_zero(model, row_of(model)[-1])
    if unloaded is not None:
        _check_loaded(model, unloaded, settings, head=config.classifier)
    return model


def _check_loaded(model: nn.Module, unloaded: nn.Module, settings: Timm, *, head: str | tuple[str, ...] | None) -> None:
    """Refuse weights that left layers as they were: with a new head, timm passes over names that it does not know."""
    heads = (head,) if isinstance(head, str) else tuple(head or ())
    before = dict(unloaded.named_parameters())
    untouched = [
        name
        for name, tensor in model.named_parameters()
        if tensor.dim() > 1
        and torch.equal(tensor, before[name])
        and not name.startswith(tuple(f"{known}." for known in heads))
    ]
    if untouched:
        raise ConfigError(
            f"The weights in {settings.weights} do not fit timm's {settings.name}: "
            f"they leave {len(untouched)} layers as they were, such as {untouched[0]}."
        )


def _build_torchvision(settings: TorchVision, *, channels: int, num_classes: int, loads: bool) -> nn.Module:
    models = _torchvision_models(settings.name)
    side_heads = {"aux_logits": False, "init_weights": True} if settings.name in WITH_SIDE_HEADS else {}
    model: nn.Module = models.get_model(settings.name, weights=None, num_classes=num_classes, **side_heads)
    _set_dropout(model, settings)
    if loads:
        _load_all_but_head(model, _torchvision_weights(settings), settings)
    if channels != 3:
        _take_channels(model, channels)
    return model


def _set_dropout(model: nn.Module, settings: TorchVision) -> None:
    """Give every dropout layer the job's share; networks come with shares of their own."""
    layers = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    if settings.dropout and not layers:
        raise ConfigError(f"torchvision's {settings.name} has no layer for `model.dropout`: leave it at 0.")
    for layer in layers:
        layer.p = settings.dropout


def _take_channels(model: nn.Module, channels: int) -> None:
    """Fold or repeat the filters that look at the images, as timm does for its own networks."""
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    first.weight = nn.Parameter(import_timm().models.adapt_input_conv(channels, first.weight.detach()))
    first.in_channels = channels


def _timm_config(name: str) -> Any:
    timm = import_timm()
    if not timm.is_model(name):
        raise ConfigError(_unknown("timm", name, timm.list_models()))
    return timm.get_pretrained_cfg(name) or timm.models.PretrainedCfg()


def _timm_moments(name: str) -> Moments:
    config = _timm_config(name)
    return Moments(tuple(config.mean), tuple(config.std))


def _torchvision_models(name: str) -> Any:
    """Return the module of networks, which must have this one."""
    models = import_torchvision().models
    known = models.list_models(module=models)
    if name not in known:
        raise ConfigError(_unknown("torchvision", name, known))
    return models


def _torchvision_moments(name: str) -> Moments:
    preset = _published_weights(name).transforms()
    return Moments(tuple(preset.mean), tuple(preset.std))


def _published_weights(name: str) -> Any:
    return _torchvision_models(name).get_model_weights(name).DEFAULT


def _torchvision_weights(settings: TorchVision) -> dict[str, Tensor]:
    try:
        if settings.weights:
            path = _weights_file(settings.weights)
            found: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        else:
            found = _published_weights(settings.name).get_state_dict(check_hash=True, progress=False)
    except ConfigError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise _no_weights(settings, error) from error
    return found


def _load_all_but_head(model: nn.Module, weights: dict[str, Tensor], settings: TorchVision) -> None:
    """Load what fits; only the tensors of one last layer may not."""
    own = model.state_dict()
    fitting = {name: tensor for name, tensor in weights.items() if name in own and own[name].shape == tensor.shape}
    missing = sorted(own.keys() - fitting.keys())
    layers = {name.rpartition(".")[0] for name in missing}
    if len(missing) > MOST_HEAD_TENSORS or len(layers) > 1:
        raise ConfigError(
            f"The weights of {settings.weights or settings.name} do not fit torchvision's {settings.name}: "
            f"{len(missing)} of {len(own)} tensors are missing or have another shape, such as {missing[0]}."
        )
    model.load_state_dict(fitting, strict=False)
    begin_at_zero(model, missing)


def _weights_file(written: str) -> Path:
    """Return the file that `model.weights` names.

    Raises:
        ConfigError: If it names none, or there is none.
    """
    path = Path(written.removeprefix(FILE)).expanduser()
    if not written.startswith(FILE) or not path.name:
        raise ConfigError(
            f"`model.weights` must be {FILE}PATH, got {written!r}. Published weights: `model.pretrained`."
        )
    if not path.is_file():
        raise ConfigError(f"`model.weights`: there is no file {str(path)!r}.")
    return path.resolve()


def _unknown(library: str, name: str, known: list[str]) -> str:
    return f"{library} has no network {name!r}.{did_you_mean(name, known)} It has {len(known):,}."


def _no_weights(settings: Timm | TorchVision, error: Exception) -> ConfigError:
    """Say why a network could not be had with its weights, and the way without a network."""
    text = " ".join(str(error).split())[:300] or type(error).__name__
    if settings.weights:
        return ConfigError(f"The weights in {settings.weights} can't be loaded into {settings.name}: {text}")
    if not is_pretrained(settings):
        return ConfigError(f"{settings.name} can't be built for these images: {text}")
    return ConfigError(
        f"The published weights of {settings.name} can't be had: {text} "
        f"Without a network, copy them here and name the file: --set model.weights={FILE}PATH."
    )
