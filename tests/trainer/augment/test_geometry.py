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


def test_a_vertical_flip_turns_about_half_upside_down_and_leaves_the_rest(photos: Tensor, rng: Generator) -> None:
    result = geometry.random_vertical_flip(photos[:1].expand(400, -1, -1, -1), rng=rng)

    is_flipped, is_same = ((result == look).flatten(1).all(1) for look in (photos[:1].flip(2), photos[:1]))
    assert torch.equal(is_flipped, ~is_same)
    assert 160 <= is_flipped.sum() <= 240


@pytest.mark.parametrize(("width", "quarters"), [(24, (0, 1, 2, 3)), (20, (0, 2))], ids=["square", "oblong"])
def test_every_quarter_turn_that_fits_is_taken_equally_often(
    photos: Tensor, rng: Generator, width: int, quarters: tuple[int, ...]
) -> None:
    square = torch.cat([photos, photos[..., :4]], dim=3)[:1, :, :, :width]

    result = geometry.random_quarter_turns(square.expand(800, -1, -1, -1), rng=rng)

    taken = torch.stack([(result == square.rot90(number, (2, 3))).flatten(1).all(1) for number in quarters])
    assert (taken.sum(0) == 1).all()
    assert taken.float().mean(1).tolist() == pytest.approx([1 / len(quarters)] * len(quarters), abs=0.06)
