from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from trainer.augment import geometry

CROPS = {
    "small": (3, 6, 7, 2),
    "larger than the image": (1, 4, 5, 11),
    "one pixel high": (3, 1, 6, 3),
    "one pixel": (1, 1, 1, 2),
    "two pixels": (1, 2, 2, 5),
}


def cropped(image: np.ndarray, *, padding: int, down: int, right: int, flipped: bool) -> np.ndarray:
    """Flip one (C, H, W) image, pad it by reflection and cut out its own size."""
    height, width = image.shape[1:]
    image = image[:, :, ::-1] if flipped else image
    padded = np.pad(image, ((0, 0), (padding, padding), (padding, padding)), mode="reflect")
    return padded[:, padding + down :, padding + right :][:, :height, :width]


@pytest.mark.parametrize(("channels", "height", "width", "padding"), CROPS.values(), ids=CROPS)
def test_a_crop_equals_numpys_reflect_padding(channels: int, height: int, width: int, padding: int) -> None:
    rng = torch.Generator().manual_seed(0)
    images = torch.rand(40, channels, height, width, generator=rng)
    down = geometry.random_shifts(40, padding=padding, rng=rng)
    right = geometry.random_shifts(40, padding=padding, rng=rng)
    flipped = torch.arange(40) % 3 == 0

    ours = geometry.shift_and_flip(images, down=down, right=right, flipped=flipped)

    expected = [
        cropped(image, padding=padding, down=d, right=r, flipped=f)
        for image, d, r, f in zip(images.numpy(), down.tolist(), right.tolist(), flipped.tolist(), strict=True)
    ]
    np.testing.assert_array_equal(ours.numpy(), np.stack(expected))


@given(first=st.integers(0, 2**40), epoch=st.integers(0, 10_000))
@settings(deadline=None)
def test_two_successive_epochs_see_both_sides_of_every_image(first: int, epoch: int) -> None:
    indices = torch.arange(first, first + 50)

    now = geometry.alternating_flips(indices, epoch=epoch)
    then = geometry.alternating_flips(indices, epoch=epoch + 1)

    assert torch.equal(now, ~then)


@pytest.mark.parametrize("stride", [1, 2, 3, 10, 64, 5000])
@pytest.mark.parametrize("epoch", [0, 1])
def test_about_half_of_the_images_are_flipped_at_each_epoch(epoch: int, stride: int) -> None:
    flipped = geometry.alternating_flips(torch.arange(0, 10_000 * stride, stride), epoch=epoch)

    assert flipped.float().mean().item() == pytest.approx(0.5, abs=0.02)


def test_an_image_is_flipped_by_its_index_wherever_it_stands_in_the_batch() -> None:
    order = torch.randperm(100, generator=torch.Generator().manual_seed(0))

    shuffled = geometry.alternating_flips(order, epoch=3)

    assert torch.equal(shuffled, geometry.alternating_flips(torch.arange(100), epoch=3)[order])


@pytest.mark.parametrize("padding", ["reflection", "grey"])
@pytest.mark.parametrize("quarters", [-1, 0, 1, 2, 3, 4])
def test_quarter_turns_are_counter_clockwise_and_exact(
    photos: Tensor, quarters: int, padding: Literal["reflection", "grey"]
) -> None:
    square = photos[:, :, :20, :20]
    matrices = geometry.rotations(torch.full((len(square),), 90.0 * quarters))

    turned = geometry.warp(square, matrices, padding=padding)

    torch.testing.assert_close(turned, square.rot90(quarters, (2, 3)), rtol=0, atol=1e-4)


def test_half_turns_are_exact_on_oblong_images(photos: Tensor) -> None:
    turned = geometry.warp(photos, geometry.rotations(torch.full((len(photos),), 180.0)), padding="reflection")

    torch.testing.assert_close(turned, photos.flip(2, 3), rtol=0, atol=1e-4)


def test_a_rotation_brings_in_no_colour_that_was_not_there(rng: Generator) -> None:
    flat = torch.full((50, 3, 9, 13), 0.7)

    turned = geometry.rotate(flat, degrees=180, rng=rng)

    torch.testing.assert_close(turned, flat)


@pytest.mark.parametrize(("degrees", "other"), [(1.0, 10.0), (10.0, 45.0)])
def test_a_larger_rotation_changes_more(photos: Tensor, degrees: float, other: float) -> None:
    small, large = (
        (geometry.rotate(photos, degrees=angle, rng=torch.Generator().manual_seed(0)) - photos).abs().mean()
        for angle in (degrees, other)
    )

    assert 0 < small < large


@given(side=st.integers(1, 40), height=st.integers(1, 12), width=st.integers(1, 12), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_cutout_hides_exactly_one_square_clipped_at_the_border(side: int, height: int, width: int, seed: int) -> None:
    images = torch.full((20, 3, height, width), 2.0)  # no pixel is grey before

    hidden = geometry.cutout(images, side=side, rng=torch.Generator().manual_seed(seed)) == geometry.GREY

    assert (hidden == hidden[:, :1]).all()
    for square in hidden[:, 0]:
        rows, columns = square.any(1), square.any(0)
        # A full rectangle, without holes, no longer than the side and shorter only at a border.
        assert torch.equal(square, rows[:, None] & columns[None, :])
        assert is_clipped_interval(rows, side)
        assert is_clipped_interval(columns, side)


def is_clipped_interval(inside: Tensor, side: int) -> bool:
    """Say whether true places follow each other, `side` of them or fewer where they touch an end."""
    places = inside.nonzero().flatten().tolist()
    touches = places[0] == 0 or places[-1] == len(inside) - 1
    without_holes = places[-1] - places[0] + 1 == len(places)
    return without_holes and (len(places) == side or (len(places) < side and touches))


def test_the_centre_of_a_cutout_is_every_pixel_equally_often(rng: Generator) -> None:
    hidden = geometry.cutout(torch.zeros(20_000, 1, 4, 5), side=1, rng=rng) == geometry.GREY

    torch.testing.assert_close(hidden.float().mean(0), torch.full((1, 4, 5), 1 / 20), rtol=0.15, atol=0)
