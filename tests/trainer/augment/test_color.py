from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps
from torch import Generator, Tensor

from trainer.augment import color

Enhance = ImageEnhance.Brightness | ImageEnhance.Contrast | ImageEnhance.Color | ImageEnhance.Sharpness
ByFactor = Callable[[Tensor, Tensor], Tensor]

LEVEL = 1 / 255
BY_FACTOR: dict[str, tuple[ByFactor, type[Enhance]]] = {
    "brightness": (color.brightness, ImageEnhance.Brightness),
    "contrast": (color.contrast, ImageEnhance.Contrast),
    "saturation": (color.saturation, ImageEnhance.Color),
    "sharpness": (color.sharpness, ImageEnhance.Sharpness),
}
FACTORS = [0.1, 0.55, 1.0, 1.3, 1.9]


def to_pillow(image: Tensor) -> Image.Image:
    pixels = (image * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def from_pillow(image: Image.Image) -> Tensor:
    pixels = np.atleast_3d(np.asarray(image)).astype(np.float32) / 255
    return torch.from_numpy(pixels).permute(2, 0, 1)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize(("ours", "pillows"), BY_FACTOR.values(), ids=BY_FACTOR)
def test_an_enhancement_is_pillows(photos: Tensor, ours: ByFactor, pillows: type[Enhance], factor: float) -> None:
    expected = torch.stack([from_pillow(pillows(to_pillow(image)).enhance(factor)) for image in photos])

    changed = ours(photos, torch.full((len(photos),), factor))

    # Pillow rounds the reference to 8 bits and cuts the blend off to 8 bits.
    torch.testing.assert_close(changed, expected, rtol=0, atol=2 * LEVEL)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", [1, 4, 7, 8])
def test_posterize_is_pillows_to_the_bit(photos: Tensor, bits: int, channels: int) -> None:
    images = photos[:, :channels]
    expected = torch.stack([from_pillow(ImageOps.posterize(to_pillow(image), bits)) for image in images])

    torch.testing.assert_close(color.posterize(images, torch.full((len(images),), bits)), expected)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("threshold", [0, 1, 100, 255, 256])
def test_solarize_is_pillows_to_the_bit(photos: Tensor, threshold: int, channels: int) -> None:
    images = photos[:, :channels]
    expected = torch.stack([from_pillow(ImageOps.solarize(to_pillow(image), threshold)) for image in images])

    changed = color.solarize(images, torch.full((len(images),), threshold / 255))

    torch.testing.assert_close(changed, expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_autocontrast_is_pillows_within_a_level(photos: Tensor, channels: int) -> None:
    images = photos[:, :channels]
    expected = torch.stack([from_pillow(ImageOps.autocontrast(to_pillow(image))) for image in images])

    torch.testing.assert_close(color.autocontrast(images), expected, rtol=0, atol=1.01 * LEVEL)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [20, 24], ids=["400 pixels", "480 pixels"])
def test_equalize_is_pillows_to_the_bit(photos: Tensor, side: int, channels: int) -> None:
    images = photos.repeat(1, 1, 3, 3)[:, :channels, :side]
    expected = torch.stack([from_pillow(ImageOps.equalize(to_pillow(image))) for image in images])

    torch.testing.assert_close(color.equalize(images), expected)


@pytest.mark.parametrize("change", [color.autocontrast, color.equalize])
def test_an_image_of_one_colour_keeps_it(change: Callable[[Tensor], Tensor]) -> None:
    flat = torch.tensor([0.0, 0.3, 1.0]).view(3, 1, 1, 1).expand(3, 3, 30, 30)

    assert torch.equal(change(flat), flat)


def test_one_channel_has_no_saturation_to_change(photos: Tensor) -> None:
    assert torch.equal(color.saturation(photos[:, :1], torch.full((12,), 0.2)), photos[:, :1])


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 5), (5, 2)])
def test_an_image_that_is_all_edge_is_not_sharpened(height: int, width: int, rng: Generator) -> None:
    images = torch.rand(4, 3, height, width, generator=rng)

    assert torch.equal(color.sharpness(images, torch.full((4,), 1.9)), images)


@pytest.mark.parametrize("name", BY_FACTOR)
def test_each_image_is_changed_by_its_own_factor(photos: Tensor, name: str) -> None:
    change = BY_FACTOR[name][0]
    factors = torch.linspace(0.1, 1.9, len(photos))

    together = change(photos, factors)

    alone = [change(photos[[n]], factors[[n]]) for n in range(len(photos))]
    torch.testing.assert_close(together, torch.cat(alone))


@given(strength=st.floats(0, 1), seed=st.integers(0, 1000), channels=st.sampled_from([1, 3]))
@settings(deadline=None)
def test_jitter_stays_in_range(strength: float, seed: int, channels: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    images = torch.rand(4, channels, 5, 6, generator=rng)

    changed = color.jitter(images, strength=strength, rng=rng)

    assert changed.min() >= 0
    assert changed.max() <= 1


def test_a_stronger_jitter_changes_more(photos: Tensor) -> None:
    weak, strong = (
        (color.jitter(photos, strength=strength, rng=torch.Generator().manual_seed(0)) - photos).abs().mean()
        for strength in (0.1, 0.5)
    )

    assert 0 < weak < strong


@pytest.mark.parametrize("chance", [0.0, 0.2, 1.0])
def test_images_lose_their_colours_with_their_chance(photos: Tensor, chance: float, rng: Generator) -> None:
    images = photos.repeat(60, 1, 1, 1)
    grey = torch.stack([from_pillow(to_pillow(image).convert("L")) for image in photos]).repeat(60, 1, 1, 1)

    changed = color.random_grey(images, chance=chance, rng=rng)

    is_grey = (changed == changed[:, :1]).flatten(1).all(1)
    assert is_grey.float().mean().item() == pytest.approx(chance, abs=0.06)
    torch.testing.assert_close(changed[is_grey], grey[is_grey].expand(-1, 3, -1, -1), rtol=0, atol=1.01 * LEVEL)
    assert torch.equal(changed[~is_grey], images[~is_grey])


def test_one_channel_is_grey_already(photos: Tensor, rng: Generator) -> None:
    assert torch.equal(color.random_grey(photos[:, :1], chance=1.0, rng=rng), photos[:, :1])
