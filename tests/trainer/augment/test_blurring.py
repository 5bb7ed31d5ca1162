import importlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import Generator, Tensor

from trainer.augment import blurring
from trainer.libraries import import_torchvision


@pytest.mark.parametrize("radius", [1, 4])
@pytest.mark.parametrize("sigma", [0.1, 0.7, 2.0])
def test_a_blur_is_torchvisions(photos: Tensor, sigma: float, radius: int) -> None:
    import_torchvision()
    functional = importlib.import_module("torchvision.transforms.v2.functional")
    side = 2 * radius + 1
    expected = functional.gaussian_blur(photos, [side, side], [sigma, sigma])

    blurred = blurring.gaussian(photos, torch.full((len(photos),), sigma), radius=radius)

    torch.testing.assert_close(blurred, expected, rtol=0, atol=1e-5)


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    sigma=st.floats(0.3, 5),
    channels=st.sampled_from([1, 2, 3]),
)
@settings(max_examples=40, deadline=None)
def test_smoothing_is_scipys_however_small_the_image(height: int, width: int, sigma: float, channels: int) -> None:
    maps = torch.randn(4, channels, height, width, generator=torch.Generator().manual_seed(0))
    expected = ndimage.gaussian_filter(maps.double().numpy(), sigma, mode="mirror", axes=(2, 3), truncate=4)

    smoothed = blurring.gaussian(maps, torch.full((4,), sigma), radius=int(4 * sigma + 0.5))

    np.testing.assert_allclose(smoothed.numpy(), expected, rtol=0, atol=1e-5)


def test_each_image_is_smoothed_by_its_own_sigma(photos: Tensor) -> None:
    sigmas = torch.linspace(0.1, 2, len(photos))

    together = blurring.gaussian(photos, sigmas, radius=3)

    alone = [blurring.gaussian(photos[[n]], sigmas[[n]], radius=3) for n in range(len(photos))]
    torch.testing.assert_close(together, torch.cat(alone))


@pytest.mark.parametrize("chance", [0.0, 0.3, 1.0])
def test_images_are_blurred_with_their_chance(photos: Tensor, chance: float, rng: Generator) -> None:
    images = photos[:1].expand(600, -1, -1, -1)

    blurred = blurring.random_blur(images, chance=chance, rng=rng)

    # A sigma of less than 0.2 blurs by less than a float can hold.
    share = (blurred != images).flatten(1).any(1).float().mean().item()
    assert share == pytest.approx(0.97 * chance, abs=0.07)


def test_a_blur_reaches_a_tenth_of_the_side_and_at_least_a_pixel() -> None:
    for side, reach in ((8, 1), (32, 1), (100, 5)):
        point = torch.zeros(1, 1, side, side)
        point[..., side // 2, side // 2] = 1

        blurred = [
            blurring.random_blur(point, chance=1.0, rng=torch.Generator().manual_seed(seed)) for seed in range(20)
        ]

        rows = (torch.cat(blurred) > 0).any(0).any(2).nonzero()[:, 1]
        assert (rows.min(), rows.max()) == (side // 2 - reach, side // 2 + reach)
