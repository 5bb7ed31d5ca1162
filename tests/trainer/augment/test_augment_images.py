import pytest
import torch
from torch import Generator, Tensor

from trainer.augment import augment_images
from trainer.settings import Augment

ALONE = {
    "crop": Augment(crop_padding=3),
    "random flip": Augment(flip="random"),
    "alternating flip": Augment(flip="alternating"),
    "cutout": Augment(cutout=5),
    "jitter": Augment(color_jitter=0.4),
    "rotation": Augment(rotation=20),
    "randaugment": Augment(randaugment_ops=2, randaugment_magnitude=8),
}
EVERYTHING = Augment(
    crop_padding=2,
    flip="random",
    cutout=4,
    color_jitter=0.3,
    rotation=15,
    randaugment_ops=1,
    randaugment_magnitude=5,
)
ALL = ALONE | {"everything": EVERYTHING}


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


@pytest.mark.parametrize("settings", ALL.values(), ids=ALL)
def test_equal_images_in_a_batch_are_augmented_differently(settings: Augment, photos: Tensor) -> None:
    result = augmented(photos[:1].expand(50, -1, -1, -1), settings)

    assert num_different(result) > (1 if settings.flip != "none" else 10)


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
