"""Residual nets: answers of torchvision's, sizes of the papers' tables."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trainer.config import Value, job_config
from trainer.libraries import import_torchvision
from trainer.models import build_model
from trainer.models.resnet import ResNet

DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}
each_net = pytest.mark.parametrize("name", list(DEPTHS))


def build(name: str, **settings: Value) -> ResNet:
    config = job_config({"model": name, **{f"model.{path}": value for path, value in settings.items()}})
    model = build_model(config.model, image_shape=(16, 16, 3), num_classes=10, seed=0)
    assert isinstance(model, ResNet)
    return model


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def size_of(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def size_of_basic(before: int, inner: int) -> int:
    """Two 3 x 3 layers and their norms; where channels change, a 1 x 1 layer and its norm."""
    return 9 * before * inner + 9 * inner**2 + 4 * inner + (before != inner) * (before * inner + 2 * inner)


def size_of_bottleneck(before: int, inner: int) -> int:
    """1 x 1, 3 x 3, 1 x 1 to four times the channels, and their norms; the shortcut as above."""
    after = 4 * inner
    branch = before * inner + 9 * inner**2 + inner * after + 4 * inner + 2 * after
    return branch + (before != after) * (before * after + 2 * after)


def size_by_formula(name: str, width: int) -> int:
    """Parameters for RGB images and ten classes, layer by layer from Table 1 of He et al. 2015."""
    size_of_block, widening = (size_of_bottleneck, 4) if name == "resnet50" else (size_of_basic, 1)
    total, before = 27 * width + 2 * width, width
    for stage, depth in enumerate(DEPTHS[name]):
        inner = width * 2**stage
        for _ in range(depth):
            total += size_of_block(before, inner)
            before = inner * widening
    return total + 10 * before + 10


@pytest.mark.parametrize("width", [4, 24, 64])
@each_net
def test_a_net_has_the_size_of_its_layers(name: str, width: int) -> None:
    assert size_of(build(name, width=width)) == size_by_formula(name, width)


@each_net
def test_a_net_gives_the_answers_of_torchvisions(name: str) -> None:
    ours = build(name)
    with torch.random.fork_rng(devices=[]):
        theirs = import_torchvision().models.get_model(name, weights=None, num_classes=10)
    theirs.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    theirs.maxpool = nn.Identity()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    images = noise(4, 3, 16, 16)

    with torch.inference_mode():
        torch.testing.assert_close(ours.train()(images), theirs.train()(images), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(ours.eval()(images), theirs.eval()(images), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("parameter", "first"),
    [
        ("stem.0.weight", -0.0014408392598852515),
        ("blocks.0.filters1.weight", -0.09218375384807587),
        ("blocks.2.shortcut.0.weight", -0.18783989548683167),
        ("blocks.7.filters2.weight", -0.03362059220671654),
        ("head.weight", -0.11133934557437897),
        ("head.bias", -0.08154454827308655),
    ],
)
def test_a_resnet18_begins_as_it_always_did(parameter: str, first: float) -> None:
    weights = build("resnet18", width=8).state_dict()

    assert len(weights) == 122
    assert weights[parameter].flatten()[0].item() == pytest.approx(first, rel=1e-6)


def test_gates_cost_as_many_parameters_as_in_their_paper() -> None:
    blocks, channels, reduction = DEPTHS["resnet50"], (256, 512, 1024, 2048), 16
    weights = 2 * sum(n * c**2 for n, c in zip(blocks, channels, strict=True)) // reduction  # its Eq. 5: 2.5 M
    biases = sum(n * (c + c // reduction) for n, c in zip(blocks, channels, strict=True))

    more = size_of(build("resnet50", squeeze=reduction)) - size_of(build("resnet50"))

    assert more == weights + biases == 2_530_992


def always_dropping(name: str) -> Any:
    """The last block of a net whose path is left out for every image."""
    block: Any = build(name, width=4, drop_path=1 - 1e-12).train().blocks[-1]
    return block


def with_shut_gates(name: str) -> Any:
    """The last block of a net whose gates let nothing through."""
    block: Any = build(name, width=4, squeeze=2).blocks[-1]
    nn.init.zeros_(block.gate.excite.weight)
    nn.init.constant_(block.gate.excite.bias, -1000.0)
    return block


@pytest.mark.parametrize("last_block", [always_dropping, with_shut_gates])
@each_net
def test_without_its_branch_a_block_passes_its_input_on(name: str, last_block: Callable[[str], Any]) -> None:
    block = last_block(name)
    channels = block.norm1.num_features * (4 if name == "resnet50" else 1)
    features = noise(3, channels, 2, 2).abs()

    assert torch.equal(block(features), features)


def test_the_dropped_share_grows_to_the_last_block() -> None:
    model = build("resnet34", width=4, drop_path=0.32)

    shares = [block.drop.drop_prob for block in model.blocks]

    assert shares == pytest.approx([0.02 * number for number in range(1, 17)])


@each_net
def test_images_of_one_pixel_are_large_enough(name: str) -> None:
    assert build(name, width=4).eval()(noise(2, 3, 1, 1)).shape == (2, 10)
