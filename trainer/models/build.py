"""From the settings of a model to the model."""

from collections.abc import Callable, Iterable
from typing import assert_never

import torch
from torch import Tensor, nn

from trainer import settings as config
from trainer.classical.model import build_classical
from trainer.errors import ConfigError
from trainer.models.fastnet import FastNet, whiten_from
from trainer.models.plain import LeNet5, build_cnn
from trainer.models.published import build_published
from trainer.models.resnet import ResNet, ResNet9
from trainer.models.timm_models import build_convnext, build_vit
from trainer.models.wide_resnet import WideResNet

OwnModel = config.FastNet | config.ResNet9 | config.AnyResNet | config.WideResNet | config.LeNet5 | config.Cnn


def build_model(
    settings: config.Model,
    *,
    image_shape: tuple[int, int, int],
    num_classes: int,
    seed: int,
    with_weights: bool = True,
) -> nn.Module:
    """Build a freshly initialised model; equal arguments give equal weights.

    Args:
        settings: Which model, and how large.
        image_shape: H, W, C of the images it will see.
        num_classes: Logits it gives an image.
        seed: Of the initial weights. torch's global generator is left as it was.
        with_weights: False where a checkpoint follows, so that published weights need not be had.

    Raises:
        ConfigError: If the model cannot take images of this shape, or its published weights can't be had.
    """
    side, channels = _side_of(image_shape), image_shape[2]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        match settings:
            case config.ConvNext():
                return build_convnext(settings, image_size=side, channels=channels, num_classes=num_classes)
            case config.Vit():
                return build_vit(settings, image_size=side, channels=channels, num_classes=num_classes)
            case config.LogisticRegression() | config.Svm() | config.RandomForest():
                return build_classical(settings, image_shape=image_shape, num_classes=num_classes)
            case config.Timm() | config.TorchVision():
                return build_published(
                    settings,
                    image_size=side,
                    channels=channels,
                    num_classes=num_classes,
                    with_weights=with_weights,
                )
            case _:
                return _build_own(settings, image_size=side, channels=channels, num_classes=num_classes)


def _build_own(settings: OwnModel, *, image_size: int, channels: int, num_classes: int) -> nn.Module:
    match settings:
        case config.FastNet(width=scale, depth=depth):
            return FastNet(channels=channels, num_classes=num_classes, width=scale, depth=depth)
        case config.ResNet9(width=first, dropout=dropout):
            return ResNet9(channels=channels, num_classes=num_classes, width=first, dropout=dropout)
        case config.ResNet18() | config.ResNet34() | config.ResNet50():
            return ResNet(settings, channels=channels, num_classes=num_classes)
        case config.WideResNet():
            return WideResNet(settings, channels=channels, num_classes=num_classes)
        case config.LeNet5(width=scale):
            return LeNet5(image_size=image_size, channels=channels, num_classes=num_classes, width=scale)
        case config.Cnn():
            return build_cnn(settings, image_size=image_size, channels=channels, num_classes=num_classes)
    assert_never(settings)


def _side_of(image_shape: tuple[int, int, int]) -> int:
    height, width, _ = image_shape
    if height != width:
        raise ConfigError(f"Models take square images, these are {height} x {width}. Set `data.image_size`.")
    return height


def initialise_from_data(model: nn.Module, sample: Callable[[], Iterable[Tensor]]) -> None:
    """Set what a model takes from the data before its first step; most take nothing, and then nothing is read.

    Args:
        model: Changed in place.
        sample: Gives portions (N, C, H, W), float, of normalised training images, unaugmented.
    """
    if isinstance(model, FastNet):
        whiten_from(model, sample())
