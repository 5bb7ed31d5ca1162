"""Nets without shortcuts: their sizes, and which images they take."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.errors import ConfigError
from trainer.models import build_model
from trainer.models.plain import LeNet5
from trainer.settings import Cnn, Model
from trainer.settings import LeNet5 as LeNetSettings


def build(model: Model, *, side: int, channels: int = 1, num_classes: int = 10) -> nn.Module:
    return build_model(model, image_shape=(side, side, channels), num_classes=num_classes, seed=0)


def size_of(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("side", [8, 28, 32])
def test_lenet_has_a_parameter_more_for_each_norm_than_was_published(side: int) -> None:
    filters = (25 * 1 + 1) * 6 + (25 * 6 + 1) * 16
    linear = (400 + 1) * 120 + (120 + 1) * 84 + (84 + 1) * 10

    assert filters + linear == 61_706, "every map connected to every other"
    assert size_of(build(LeNetSettings(), side=side)) == 61_706 + 6 + 16


@pytest.mark.parametrize("side", [8, 9, 28, 31])
def test_lenet_sees_smaller_images_in_the_middle_of_32_pixels(side: int) -> None:
    small, full = (build(LeNetSettings(), side=pixels).eval() for pixels in (side, 32))
    images = noise(3, 1, side, side)
    before = (32 - side) // 2
    after = 32 - side - before

    assert torch.equal(small(images), full(F.pad(images, (before, after, before, after))))


@settings(max_examples=25, deadline=None)
@given(side=st.integers(1, 70), channels=st.integers(1, 5), width=st.floats(0.25, 2.0))
def test_lenet_takes_images_of_any_size_and_any_channels(side: int, channels: int, width: float) -> None:
    model = build(LeNetSettings(width=width), side=side, channels=channels, num_classes=3)

    logits = model(noise(2, channels, side, side))

    assert logits.shape == (2, 3)
    assert logits.isfinite().all()


@pytest.mark.parametrize(
    ("width", "sizes"),
    [(0.25, [2, 4, 30, 21, 10]), (1.0, [6, 16, 120, 84, 10]), (4.0, [24, 64, 480, 336, 10])],
)
def test_the_width_of_lenet_scales_every_layer_but_the_last(width: float, sizes: list[int]) -> None:
    model = build(LeNetSettings(width=width), side=28)

    assert isinstance(model, LeNet5)
    layers = (model.filters1, model.filters2, model.hidden1, model.hidden2, model.head)
    assert [len(layer.weight) for layer in layers] == sizes


@pytest.mark.parametrize(
    ("model", "side", "channels", "num_parameters"),
    [
        pytest.param(
            Cnn(),
            28,
            1,
            (9 + 1) * 32 + (9 * 32 + 1) * 64 + (7 * 7 * 64 + 1) * 128 + (128 + 1) * 10,
            id="two blocks on handwritten digits: 421,642",
        ),
        pytest.param(
            Cnn(blocks=3, width=16),
            32,
            3,
            (27 + 1) * 16 + (9 * 16 + 1) * 32 + (9 * 32 + 1) * 64 + (4 * 4 * 64 + 1) * 64 + (64 + 1) * 10,
            id="three narrow blocks on CIFAR-10",
        ),
    ],
)
def test_a_cnn_has_the_size_of_its_layers(model: Cnn, side: int, channels: int, num_parameters: int) -> None:
    assert size_of(build(model, side=side, channels=channels)) == num_parameters


@pytest.mark.parametrize(("blocks", "side"), [(2, 4), (2, 5), (3, 8), (3, 15)])
def test_a_cnn_takes_the_smallest_images_that_can_be_halved_so_often(blocks: int, side: int) -> None:
    assert build(Cnn(blocks=blocks, width=4), side=side)(noise(2, 1, side, side)).shape == (2, 10)


@pytest.mark.parametrize(("blocks", "side", "smallest"), [(2, 3, 4), (3, 7, 8), (3, 1, 8)])
def test_a_cnn_says_which_images_are_large_enough(blocks: int, side: int, smallest: int) -> None:
    message = (
        f"A cnn with `model.blocks` {blocks} needs images of at least {smallest} pixels, these have {side}. "
        f"Set `data.image_size` to {smallest} or more, or take fewer blocks."
    )

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        build(Cnn(blocks=blocks), side=side)


def test_what_an_image_says_reaches_the_hidden_layer_of_a_cnn() -> None:
    model = build(Cnn(blocks=3), side=32, channels=3).eval()
    hidden: list[Tensor] = []
    model.hidden.register_forward_hook(lambda _, __, found: hidden.append(found))  # type: ignore[union-attr,operator]

    model(noise(16, 3, 32, 32))

    assert 0.5 < hidden[0].std().item() < 5, "torch's own weights would leave a tenth of the images' 1"
