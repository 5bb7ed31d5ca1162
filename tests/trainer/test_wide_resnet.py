"""Wide residual nets: sizes of the paper's tables, and its formulas written out."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.models.wide_resnet import WideResNet
from trainer.settings import WideResNet as Settings


def build(*, blocks: int, width: int, channels: int = 3, num_classes: int = 10, **drops: float) -> WideResNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        settings = Settings(blocks=blocks, width=width, **drops)
        return WideResNet(settings, channels=channels, num_classes=num_classes)


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def size_by_formula(blocks: int, width: int) -> int:
    """Parameters for RGB images and ten classes, layer by layer from Table 1 of the paper."""
    total, before = 9 * 3 * 16, 16
    for after in (16 * width, 32 * width, 64 * width):
        for _ in range(blocks):
            total += 2 * before + 9 * before * after + 2 * after + 9 * after**2 + (before != after) * before * after
            before = after
    return total + 2 * before + 10 * before + 10


@pytest.mark.parametrize(
    ("blocks", "width", "millions", "num_parameters"),
    [
        pytest.param(2, 4, 2.7, 2_748_890, id="WRN-16-4"),
        pytest.param(2, 8, 11.0, 10_961_370, id="WRN-16-8"),
        pytest.param(6, 4, 8.9, 8_949_210, id="WRN-40-4"),
        pytest.param(4, 10, 36.5, 36_479_194, id="WRN-28-10"),
    ],
)
def test_a_net_has_as_many_parameters_as_was_published(
    blocks: int, width: int, millions: float, num_parameters: int
) -> None:
    model = build(blocks=blocks, width=width)

    assert sum(p.numel() for p in model.parameters()) == num_parameters == size_by_formula(blocks, width)
    assert round(num_parameters / 1e6, 1) == millions


@pytest.mark.parametrize(("blocks", "width"), [(1, 1), (2, 1), (3, 2)])
def test_a_net_has_two_filter_layers_a_block_and_one_before_them(blocks: int, width: int) -> None:
    model = build(blocks=blocks, width=width)

    filters = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3)]
    assert len(filters) == 6 * blocks + 1


def reference(model: WideResNet, images: Tensor) -> Tensor:
    """A net of two blocks a stage written out, with batch norms in training."""
    weights = dict(model.named_parameters())

    def norm_relu(features: Tensor, name: str) -> Tensor:
        scale, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return F.relu(F.batch_norm(features, None, None, scale, bias, training=True))

    features = F.conv2d(images, weights["stem.weight"], padding=1)
    for number, stride in enumerate([1, 1, 2, 1, 2, 1]):
        name = f"blocks.{number}"
        active = norm_relu(features, f"{name}.norm1")
        inner = F.conv2d(active, weights[f"{name}.filters1.weight"], stride=stride, padding=1)
        inner = F.conv2d(norm_relu(inner, f"{name}.norm2"), weights[f"{name}.filters2.weight"], padding=1)
        if number % 2 == 0:
            features = F.conv2d(active, weights[f"{name}.projection.weight"], stride=stride)
        features = features + inner
    pooled = F.avg_pool2d(norm_relu(features, "norm"), features.shape[-1]).flatten(1)
    return F.linear(pooled, weights["head.weight"], weights["head.bias"])


def test_a_net_computes_what_its_paper_says() -> None:
    model = build(blocks=2, width=2)
    images = noise(4, 3, 12, 12)

    torch.testing.assert_close(model.train()(images), reference(model, images), rtol=1e-4, atol=1e-5)


def test_a_shortcut_is_projected_only_where_the_shape_changes() -> None:
    blocks = build(blocks=2, width=1).blocks

    projected = [block.projection is not None for block in blocks]

    assert projected == [False, False, True, False, True, False]


def test_dropout_stands_between_the_filters_of_every_block() -> None:
    block = build(blocks=1, width=1, dropout=1 - 1e-12).train().blocks[0]
    features = noise(4, 16, 4, 4)

    assert torch.equal(block(features), features), "nothing reaches the second filters, which have no bias"


def test_a_branch_is_dropped_for_some_images_and_doubled_for_the_others() -> None:
    kept, dropping = (build(blocks=2, width=1, drop_path=share).train().blocks[-1] for share in (0.0, 0.5))
    features = noise(64, 64, 2, 2)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        branches = dropping(features) - features

    whole = kept(features) - features
    is_dropped = ~branches.flatten(1).any(dim=1)
    assert 16 < is_dropped.sum() < 48
    torch.testing.assert_close(branches[~is_dropped], 2 * whole[~is_dropped], rtol=1e-4, atol=1e-5)


def test_filters_begin_with_the_spread_that_keeps_a_signal() -> None:
    model = build(blocks=1, width=4)

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            fan_in = layer.weight[0].numel()
            assert layer.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.1)
