"""What each kind of data set keeps: a network trains on it, learns, and goes on exactly."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainer.short_jobs import (
    Splits,
    advance,
    assert_goes_on_exactly,
    fresh,
    open_splits,
    scores,
    striped_images,
    tiny_job,
)
from trainer.config import Value
from trainer.data import prepare

NAMES = ("stripe", "slope", "wall", "rise")


def digits(_place: Path) -> str:
    return "digits"


def npz(place: Path) -> str:
    images, labels = striped_images(120)
    np.savez(place / "stripes.npz", images=images, labels=labels)
    return f"npz:{place / 'stripes.npz'}"


def npz_with_splits(place: Path) -> str:
    images, labels = striped_images(120)
    parts = {"train": slice(0, 80), "test": slice(80, 120)}
    arrays = {f"x_{name}": images[part] for name, part in parts.items()}
    np.savez(place / "split.npz", **arrays, **{f"y_{name}": labels[part] for name, part in parts.items()})
    return f"npz:{place / 'split.npz'}"


def folder(place: Path) -> str:
    write_pictures(place / "photos", lambda name, number: f"{name}/{number}.png")
    return f"folder:{place / 'photos'}"


def folder_with_splits(place: Path) -> str:
    splits = ("train", "train", "train", "val", "test")
    write_pictures(place / "photos", lambda name, number: f"{splits[number // 4 % 5]}/{name}/{number}.png")
    return f"folder:{place / 'photos'}"


def files(place: Path) -> str:
    write_pictures(place / "flat", lambda name, number: f"{name}.{number}.png")
    return f"files:{place / 'flat'}?label=^([a-z]+)"


def table(place: Path) -> str:
    write_pictures(place, lambda _name, number: f"{number}.png")
    rows = "".join(f"{number}.png,{NAMES[number % 4]}\n" for number in range(120))
    (place / "labels.csv").write_text("path,label\n" + rows)
    return f"csv:{place / 'labels.csv'}"


KINDS: Mapping[str, Callable[[Path], str]] = {
    kind.__name__: kind for kind in (digits, npz, npz_with_splits, folder, folder_with_splits, files, table)
}


def write_pictures(root: Path, path: Callable[[str, int], str]) -> None:
    for number, (pixels, label) in enumerate(zip(*striped_images(120), strict=True)):
        file = root / path(NAMES[label], number)
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)


@pytest.fixture(scope="module", params=KINDS)
def splits(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Splits:
    place = tmp_path_factory.mktemp(request.param)
    source = KINDS[request.param](place)
    return open_splits(prepare(source, cache=place / "cache", data_dir=place, val_fraction=0.2))


def test_a_job_goes_on_from_a_checkpoint_to_the_last_bit(splits: Splits) -> None:
    assert_goes_on_exactly(tiny_job(splits.data_set), splits)


def test_a_job_learns(splits: Splits) -> None:
    settings: dict[str, Value] = {"training.epochs": 8.0, "optimizer": "adamw", "optimizer.lr": 0.01}
    config = tiny_job(splits.data_set, settings)

    results = scores(advance(fresh(config, splits), config, splits))

    assert results[-1].train_loss < results[0].train_loss
    assert results[-1].val_accuracy > 1.5 / len(splits.data_set.class_names)
