import hashlib
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from tests.trainer.data.data_samples import noise, prepared, write_npz
from trainer.data import inspect, open_split
from trainer.data.cifar10 import ARCHIVE, ARRAYS, BATCHES, CLASS_NAMES
from trainer.data.locked import open_test_split
from trainer.errors import DataError


def write_arrays(folder: Path, *, side: int = 32) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    labels = np.arange(100) % 10
    write_npz(
        folder / ARRAYS,
        {
            "x_train": noise(0, (100, side, side, 3)), "y_train": labels,
            "x_test": noise(1, (20, side, side, 3)), "y_test": labels[:20],
        },
    )  # fmt: skip


def test_the_arrays_in_the_data_folder_are_taken(tmp_path: Path) -> None:
    write_arrays(tmp_path / "data")

    data_set = prepared("cifar10", tmp_path)

    assert data_set.class_names == CLASS_NAMES
    assert (data_set.num_train, data_set.num_val, data_set.num_test) == (90, 10, 20)
    assert np.array_equal(open_test_split(data_set).images, noise(1, (20, 32, 32, 3)))


def test_the_images_may_be_resized(tmp_path: Path) -> None:
    write_arrays(tmp_path / "data")

    assert prepared("cifar10", tmp_path, image_size=16).image_shape == (16, 16, 3)


def test_other_arrays_of_that_name_are_refused(tmp_path: Path) -> None:
    write_arrays(tmp_path / "data", side=28)

    with pytest.raises(DataError, match=r"is not CIFAR-10: it has 10 classes, images of \(28, 28, 3\)"):
        prepared("cifar10", tmp_path)


def test_without_data_and_downloads_the_message_says_what_to_put_where(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        prepared("cifar10", tmp_path, allow_download=False)

    for part in ("downloads are off", ARCHIVE, BATCHES, ARRAYS, str(tmp_path / "data"), "--data npz:FILE"):
        assert part in str(caught.value)


def test_a_failed_download_says_what_to_put_where(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_bytes(b"x")
        raise OSError("Name or service not known")

    with pytest.raises(DataError, match=r"could not be downloaded: Name or service not known\. Put the"):
        prepared("cifar10", tmp_path, download=fail)

    assert [path.name for path in (tmp_path / "data").iterdir()] == ["cifar10-download.lock"]


def test_a_download_that_brings_nothing_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="left nothing that can be used"):
        prepared("cifar10", tmp_path, download=lambda folder: None)


def test_a_download_is_done_once(tmp_path: Path) -> None:
    calls: list[Path] = []

    def download(folder: Path) -> None:
        calls.append(folder)
        write_arrays(folder)

    first = prepared("cifar10", tmp_path, download=download)
    second = prepared("cifar10", tmp_path, download=download)

    assert first == second
    assert len(calls) == 1


def test_a_download_may_be_inspected(tmp_path: Path) -> None:
    found = inspect("cifar10", cache=tmp_path, data_dir=tmp_path / "data", download=write_arrays)

    assert sum(found.counts["train"]) == 100


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_batches_without_the_published_checksums_are_not_opened(tmp_path: Path) -> None:
    folder = tmp_path / "data" / BATCHES
    folder.mkdir(parents=True)
    for name in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch", "batches.meta"):
        (folder / name).write_bytes(pickle.dumps(Evil(tmp_path / "opened")))

    with pytest.raises(DataError, match="have not the published checksums and are not opened"):
        prepared("cifar10", tmp_path)
    assert not (tmp_path / "opened").exists()


def test_an_archive_without_the_published_checksum_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / ARCHIVE).write_bytes(b"half a download")

    with pytest.raises(DataError, match=f"{ARCHIVE} has not the published checksum: it is damaged"):
        prepared("cifar10", tmp_path)


def write_batches(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write small batches in the official form, and let torchvision know their checksums."""
    from trainer.libraries import import_torchvision

    cifar = import_torchvision().datasets.CIFAR10
    folder.mkdir(parents=True)
    sums = {}
    for number, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        content = {"data": noise(number, (20, 3072)), "labels": [n % 10 for n in range(20)]}
        (folder / name).write_bytes(pickle.dumps(content))
        sums[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(CLASS_NAMES)}))
    meta_sum = hashlib.md5((folder / "batches.meta").read_bytes()).hexdigest()
    monkeypatch.setattr(cifar, "train_list", list(sums.items())[:5])
    monkeypatch.setattr(cifar, "test_list", list(sums.items())[5:])
    monkeypatch.setattr(cifar, "meta", {**cifar.meta, "md5": meta_sum})


def test_the_official_batches_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_batches(tmp_path / "data" / BATCHES, monkeypatch)

    data_set = prepared("cifar10", tmp_path)

    official = noise(5, (20, 3072)).reshape(20, 3, 32, 32).transpose(0, 2, 3, 1)
    assert np.array_equal(open_test_split(data_set).images, official)
    assert len(open_split(data_set, "train").labels) == 90


def test_the_official_archive_is_read_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainer.libraries import import_torchvision

    write_batches(tmp_path / BATCHES, monkeypatch)
    (tmp_path / "data").mkdir()
    with tarfile.open(tmp_path / "data" / ARCHIVE, "w:gz") as archive:
        archive.add(tmp_path / BATCHES, BATCHES)
    md5 = hashlib.md5((tmp_path / "data" / ARCHIVE).read_bytes()).hexdigest()
    monkeypatch.setattr(import_torchvision().datasets.CIFAR10, "tgz_md5", md5)

    assert prepared("cifar10", tmp_path).num_test == 20
    assert [path.name for path in (tmp_path / "data").iterdir()] == [ARCHIVE]
