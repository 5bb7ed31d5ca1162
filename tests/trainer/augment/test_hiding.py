import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from trainer.augment import hiding
from trainer.augment.color import GREY


@given(side=st.integers(1, 40), height=st.integers(1, 12), width=st.integers(1, 12), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_cutout_hides_exactly_one_square_clipped_at_the_border(side: int, height: int, width: int, seed: int) -> None:
    images = torch.full((20, 3, height, width), 2.0)  # no pixel is grey before

    hidden = hiding.cutout(images, side=side, rng=torch.Generator().manual_seed(seed)) == GREY

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
    hidden = hiding.cutout(torch.zeros(20_000, 1, 4, 5), side=1, rng=rng) == GREY

    torch.testing.assert_close(hidden.float().mean(0), torch.full((1, 4, 5), 1 / 20), rtol=0.15, atol=0)


@given(height=st.integers(1, 12), width=st.integers(1, 12), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_erasing_puts_noise_in_place_of_one_rectangle(height: int, width: int, seed: int) -> None:
    images = torch.full((20, 3, height, width), 2.0)  # no noise is as bright

    erased = hiding.erase(images, chance=1.0, rng=torch.Generator().manual_seed(seed))

    is_noise = erased != images
    assert (is_noise == is_noise[:, :1]).all()
    assert (erased[is_noise] < 1).all()
    for rectangle in is_noise[:, 0]:
        rows, columns = rectangle.any(1), rectangle.any(0)
        assert torch.equal(rectangle, rows[:, None] & columns[None, :])
        assert is_clipped_interval(rows, int(rows.sum()))
        assert is_clipped_interval(columns, int(columns.sum()))


def test_erased_rectangles_have_the_areas_and_aspects_of_the_paper(rng: Generator) -> None:
    images = torch.full((1200, 1, 100, 100), 2.0)

    is_noise = hiding.erase(images, chance=1.0, rng=rng)[:, 0] != 2

    heights, widths = is_noise.any(2).sum(1), is_noise.any(1).sum(1)
    areas = heights * widths / 100**2
    aspects = heights / widths
    assert 0.018 < areas.min() < 0.03
    assert 0.3 < areas.max() < 0.34
    assert areas.mean().item() == pytest.approx((0.02 + 0.33) / 2, abs=0.01)
    assert 0.28 < aspects.min() < 0.33
    assert 3.0 < aspects.max() < 3.6
    assert aspects.log().mean().item() == pytest.approx(math.log(0.3 * 3.3) / 2, abs=0.05)


@pytest.mark.parametrize("chance", [0.0, 0.25, 1.0])
def test_images_are_erased_with_their_chance(chance: float, rng: Generator) -> None:
    erased = hiding.erase(torch.full((2000, 1, 8, 8), 2.0), chance=chance, rng=rng)

    share = (erased != 2).flatten(1).any(1).float().mean().item()
    assert share == (pytest.approx(chance, abs=0.04) if 0 < chance < 1 else chance)


def test_the_noise_of_no_two_pixels_is_the_same(rng: Generator) -> None:
    erased = hiding.erase(torch.full((50, 3, 9, 9), 2.0), chance=1.0, rng=rng)

    noise = erased[erased != 2]
    assert len(noise.unique()) > 0.99 * len(noise)
