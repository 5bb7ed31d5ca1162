"""Gradients of our own layers against differences of their outputs, in double precision."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck
from torch.func import functional_call

from trainer import settings as config
from trainer.models import initialise_from_data
from trainer.models.fastnet import FastNet
from trainer.models.layers import SqueezeExcite
from trainer.models.resnet import ResNet, ResNet9
from trainer.models.wide_resnet import WideResNet


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def whitening() -> nn.Module:
    model = FastNet(channels=2, num_classes=2, width=0.1, depth=1)
    initialise_from_data(model, lambda: [noise(8, 2, 6, 6)])
    return model.whiten


def block_of_fastnet() -> nn.Module:
    return FastNet(channels=1, num_classes=2, width=0.1, depth=3).blocks[0]


def pair_of_resnet9() -> nn.Module:
    return ResNet9(channels=1, num_classes=2, width=2, dropout=0.0).stages[1]


def basic_block() -> nn.Module:
    return ResNet(config.ResNet18(width=2, squeeze=1), channels=1, num_classes=2).blocks[2]


def bottleneck() -> nn.Module:
    return ResNet(config.ResNet50(width=1, squeeze=4), channels=1, num_classes=2).blocks[3]


def wide_block() -> nn.Module:
    return WideResNet(config.WideResNet(blocks=1, width=1), channels=1, num_classes=2).blocks[1]


def gates() -> nn.Module:
    return SqueezeExcite(6, reduction=2)


@pytest.mark.parametrize(
    ("make", "shape", "fast"),  # fast: along random directions, where parameters are too many to take one by one
    [
        (whitening, (2, 2, 5, 5), False),
        (block_of_fastnet, (2, 8, 4, 4), True),
        (pair_of_resnet9, (2, 4, 3, 3), False),
        (basic_block, (3, 2, 4, 4), False),
        (bottleneck, (3, 4, 4, 4), False),
        (gates, (3, 6, 3, 3), False),
        (wide_block, (2, 16, 4, 4), True),
    ],
)
def test_gradients_are_the_limits_of_differences(
    make: Callable[[], nn.Module], shape: tuple[int, ...], fast: bool
) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = make().double().train()
    trained = {name: parameter for name, parameter in layer.named_parameters() if parameter.requires_grad}

    def outputs(features: Tensor, *values: Tensor) -> Tensor:
        found: Tensor = functional_call(layer, dict(zip(trained, values, strict=True)), (features,))
        return found

    assert trained
    assert gradcheck(outputs, (noise(*shape).double().requires_grad_(), *trained.values()), fast_mode=fast)
