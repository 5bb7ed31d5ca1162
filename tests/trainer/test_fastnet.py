import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.trainer.short_jobs import Splits
from trainer.models import initialise_from_data
from trainer.models.fastnet import HEAD_SHARE, PATCH, WHITENING_EPS, FastNet


def net(*, channels: int = 3, width: float = 0.1) -> FastNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return FastNet(channels=channels, num_classes=10, width=width, depth=2)


def second_moments(model: FastNet, images: Tensor) -> Tensor:
    """Return the mean products of all pairs of the first layer's outputs, before their bias."""
    outputs = F.conv2d(images, model.whiten.weight).transpose(0, 1).flatten(1).double()
    return outputs @ outputs.T / outputs.shape[1]


@pytest.fixture
def images(splits: Splits) -> Tensor:
    pixels, _ = splits.train.take(torch.arange(len(splits.train)))
    return splits.train.normalise(pixels)


def test_the_net_has_as_many_parameters_as_was_published() -> None:
    whitening = 24 * 3 * 2 * 2 + 24
    filters = 9 * (24 * 64 + 64 * 64 + 64 * 256 + 3 * 256 * 256)
    norms = 2 * 2 * (64 + 256 + 256)
    head = 256 * 10

    model = net(width=1.0)

    assert sum(p.numel() for p in model.parameters()) == whitening + filters + norms + head == 1_972_792


def test_whitened_patches_have_unit_covariance(images: Tensor) -> None:
    model = net()

    initialise_from_data(model, lambda: [images])

    half = model.whiten.out_channels // 2
    torch.testing.assert_close(second_moments(model, images)[:half, :half], torch.eye(half).double(), rtol=0, atol=0.05)


def test_what_is_missing_to_unit_covariance_is_the_floor_of_the_variances(images: Tensor) -> None:
    model = net()
    patches = F.unfold(images, PATCH).transpose(1, 2).flatten(0, 1).double()
    variances = torch.linalg.eigvalsh(patches.T @ patches / len(patches)).flip(0)

    initialise_from_data(model, lambda: [images])

    half = model.whiten.out_channels // 2
    torch.testing.assert_close(
        second_moments(model, images).diagonal()[:half],
        variances / (variances + WHITENING_EPS),
        rtol=1e-4,
        atol=1e-4,
    )


def test_every_whitening_filter_stands_beside_its_negative(images: Tensor) -> None:
    model = net()

    initialise_from_data(model, lambda: [images])

    filters, negatives = model.whiten.weight.chunk(2)
    assert torch.equal(filters, -negatives)


def test_the_filters_of_the_largest_variance_come_first(images: Tensor) -> None:
    model = net()

    initialise_from_data(model, lambda: [images])

    lengths = model.whiten.weight.chunk(2)[0].flatten(1).norm(dim=1)
    assert (lengths.diff() >= 0).all()


def test_whitening_is_no_part_of_training(images: Tensor) -> None:
    model = net()
    initialise_from_data(model, lambda: [images])

    model(images).sum().backward()

    assert model.whiten.weight.grad is None
    assert model.whiten.bias is not None
    assert model.whiten.bias.grad is not None


@pytest.mark.parametrize("value", [0.0, 1.5])
def test_images_without_any_contrast_give_filters_of_finite_length(value: float) -> None:
    model = net(channels=1)

    initialise_from_data(model, lambda: [torch.full((4, 1, 8, 8), value)])

    assert model.whiten.weight.isfinite().all()


def test_whitening_does_not_depend_on_the_portions() -> None:
    some = torch.randn((600, 1, 3, 3), generator=torch.Generator().manual_seed(0))
    first, second = (FastNet(channels=1, num_classes=2, width=0.25, depth=1) for _ in range(2))

    initialise_from_data(first, lambda: [some])
    initialise_from_data(second, lambda: some.split(250))

    torch.testing.assert_close(first.whiten.weight.abs(), second.whiten.weight.abs(), rtol=1e-4, atol=1e-5)


def test_a_filter_begins_by_passing_its_input_on() -> None:
    model = net(width=1.0)
    features = torch.randn((2, 24, 6, 6), generator=torch.Generator().manual_seed(0))

    _, first, *_ = (module for module in model.modules() if isinstance(module, nn.Conv2d))

    torch.testing.assert_close(first(features)[:, :24], features)


def test_the_head_begins_with_logits_near_nothing() -> None:
    assert net(width=1.0).head.weight.std().item() * HEAD_SHARE == pytest.approx(1 / 256)


@pytest.mark.parametrize(("width", "channels"), [(0.1, 8), (0.5, 32), (1.0, 64), (2.0, 128)])
def test_width_scales_the_channels_in_steps_of_eight(width: float, channels: int) -> None:
    first = next(module for module in net(width=width).modules() if isinstance(module, nn.BatchNorm2d))

    assert first.num_features == channels
