"""Layers that several of our networks share, against timm's and against what their sources say."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.libraries import import_timm
from trainer.models.layers import SqueezeExcite, initialise_for_relu, path_droppers, thinned


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Draw the same in every run."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def test_gates_are_those_of_timm() -> None:
    ours, theirs = SqueezeExcite(32, reduction=8), import_timm().layers.SEModule(32, rd_channels=4)
    nn.init.normal_(ours.excite.bias)
    shapes = {name: tensor.shape for name, tensor in theirs.state_dict().items()}
    pairs = zip(shapes, ours.state_dict().values(), strict=True)
    theirs.load_state_dict({name: tensor.reshape(shapes[name]) for name, tensor in pairs})
    features = torch.randn(5, 32, 3, 4)

    torch.testing.assert_close(ours(features), theirs(features))


@pytest.mark.parametrize(("channels", "reduction", "hidden"), [(64, 16, 4), (64, 1, 64), (20, 8, 2), (4, 16, 1)])
def test_gates_come_from_so_many_times_fewer_units_and_from_one_at_least(
    channels: int, reduction: int, hidden: int
) -> None:
    layer = SqueezeExcite(channels, reduction=reduction)

    shapes = [tuple(parameter.shape) for parameter in layer.parameters()]
    assert shapes == [(hidden, channels), (hidden,), (channels, hidden), (channels,)]


def test_hidden_units_of_a_gate_begin_awake_for_about_half_of_the_images() -> None:
    layer = SqueezeExcite(64, reduction=16)

    awake = (layer.squeeze(torch.randn(2000, 64)) > 0).float().mean(dim=0)

    assert (awake - 0.5).abs().max() < 0.05


def test_paths_are_dropped_the_more_the_deeper_they_lie() -> None:
    shares = [layer.drop_prob for layer in path_droppers(0.4, 4)]

    assert shares == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_paths_that_are_never_dropped_are_left_alone() -> None:
    features = torch.randn(4, 2, 3, 3)

    assert all(layer(features) is features for layer in path_droppers(0.0, 3))


def test_a_path_is_dropped_for_whole_images_and_scaled_up_for_the_others() -> None:
    (layer,) = path_droppers(0.4, 1)

    found = layer(torch.ones(20_000, 2, 2, 2)).flatten(1)

    assert torch.equal(found.amin(dim=1), found.amax(dim=1))
    assert found.unique().tolist() == pytest.approx([0.0, 1 / 0.6])
    assert found.mean().item() == pytest.approx(1.0, abs=0.02)


def test_in_evaluation_no_path_is_dropped() -> None:
    (layer,) = path_droppers(0.9, 1)
    features = torch.randn(4, 2, 3, 3)

    assert torch.equal(layer.eval()(features), features)


@pytest.mark.parametrize("side", [1, 4, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_small_filter_on_thinned_features_is_one_with_a_stride(side: int, stride: int) -> None:
    features, filters = torch.randn(2, 8, side, side), torch.randn(6, 8, 1, 1)

    torch.testing.assert_close(F.conv2d(thinned(features, stride), filters), F.conv2d(features, filters, stride=stride))


def signal_behind(layers: list[nn.Conv2d | nn.Linear], features: Tensor) -> float:
    """Return by how much the mean square of a signal grows through layers with a ReLU behind each."""
    before = F.relu(features)
    after = before
    for layer in layers:
        after = F.relu(layer(after))
    return (after.square().mean() / before.square().mean()).item()


def test_a_signal_keeps_its_size_through_many_layers() -> None:
    linear: list[nn.Conv2d | nn.Linear] = [nn.Linear(500, 500) for _ in range(10)]
    filters: list[nn.Conv2d | nn.Linear] = [nn.Conv2d(64, 64, 3, padding=1, padding_mode="circular") for _ in range(10)]
    images, vectors = torch.randn(8, 64, 6, 6), torch.randn(64, 500)
    lost = signal_behind(linear, vectors), signal_behind(filters, images)

    initialise_for_relu(*linear, *filters)

    assert max(lost) < 1e-2, "torch's own weights lose it, or this test shows nothing"
    assert 0.5 < signal_behind(linear, vectors) < 2
    assert 0.5 < signal_behind(filters, images) < 2


def test_weights_have_the_spread_of_their_source_and_biases_are_nothing() -> None:
    filters, linear = nn.Conv2d(32, 64, 3), nn.Linear(300, 200)

    initialise_for_relu(filters, linear)

    assert filters.weight.std().item() == pytest.approx((2 / (9 * 32)) ** 0.5, rel=0.03)
    assert linear.weight.std().item() == pytest.approx((2 / 300) ** 0.5, rel=0.03)
    assert not any(layer.bias.any() for layer in (filters, linear) if layer.bias is not None)
