"""The picture of augmented training images that a job leaves."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.trainer.job_desk import Desk, stop_after
from tests.trainer.short_jobs import SIDE, Splits, tiny_job
from trainer.batches import Images
from trainer.config import JobConfig, Value
from trainer.data import DataSet
from trainer.jobfiles import SAMPLES
from trainer.samples import draw_samples, reduced, tiled, write_samples

COLUMNS = 8
FULL: dict[str, Value] = {"augment.crop_padding": 2, "augment.policy": "trivialaugment", "augment.cutmix": 1.0}


def job(splits: Splits, **settings: Value) -> JobConfig:
    return tiny_job(splits.data_set, FULL | settings)


def noise(num: int, side: int, channels: int = 3) -> Images:
    """Images that compress as badly as any."""
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (num, side, side, channels), dtype=np.uint8))
    mean = torch.zeros(channels, 1, 1)
    return Images(pixels, torch.arange(num), mean, mean + 1)


def test_a_row_begins_with_an_image_as_it_is_and_goes_on_with_draws(splits: Splits) -> None:
    rows = draw_samples(splits.train, job(splits)).view(6, COLUMNS, 3, SIDE, SIDE)

    known = {pixels.numpy().tobytes() for pixels in splits.train.pixels}
    for row in rows:
        first = (row[0] * 255).round().to(torch.uint8).permute(1, 2, 0)
        assert first.contiguous().numpy().tobytes() in known
        assert len({image.numpy().tobytes() for image in row}) == COLUMNS


def test_flips_that_alternate_show_both_sides(splits: Splits) -> None:
    config = tiny_job(splits.data_set, {"augment.flip": "alternating"})

    rows = draw_samples(splits.train, config).view(6, COLUMNS, 3, SIDE, SIDE)

    for row in rows:
        is_flipped = [not torch.equal(image, row[0]) for image in row[1:]]
        assert is_flipped in ([True] * 4 + [False] * 3, [False] * 4 + [True] * 3)


def test_jobs_of_one_seed_show_the_same_images(splits: Splits) -> None:
    one, other = (draw_samples(splits.train, job(splits, **{"augment.cutout": side})) for side in (0, 4))

    assert torch.equal(one[::COLUMNS], other[::COLUMNS])
    assert not torch.equal(one, other)
    assert torch.equal(one, draw_samples(splits.train, job(splits)))
    assert not torch.equal(one[::COLUMNS], draw_samples(splits.train, job(splits, seed=5))[::COLUMNS])


@pytest.mark.parametrize(("side", "shown"), [(8, 8), (96, 96), (97, 49), (224, 75)])
def test_large_images_are_reduced_by_whole_factors_and_keep_their_brightness(side: int, shown: int) -> None:
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))

    small = reduced(images)

    assert small.shape == (2, 3, shown, shown)
    torch.testing.assert_close(small.mean((2, 3)), images.mean((2, 3)), rtol=0, atol=0.01)


def test_small_images_are_enlarged_to_squares_of_pixels(splits: Splits, tmp_path: Path) -> None:
    config = job(splits)

    write_samples(tmp_path / SAMPLES, splits.train, config)

    with Image.open(tmp_path / SAMPLES) as picture:
        pixels = np.asarray(picture)
    first = (draw_samples(splits.train, config)[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    assert pixels.shape == (6 * 66 - 2, 8 * 66 - 2, 3)
    assert np.array_equal(pixels[:64, :64], first.repeat(4, axis=0).repeat(4, axis=1))


@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_stand_in_rows_with_white_between(channels: int) -> None:
    images = torch.zeros(6, channels, 4, 6)

    sheet = tiled(images, columns=3)

    assert sheet.size == (3 * 8 - 2, 2 * 6 - 2)
    pixels = np.asarray(sheet)
    assert (pixels[4:6] == 255).all()
    assert (pixels[:4, 6:8] == 255).all()
    assert (pixels[:4, :6] == 0).all()


@pytest.mark.parametrize(("num", "side", "channels"), [(2, 8, 1), (40, 96, 3), (40, 300, 3)])
def test_a_picture_is_of_handy_size_whatever_the_images(
    splits: Splits, tmp_path: Path, num: int, side: int, channels: int
) -> None:
    write_samples(tmp_path / SAMPLES, noise(num, side, channels), job(splits))

    with Image.open(tmp_path / SAMPLES) as picture:
        assert picture.format == "PNG"
        assert picture.width < 8 * 98
    assert (tmp_path / SAMPLES).stat().st_size < 1_400_000  # of noise; photographs take half


def test_a_job_leaves_its_picture_when_it_begins_and_not_when_it_goes_on(stripes: DataSet, tmp_path: Path) -> None:
    desk = Desk(stripes, tmp_path / "job", tiny_job(stripes, FULL))
    desk.train(should_stop=stop_after(2))
    assert desk.has(SAMPLES)
    (desk.directory / SAMPLES).unlink()

    desk.train()

    assert not desk.has(SAMPLES)


@pytest.mark.parametrize("settings", [{}, {"augment.randaugment_magnitude": 9.0}], ids=["none", "idle detail"])
def test_a_job_that_augments_nothing_leaves_no_picture(
    stripes: DataSet, tmp_path: Path, settings: dict[str, Value]
) -> None:
    desk = Desk(stripes, tmp_path / "job", tiny_job(stripes, settings))

    desk.train(0.25)

    assert not desk.has(SAMPLES)


def test_a_job_on_features_leaves_no_picture(stripes: DataSet, tmp_path: Path, weights: str) -> None:
    base: dict[str, Value] = {"model": "timm", "model.name": "test_resnet", "model.weights": weights}
    head: dict[str, Value] = {"transfer.train": "head", "augment.flip": "random"}
    for cached in (True, False):
        config = tiny_job(stripes, base | head | {"transfer.cache_features": cached})
        desk = Desk(stripes, tmp_path / str(cached), config)

        desk.train(0.25)

        assert desk.has(SAMPLES) is not cached


def test_drawing_the_picture_takes_no_number_from_anyone_else(splits: Splits, tmp_path: Path) -> None:
    before = torch.get_rng_state()

    write_samples(tmp_path / SAMPLES, splits.train, job(splits))

    assert torch.equal(torch.get_rng_state(), before)
