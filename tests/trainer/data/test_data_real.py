"""On the real data sets; skipped where they are not."""

from pathlib import Path

import numpy as np
import pytest

from tests.trainer.data.data_samples import prepared
from trainer.data import inspect, open_split, prepare


def there(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path} is absent.")
    return path


def test_ants_and_bees_get_a_test_split(real_data: Path, tmp_path: Path) -> None:
    data_set = prepared(f"folder:{there(real_data / 'hymenoptera')}", tmp_path)

    assert data_set.class_names == ("ants", "bees")
    assert (data_set.num_train, data_set.num_val, data_set.num_test) == (196, 153, 49)


def test_the_gif_among_the_ants_is_read(real_data: Path, tmp_path: Path) -> None:
    found = inspect(f"folder:{there(real_data / 'hymenoptera')}", cache=tmp_path, data_dir=tmp_path)

    assert found.formats == {"JPEG": 397, "GIF": 1}
    assert found.counts == {"train": (124, 121), "val": (70, 83)}
    assert found.unreadable == ()


def test_the_leaks_of_the_chest_images_are_found(real_data: Path, tmp_path: Path) -> None:
    found = inspect(f"folder:{there(real_data / 'chest_xray')}", cache=tmp_path, data_dir=tmp_path)

    assert (found.copies.num_groups, found.copies.num_across_splits, found.copies.num_across_classes) == (26, 11, 0)
    assert "train/PNEUMONIA/person1159_virus_1945.jpeg" in found.copies.examples[0]
    assert found.near_copies is not None
    assert (found.near_copies.num_groups, found.near_copies.num_across_splits) == (104, 92)  # squashed to squares
    assert found.modes == {"RGB": 1301, "L": 357}
    assert found.counts["test"] == (44, 150)


def test_the_chest_images_are_cleaned_of_their_leaks(real_data: Path, tmp_path: Path) -> None:
    source = f"folder:{there(real_data / 'chest_xray')}"

    kept, clean = (prepared(source, tmp_path, image_size=32, duplicates=which) for which in ("keep", "near"))

    assert (kept.num_leaks, clean.num_leaks) == (11, 0)
    assert clean.num_test == kept.num_test
    assert clean.num_dropped > 92


def test_the_chest_images_keep_their_splits(real_data: Path, tmp_path: Path) -> None:
    data_set = prepared(f"folder:{there(real_data / 'chest_xray')}", tmp_path, image_size=16)

    assert (data_set.num_train, data_set.num_val, data_set.num_test) == (1266, 198, 194)


def test_cifar10_is_as_published(real_data: Path, tmp_path: Path) -> None:
    there(real_data / "cifar10.npz")

    data_set = prepare("cifar10", cache=tmp_path, data_dir=real_data, allow_download=False)

    assert (data_set.num_train, data_set.num_val, data_set.num_test) == (45_000, 5_000, 10_000)
    assert np.bincount(open_split(data_set, "val").labels).tolist() == [500] * 10
    val_mean = open_split(data_set, "val").images.mean(axis=(0, 1, 2)) / 255
    assert np.allclose(0.9 * np.array(data_set.mean) + 0.1 * val_mean, [0.4914, 0.4822, 0.4465], atol=1e-4)
