"""Histograms of oriented gradients against those of scikit-image."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.feature import hog
from torch import Tensor

from trainer.classical.hog import Hog


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def theirs(images: Tensor, *, cell: int, orientations: int, block: int = 2) -> NDArray[np.float64]:
    """Return the (N, D) features that scikit-image finds."""
    return np.stack(
        [
            hog(
                image,
                orientations=orientations,
                pixels_per_cell=(cell, cell),
                cells_per_block=(block, block),
                block_norm="L2-Hys",
                channel_axis=-1,
            )
            for image in images.permute(0, 2, 3, 1).double().numpy()
        ]
    )


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("side", "cell"), [(32, 8), (33, 8), (16, 5), (8, 2), (16, 8), (64, 4)])
def test_features_are_those_of_scikit_image(side: int, cell: int, channels: int) -> None:
    images = noise(3, channels, side, side)

    found = Hog(cell=cell, orientations=9)(images)

    np.testing.assert_allclose(found, theirs(images, cell=cell, orientations=9), atol=1e-4)


@given(orientations=st.integers(2, 20), cell=st.integers(2, 8), seed=st.integers(0, 1000))
def test_any_number_of_directions_gives_the_features_of_scikit_image(orientations: int, cell: int, seed: int) -> None:
    images = noise(1, 2, 16, 16, seed=seed)

    found = Hog(cell=cell, orientations=orientations)(images)

    np.testing.assert_allclose(found, theirs(images, cell=cell, orientations=orientations), atol=1e-4)


def test_edges_along_the_axes_fall_where_those_of_scikit_image_do() -> None:
    steps = torch.arange(16) // 4 % 2
    images = torch.stack([steps.expand(16, 16), steps.view(-1, 1).expand(16, 16), 1 - steps.expand(16, 16)])
    images = images.unsqueeze(1).float()

    found = Hog(cell=4, orientations=9)(images)

    np.testing.assert_allclose(found, theirs(images, cell=4, orientations=9), atol=1e-4)
    assert torch.equal(found[0], found[2]), "from dark to light and from light to dark are one direction"


def test_an_image_of_one_cell_is_one_block() -> None:
    images = noise(2, 1, 8, 8)

    found = Hog(cell=8, orientations=6)(images)

    np.testing.assert_allclose(found, theirs(images, cell=8, orientations=6, block=1), atol=1e-4)


@pytest.mark.parametrize(("side", "cell", "orientations"), [(32, 8, 9), (33, 5, 4), (8, 8, 2), (9, 4, 3)])
def test_features_are_counted_before_there_are_any(side: int, cell: int, orientations: int) -> None:
    layer = Hog(cell=cell, orientations=orientations)

    assert layer(noise(1, 1, side, side)).shape == (1, layer.num_features(side, side))


def test_an_image_of_one_colour_has_no_edges() -> None:
    found = Hog(cell=4, orientations=9)(torch.full((1, 3, 8, 8), 0.3))

    assert not found.any()


def test_brighter_images_and_those_of_more_contrast_have_the_same_features() -> None:
    images, layer = noise(2, 3, 16, 16), Hog(cell=4, orientations=9)

    torch.testing.assert_close(layer(images), layer(3 * images + 7), rtol=0, atol=1e-4)
