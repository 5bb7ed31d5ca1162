import importlib
import math
from functools import reduce
from types import ModuleType
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import Generator, Tensor

from trainer.augment import draws, warps
from trainer.libraries import import_torchvision
from trainer.settings import Augment


@pytest.fixture(scope="module")
def functional() -> ModuleType:
    """torchvision's functions of single images."""
    import_torchvision()
    return importlib.import_module("torchvision.transforms.v2.functional")


def seeded(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("padding", ["reflection", "grey"])
@pytest.mark.parametrize("quarters", [-1, 0, 1, 2, 3, 4])
def test_quarter_turns_are_counter_clockwise_and_exact(
    photos: Tensor, quarters: int, padding: Literal["reflection", "grey"]
) -> None:
    square = photos[:, :, :20, :20]
    matrices = warps.rotations(torch.full((len(square),), 90.0 * quarters))

    turned = warps.warp(square, matrices, padding=padding)

    torch.testing.assert_close(turned, square.rot90(quarters, (2, 3)), rtol=0, atol=1e-4)


def test_half_turns_are_exact_on_oblong_images(photos: Tensor) -> None:
    turned = warps.warp(photos, warps.rotations(torch.full((len(photos),), 180.0)), padding="reflection")

    torch.testing.assert_close(turned, photos.flip(2, 3), rtol=0, atol=1e-4)


def test_a_rotation_brings_in_no_colour_that_was_not_there(rng: Generator) -> None:
    flat = torch.full((50, 3, 9, 13), 0.7)

    turned = warps.random_warp(flat, Augment(rotation=180), rng=rng)

    torch.testing.assert_close(turned, flat)


@pytest.mark.parametrize(("degrees", "other"), [(1.0, 10.0), (10.0, 45.0)])
def test_a_larger_rotation_changes_more(photos: Tensor, degrees: float, other: float) -> None:
    small, large = (
        (warps.random_warp(photos, Augment(rotation=angle), rng=seeded()) - photos).abs().mean()
        for angle in (degrees, other)
    )

    assert 0 < small < large


@pytest.mark.parametrize(
    ("angle", "scale", "shear"),
    [(0.0, 1.0, (0.0, 0.0)), (20.0, 1.0, (0.0, 0.0)), (0.0, 0.8, (0.0, 0.0)), (-30.0, 1.3, (12.0, -7.0))],
)
def test_maps_that_follow_each_other_make_torchvisions_affine_map(
    functional: ModuleType, photos: Tensor, angle: float, scale: float, shear: tuple[float, float]
) -> None:
    num = len(photos)
    x, y = (torch.full((num,), math.tan(math.radians(degrees))) for degrees in shear)
    nothing, moved = torch.zeros(num), torch.ones(num)
    maps = [
        warps.shears(x, nothing),
        warps.shears(nothing, y),
        warps.scales(torch.full((num,), scale)),
        warps.rotations(torch.full((num,), -angle)),  # torchvision turns clockwise
        warps.translations(-3 * moved, 2 * moved),  # fetched from the other side of where it goes to
    ]
    matrices = reduce(warps.followed_by, maps)
    expected = functional.affine(
        photos,
        angle=angle,
        translate=[3, -2],
        scale=scale,
        shear=list(shear),
        interpolation=functional.InterpolationMode.BILINEAR,
    )

    warped = warps.warp(photos, matrices, padding="reflection")

    is_inside = warps.warp(torch.ones_like(photos), matrices, padding="grey") > 0.999
    assert is_inside.float().mean() > 0.4
    torch.testing.assert_close(warped[is_inside], expected[is_inside], rtol=0, atol=1e-4)


def test_a_warp_that_follows_another_sees_what_that_has_made(photos: Tensor) -> None:
    square, num = photos[:, :, :20, :20], len(photos)
    turn = warps.rotations(torch.full((num,), 90.0))
    move = warps.translations(torch.full((num,), 3.0), torch.full((num,), -2.0))

    together = warps.warp(square, warps.followed_by(turn, move), padding="reflection")

    in_turn = warps.warp(warps.warp(square, turn, padding="reflection"), move, padding="reflection")
    torch.testing.assert_close(together, in_turn, rtol=0, atol=1e-4)  # none of the two blurs


@pytest.mark.parametrize(("top", "left", "height", "width"), [(3, 2, 12, 10), (0, 0, 24, 20), (11, 1, 9, 19)])
def test_a_crop_is_torchvisions_resized_crop(
    functional: ModuleType, photos: Tensor, top: int, left: int, height: int, width: int
) -> None:
    num, _, full_height, full_width = photos.shape
    expected = functional.resized_crop(photos, top, left, height, width, [full_height, full_width], antialias=False)
    shares = torch.full((num,), width / full_width), torch.full((num,), height / full_height)
    x = torch.full((num,), left + width / 2 - full_width / 2)
    y = torch.full((num,), top + height / 2 - full_height / 2)

    cropped = warps.warp(photos, warps.crops(*shares, x, y), padding="reflection")

    rows, columns = inner(full_height, height), inner(full_width, width)
    torch.testing.assert_close(cropped[..., rows, columns], expected[..., rows, columns], rtol=0, atol=1e-4)


def inner(length: int, part: int) -> slice:
    """Return the pixels that torchvision, which cuts out first, does not make from a repeated edge."""
    edge = math.ceil(length / part / 2)
    return slice(edge, length - edge)


@given(
    smallest=st.floats(0.01, 0.999),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_crops_lie_within_the_image_and_have_the_areas_and_aspects_asked_for(
    smallest: float, height: int, width: int, seed: int
) -> None:
    matrices = warps.random_crops(50, height, width, smallest=smallest, rng=seeded(seed))

    wide, high = matrices[:, 0, 0], matrices[:, 1, 1]
    aspects = wide / high
    assert (wide * high >= smallest * 0.999).all()
    assert (aspects <= 4 / 3 * 1.001).all()
    assert (aspects >= 3 / 4 * 0.999).all()
    for share, centre, side in ((wide, matrices[:, 0, 2], width), (high, matrices[:, 1, 2], height)):
        assert (centre.abs() + share * side / 2 <= side / 2 * 1.001).all()


def test_crops_of_every_area_come_equally_often_and_everywhere(rng: Generator) -> None:
    matrices = warps.random_crops(20_000, 32, 32, smallest=0.2, rng=rng)

    areas = matrices[:, 0, 0] * matrices[:, 1, 1]
    shares = torch.linspace(0.2, 1, 9)
    assert (areas[:, None] <= shares).float().mean(0).tolist() == pytest.approx(
        [number / 8 for number in range(9)], abs=0.02
    )
    for axis, other in ((0, 0), (1, 1)):
        free = (1 - matrices[:, axis, other]) * 16
        assert (matrices[:, axis, 2] / free).abs().mean().item() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("sigma", [1.0, 4.0])
def test_an_elastic_deformation_is_scipys(photos: Tensor, sigma: float) -> None:
    num, _, height, width = photos.shape
    deformed = warps.random_warp(photos, Augment(elastic=30.0, elastic_sigma=sigma), rng=seeded(5))

    noise = draws.uniform(num * 2 * height * width, -1, 1, rng=seeded(5)).view(num, 2, height, width).double().numpy()
    y, x = np.mgrid[:height, :width]
    for image, (right, down), ours in zip(photos.numpy(), noise, deformed.numpy(), strict=True):
        there = [
            place + 30.0 * ndimage.gaussian_filter(field, sigma, mode="mirror")
            for place, field in ((y, down), (x, right))
        ]
        expected = [ndimage.map_coordinates(channel, there, order=1, mode="reflect") for channel in image]
        np.testing.assert_allclose(ours, np.stack(expected), rtol=0, atol=2e-4)


def test_a_rotation_alone_draws_what_it_has_always_drawn(photos: Tensor) -> None:
    turned = warps.random_warp(photos, Augment(rotation=20), rng=seeded(3))

    angles = torch.rand(len(photos), generator=seeded(3)) * 40 - 20
    assert torch.equal(turned, warps.warp(photos, warps.rotations(angles), padding="reflection"))


def test_a_warp_of_no_strength_changes_nothing_and_draws_nothing(photos: Tensor, rng: Generator) -> None:
    before = rng.get_state()

    assert warps.random_warp(photos, Augment(), rng=rng) is photos
    assert torch.equal(rng.get_state(), before)


@pytest.mark.parametrize(
    "weak",
    [
        Augment(crop_scale=0.99999),
        Augment(shear=1e-4),
        Augment(scale=1e-6),
        Augment(translate=1e-6),
        Augment(elastic=1e-4),
        Augment(crop_scale=0.99999, shear=1e-4, scale=1e-6, rotation=1e-4, translate=1e-6, elastic=1e-4),
    ],
    ids=str,
)
def test_a_warp_of_hardly_any_strength_changes_hardly_anything(photos: Tensor, weak: Augment, rng: Generator) -> None:
    torch.testing.assert_close(warps.random_warp(photos, weak, rng=rng), photos, rtol=0, atol=2e-3)


@pytest.mark.parametrize(
    ("weak", "strong"),
    [
        (Augment(crop_scale=0.9), Augment(crop_scale=0.3)),
        (Augment(shear=3), Augment(shear=20)),
        (Augment(scale=0.05), Augment(scale=0.5)),
        (Augment(translate=0.02), Augment(translate=0.2)),
        (Augment(elastic=5.0), Augment(elastic=50.0)),
    ],
    ids=str,
)
def test_a_stronger_warp_changes_more(photos: Tensor, weak: Augment, strong: Augment) -> None:
    less, more = ((warps.random_warp(photos, one, rng=seeded()) - photos).abs().mean() for one in (weak, strong))

    assert 0 < less < more


def drawn(settings: Augment, rng: Generator) -> Tensor:
    """Return the (3000, 2, 3) matrices of the one map that is asked for, of images of 10 x 20 pixels."""
    (matrices,) = warps.random_maps(3000, 10, 20, settings, rng=rng)
    return matrices


def test_shears_go_both_ways_up_to_their_angle_and_keep_the_area(rng: Generator) -> None:
    matrices = drawn(Augment(shear=45), rng)

    slopes = matrices[:, 1, 0]  # the other slope is sheared itself
    assert slopes.min().item() == pytest.approx(-1.0, abs=0.01)
    assert slopes.max().item() == pytest.approx(1.0, abs=0.01)
    torch.testing.assert_close(torch.linalg.det(matrices[:, :, :2]), torch.ones(3000))


def test_scales_enlarge_as_much_as_they_shrink(rng: Generator) -> None:
    matrices = drawn(Augment(scale=1.0), rng)

    sizes = 1 / matrices[:, 0, 0]
    assert torch.equal(matrices[:, 0, 0], matrices[:, 1, 1])
    assert sizes.min().item() == pytest.approx(0.5, abs=0.01)
    assert sizes.max().item() == pytest.approx(2.0, abs=0.01)
    assert sizes.log().mean().item() == pytest.approx(0.0, abs=0.05)


def test_translations_are_shares_of_each_side(rng: Generator) -> None:
    moved = drawn(Augment(translate=0.25), rng)[:, :, 2]

    assert moved.abs().amax(0).tolist() == pytest.approx([5.0, 2.5], abs=0.02)
    assert moved.mean(0).tolist() == pytest.approx([0.0, 0.0], abs=0.2)
