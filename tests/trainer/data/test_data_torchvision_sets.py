"""The contract of every data set that has a name, and what becomes of files that are not as published."""

import inspect as python_inspect
import pickle
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from tests.trainer.data.data_samples import ROOT, noise, prepared, start_python
from tests.trainer.data.published_samples import WRITERS, Sample, food101, gtsrb, idx, label_of, write_bytes
from tests.trainer.short_jobs import assert_goes_on_exactly, open_splits, tiny_job
from trainer.data import DataSet, Split, Torchvision, inspect, open_split, prepare
from trainer.data.catalogue import CATALOGUE
from trainer.data.locked import open_test_split
from trainer.data.published import Published
from trainer.data.torchvision_sets import list_files
from trainer.errors import DataError
from trainer.libraries import import_torchvision


@dataclass(frozen=True)
class Case:
    """A small data set and what became of it."""

    source: Torchvision
    sample: Sample
    place: Path
    data_set: DataSet

    def splits(self) -> dict[str, Split]:
        return {
            "train": open_split(self.data_set, "train"),
            "val": open_split(self.data_set, "val"),
            "test": open_test_split(self.data_set),
        }


def written(name: str, place: Path) -> tuple[Torchvision, Sample]:
    """Write a small data set where it is looked for, and return the source with its checksums."""
    sample = WRITERS[name](place / "data")
    entry = CATALOGUE[name]
    return Torchvision(replace(entry, attributes={**entry.attributes, **sample.attributes})), sample


@pytest.fixture(scope="module", params=sorted(CATALOGUE))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    place = tmp_path_factory.mktemp(request.param)
    source, sample = written(request.param, place)
    return Case(source, sample, place, prepared(source, place, allow_download=False))


def told_label(case: Case) -> Callable[[np.ndarray], int]:
    if case.source.entry.name == "semeion":  # black and white
        return lambda image: int((image[0] > 0).sum())
    return label_of


def test_every_image_has_the_label_that_its_set_gives(case: Case) -> None:
    told = told_label(case)

    for split in case.splits().values():
        assert [told(image) for image in split.images] == split.labels.tolist()


def test_a_job_trains_on_it(case: Case) -> None:
    splits = open_splits(case.data_set)

    state = assert_goes_on_exactly(tiny_job(case.data_set, {"training.epochs": 1.0}), splits)

    assert state.step >= 1


def test_given_splits_are_kept_and_the_others_cut(case: Case) -> None:
    counts = {name: len(split.labels) for name, split in case.splits().items()}

    assert sum(counts.values()) == sum(case.sample.counts.values())
    assert all(counts[name] == count for name, count in case.sample.counts.items() if name != "train")
    assert all(counts.values())


def test_no_image_is_in_two_splits(case: Case) -> None:
    images = [image.tobytes() for split in case.splits().values() for image in split.images]

    assert len(set(images)) == len(images)
    assert case.data_set.num_leaks == 0


def test_classes_have_names_for_people(case: Case) -> None:
    assert case.data_set.class_names == tuple(case.sample.class_names)
    assert not [name for name in case.data_set.class_names if "_" in name]


def test_images_have_their_own_size_or_64_pixels(case: Case) -> None:
    side = case.source.entry.image_size or 64

    assert case.data_set.image_shape[:2] == (side, side)


def test_the_test_split_is_locked(case: Case) -> None:
    with pytest.raises(DataError, match="is not open to a search"):
        open_split(case.data_set, "test")  # type: ignore[arg-type]


def test_a_second_call_is_served_from_the_store(case: Case) -> None:
    before = (case.data_set.root / "meta.json").stat()

    assert prepared(case.source, case.place, allow_download=False) == case.data_set
    assert (case.data_set.root / "meta.json").stat().st_mtime_ns == before.st_mtime_ns


def test_it_may_be_inspected(case: Case) -> None:
    found = inspect(case.source, cache=case.place / "cache", data_dir=case.place / "data", allow_download=False)

    assert found.source == case.source.entry.name
    assert {split: sum(counts) for split, counts in found.counts.items()} == dict(case.sample.counts)
    assert found.unreadable == ()
    assert found.copies.num_groups == 0


def test_the_page_lists_every_set() -> None:
    section = (ROOT / "docs/data.md").read_text().partition("## Data sets by name")[2].partition("\n## ")[0]

    assert re.findall(r"^\| \[?`(\w+)`", section, re.MULTILINE) == list(CATALOGUE)


def test_every_set_of_the_catalogue_is_tried() -> None:
    assert WRITERS.keys() == CATALOGUE.keys()


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=CATALOGUE)
def test_addresses_and_checksums_are_those_of_torchvision(entry: Published) -> None:
    published = getattr(import_torchvision().datasets, entry.kind)
    source = python_inspect.getsource(sys.modules[published.__module__])

    for archive in entry.archives:
        assert archive.url.removesuffix(archive.file_name) in source
        assert archive.file_name in source
        assert archive.md5 is None or archive.md5 in source


def test_the_images_may_be_resized(tmp_path: Path) -> None:
    for name in ("svhn", "rendered_sst2"):
        source, _ = written(name, tmp_path / name)
        assert prepared(source, tmp_path / name, image_size=24).image_shape == (24, 24, 3)


def test_grey_arrays_stay_grey(tmp_path: Path) -> None:
    source, _ = written("mnist", tmp_path)

    assert prepared(source, tmp_path).image_shape == (28, 28, 1)


def test_a_prepared_set_is_served_without_torchvision(tmp_path: Path) -> None:
    written("mnist", tmp_path)
    first = prepared("mnist", tmp_path)
    code = (
        "import sys; from pathlib import Path; from trainer.data import prepare;"
        "place = Path(sys.argv[1]);"
        "print(prepare('mnist', cache=place / 'cache', data_dir=place / 'data').fingerprint);"
        "print('torchvision' in sys.modules)"
    )

    out, err = start_python(code, tmp_path).communicate(timeout=60)

    assert out.split() == [first.fingerprint, "False"], err


def test_a_set_that_was_touched_is_prepared_anew(tmp_path: Path) -> None:
    written("mnist", tmp_path)
    first = prepared("mnist", tmp_path)
    write_bytes(tmp_path / "data/MNIST/raw/t10k-images-idx3-ubyte", idx(noise(7, (10, 28, 28))))

    assert prepared("mnist", tmp_path).fingerprint != first.fingerprint


def test_frames_of_one_drive_past_a_sign_stay_in_one_split(tmp_path: Path) -> None:
    gtsrb(tmp_path / "data")

    tree = list_files(CATALOGUE["gtsrb"], tmp_path / "data")

    assert [f.group for f in tree.files[:4]] == ["00000/00000", "00000/00000", "00000/00001", "00000/00001"]
    assert {f.group for f in tree.files if f.split == "test"} == {""}


def test_a_listed_image_that_is_absent_is_told(tmp_path: Path) -> None:
    food101(tmp_path / "data")
    (tmp_path / "data/food-101/images/apple_pie/3.jpg").unlink()

    with pytest.raises(DataError, match=r"1 of 6 images of food101 cannot be used:\n.*apple_pie/3.jpg does not exist"):
        prepared("food101", tmp_path)


def test_a_damaged_image_is_told_by_our_own_decoder(tmp_path: Path) -> None:
    gtsrb(tmp_path / "data")
    (tmp_path / "data/gtsrb/GTSRB/Training/00007/00000_00001.ppm").write_bytes(b"\x89PNG and not a pixmap")

    with pytest.raises(DataError, match=r"Training/00007/00000_00001.ppm is no PPM image"):
        prepared("gtsrb", tmp_path)
    assert prepared("gtsrb", tmp_path, on_bad_image="skip").num_test == 43


def test_an_image_that_leads_out_of_the_data_folder_is_refused(tmp_path: Path) -> None:
    food101(tmp_path / "data")
    path = tmp_path / "data/food-101/images/apple_pie/3.jpg"
    path.rename(tmp_path / "elsewhere.jpg")
    path.symlink_to(tmp_path / "elsewhere.jpg")

    with pytest.raises(DataError, match=r"apple_pie/3.jpg is a link out of the folder"):
        prepared("food101", tmp_path)


@pytest.mark.parametrize(
    ("name", "path", "content"),
    [
        ("mnist", "MNIST/raw/train-images-idx3-ubyte", idx(noise(0, (30, 28, 28)))[:-5]),
        ("mnist", "MNIST/raw/train-images-idx3-ubyte", idx(noise(0, (30, 27, 28)))),
        ("mnist", "MNIST/raw/train-labels-idx1-ubyte", idx(np.arange(30, dtype=np.uint8))),
        ("mnist", "MNIST/raw/train-labels-idx1-ubyte", idx(np.zeros(29, dtype=np.uint8))),
        ("mnist", "MNIST/raw/t10k-labels-idx1-ubyte", b""),
        ("usps", "usps.bz2", b"BZh91AY"),
        ("svhn", "train_32x32.mat", b"MATLAB"),
        ("food101", "food-101/meta/test.json", b"{"),
        ("dtd", "dtd/dtd/labels/val1.txt", b"no list\n"),
        ("flowers102", "flowers-102/setid.mat", b"MATLAB"),
        ("oxford_pets", "oxford-iiit-pet/annotations/test.txt", b"a 1\n"),
        ("fgvc_aircraft", "fgvc-aircraft-2013b/data/images_variant_val.txt", b"1 no such plane\n"),
    ],
)
def test_files_that_are_not_as_published_are_told(tmp_path: Path, name: str, path: str, content: bytes) -> None:
    source, _ = written(name, tmp_path)
    (tmp_path / "data" / path).write_bytes(content)

    with pytest.raises(DataError, match=r"are damaged, or not the published ones .* Remove them and run again"):
        prepared(source, tmp_path)


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_pickles_without_the_published_checksums_are_not_opened(tmp_path: Path) -> None:
    for name in ("train", "test", "meta"):
        write_bytes(tmp_path / "data/cifar-100-python" / name, pickle.dumps(Evil(tmp_path / "opened")))

    with pytest.raises(DataError, match="The files of CIFAR-100 in"):
        prepared("cifar100", tmp_path)
    assert not (tmp_path / "opened").exists()


def test_files_of_old_versions_are_left_alone(tmp_path: Path) -> None:
    written("mnist", tmp_path)
    for name in ("training.pt", "test.pt"):
        write_bytes(tmp_path / "data/MNIST/processed" / name, b"of another time")

    assert prepared("mnist", tmp_path).num_test == 10


def test_a_name_may_stand_in_a_link_to_the_data_folder(tmp_path: Path) -> None:
    food101(tmp_path / "real")
    (tmp_path / "data").symlink_to(tmp_path / "real")

    assert prepare("food101", cache=tmp_path / "cache", data_dir=tmp_path / "data").num_test == 2
