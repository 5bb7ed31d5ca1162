from dataclasses import fields, replace

import pytest
import torch
from torch import Generator, Tensor

from trainer.augment import augment_images, color, flips_at_most, geometry, hiding, warps
from trainer.augment.randaugment import randaugment
from trainer.settings import Augment, asked_for, left_out

ALONE = {
    "crop": Augment(crop_padding=3),
    "random flip": Augment(flip="random"),
    "alternating flip": Augment(flip="alternating"),
    "cutout": Augment(cutout=5),
    "jitter": Augment(color_jitter=0.4),
    "rotation": Augment(rotation=20),
    "randaugment": Augment(randaugment_ops=2, randaugment_magnitude=8),
    "vertical flip": Augment(vertical_flip=True),
    "quarter turns": Augment(quarter_turns=True),
    "crop scale": Augment(crop_scale=0.3),
    "shear": Augment(shear=20),
    "translate": Augment(translate=0.2),
    "scale": Augment(scale=0.5),
    "elastic": Augment(elastic=20.0, elastic_sigma=2.0),
    "grey": Augment(grey=0.5),
    "blur": Augment(blur=0.8),
    "trivialaugment": Augment(policy="trivialaugment"),
    "autoaugment cifar10": Augment(policy="autoaugment_cifar10"),
    "autoaugment svhn": Augment(policy="autoaugment_svhn"),
    "autoaugment imagenet": Augment(policy="autoaugment_imagenet"),
    "augmix": Augment(augmix=5),
    "erasing": Augment(erasing=0.5),
}
OF_TWO_LOOKS = {"random flip", "alternating flip", "vertical flip", "quarter turns", "grey"}  # of an oblong image
MIXING = {"mixup", "cutmix"}  # done by `mix`
EVERYTHING = Augment(
    crop_padding=2,
    flip="random",
    cutout=4,
    color_jitter=0.3,
    rotation=15,
    randaugment_ops=1,
    randaugment_magnitude=5,
)
EVERYTHING_NEW = replace(
    EVERYTHING,
    vertical_flip=True,
    quarter_turns=True,
    crop_scale=0.5,
    shear=10,
    translate=0.1,
    scale=0.2,
    elastic=10.0,
    grey=0.3,
    blur=0.5,
    policy="trivialaugment",
    augmix=3,
    erasing=0.3,
)
ALL = ALONE | {"everything": EVERYTHING, "everything new": EVERYTHING_NEW}


def augmented(images: Tensor, settings: Augment, *, seed: int = 0, epoch: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return augment_images(images, settings, rng=rng, epoch=epoch, indices=torch.arange(len(images)))


def num_different(images: Tensor) -> int:
    return len({image.numpy().tobytes() for image in images})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["NCHW", "NHWC"])
@pytest.mark.parametrize("settings", ALL.values(), ids=ALL)
def test_images_keep_shape_type_range_and_layout(
    settings: Augment, layout: torch.memory_format, channels: int, dtype: torch.dtype, rng: Generator
) -> None:
    images = torch.rand(40, channels, 11, 14, generator=rng, dtype=dtype).to(memory_format=layout)
    before = images.clone()

    result = augmented(images, settings)

    assert (result.shape, result.dtype, result.device) == (images.shape, images.dtype, images.device)
    assert result.is_contiguous(memory_format=layout)
    assert 0 <= result.min() <= result.max() <= 1
    assert torch.equal(images, before)


@pytest.mark.parametrize("settings", ALL.values(), ids=ALL)
def test_the_layout_does_not_change_the_result(settings: Augment, photos: Tensor) -> None:
    other = augmented(photos.to(memory_format=torch.channels_last), settings)

    torch.testing.assert_close(augmented(photos, settings), other)


@pytest.mark.parametrize("settings", ALL.values(), ids=ALL)
def test_the_same_seed_gives_the_same_images(settings: Augment, photos: Tensor) -> None:
    assert torch.equal(augmented(photos, settings, seed=4), augmented(photos, settings, seed=4))


@pytest.mark.parametrize("name", [name for name in ALL if name != "alternating flip"])
def test_another_seed_gives_other_images(name: str, photos: Tensor) -> None:
    assert not torch.equal(augmented(photos, ALL[name], seed=4), augmented(photos, ALL[name], seed=5))


@pytest.mark.parametrize("name", ALL)
def test_equal_images_in_a_batch_are_augmented_differently(name: str, photos: Tensor) -> None:
    result = augmented(photos[:1].expand(50, -1, -1, -1), ALL[name])

    assert num_different(result) > (1 if name in OF_TWO_LOOKS else 10)


def test_settings_of_no_strength_change_nothing(photos: Tensor) -> None:
    assert augmented(photos, Augment()) is photos


@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_alternating_flips_show_the_other_side_in_the_next_epoch(photos: Tensor, epoch: int) -> None:
    first, second = (augmented(photos, ALONE["alternating flip"], epoch=e) for e in (epoch, epoch + 1))

    assert torch.equal(first, second.flip(3))
    assert not torch.equal(first, photos)


def test_random_flips_flip_about_half(photos: Tensor) -> None:
    result = augmented(photos[:1].expand(400, -1, -1, -1), ALONE["random flip"])

    is_flipped = (result != photos[:1]).flatten(1).any(1)
    assert 160 <= is_flipped.sum() <= 240


def test_a_crop_reaches_every_shift_of_its_padding() -> None:
    image = torch.arange(36.0).view(1, 1, 6, 6) / 36

    result = augmented(image.expand(1000, -1, -1, -1), Augment(crop_padding=2))

    assert num_different(result) == 25


def test_cutout_comes_after_colour(photos: Tensor) -> None:
    result = augmented(photos, Augment(cutout=6, color_jitter=1.0, randaugment_ops=3))

    assert ((result == 0.5).all(1).sum((1, 2)) >= 9).all()


@pytest.mark.parametrize("settings", ALL.values(), ids=ALL)
def test_one_image_and_no_image_are_batches_too(settings: Augment, photos: Tensor) -> None:
    assert augmented(photos[:1], settings).shape == photos[:1].shape
    assert augmented(photos[:0], settings).shape == photos[:0].shape


@pytest.mark.parametrize("settings", ALL.values(), ids=ALL)
def test_what_an_image_becomes_does_not_depend_on_what_is_beside_it(settings: Augment, photos: Tensor) -> None:
    others = torch.cat([photos[:5], 1 - photos[5:].flip(0)])

    alike, other = augmented(photos, settings), augmented(others, settings)

    torch.testing.assert_close(other[:5], alike[:5])


def test_every_augmentation_is_tried_here() -> None:
    strengths = {item.name for item in fields(Augment)} - {"randaugment_magnitude", "elastic_sigma"}

    assert frozenset().union(*map(asked_for, ALONE.values())) | MIXING == strengths


@pytest.mark.parametrize("name", ALONE)
def test_an_image_looks_in_one_of_two_ways_only_without_any_augmentation_but_the_flip(name: str) -> None:
    assert flips_at_most(ALONE[name]) == (name in {"random flip", "alternating flip"})


def test_details_of_what_is_left_out_decide_nothing() -> None:
    idle = Augment(randaugment_magnitude=9, elastic_sigma=2.0)

    assert asked_for(idle) == frozenset()
    assert flips_at_most(idle)
    assert left_out(idle) == {item.name for item in fields(Augment)}
    assert left_out(replace(idle, elastic=3.0)) == left_out(idle) - {"elastic", "elastic_sigma"}


def test_the_first_augmentations_draw_what_they_drew_before_there_were_others(photos: Tensor) -> None:
    rng, num = torch.Generator().manual_seed(7), len(photos)
    flipped = torch.randint(0, 2, (num,), generator=rng).bool()
    down, right = (torch.randint(-2, 3, (num,), generator=rng) for _ in range(2))
    expected = geometry.shift_and_flip(photos, down=down, right=right, flipped=flipped)
    angles = torch.rand(num, generator=rng) * 30 - 15
    expected = warps.warp(expected, warps.rotations(angles), padding="reflection")
    expected = color.jitter(expected, strength=0.3, rng=rng)
    expected = randaugment(expected, num_operations=1, magnitude=5, rng=rng)
    expected = hiding.cutout(expected, side=4, rng=rng)

    assert torch.equal(augmented(photos, EVERYTHING, seed=7), expected)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("settings", ALL.values(), ids=ALL)
def test_images_are_augmented_where_they_are(settings: Augment, photos: Tensor) -> None:
    device = torch.device("cuda")
    rng = torch.Generator(device).manual_seed(0)

    result = augment_images(
        photos.to(device), settings, rng=rng, epoch=0, indices=torch.arange(len(photos), device=device)
    )

    assert result.device.type == "cuda"
    assert 0 <= result.min() <= result.max() <= 1
