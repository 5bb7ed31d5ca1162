import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trainer.data.data_samples import arrays, noise, write_npz
from trainer.data.material import Material
from trainer.data.npz import find_npz, read_npz
from trainer.errors import DataError


def read(path: Path, content: Mapping[str, Any], *, size: int | None = None) -> Material:
    scratch = path / "scratch"
    scratch.mkdir(exist_ok=True)
    return read_npz(write_npz(path / "a.npz", content), scratch, size=size)


def images_of(material: Material, split: str = "train") -> np.ndarray:
    part = material.parts[split]
    out = np.zeros((len(part.labels), *material.image_shape), dtype=np.uint8)
    part.fill(np.arange(len(part.labels)), out)
    return out


@pytest.mark.parametrize(("shape", "stored"), [((6, 5), (6, 5, 1)), ((6, 5, 1), (6, 5, 1)), ((6, 5, 3), (6, 5, 3))])
def test_grey_and_coloured_images_are_read(
    tmp_path: Path, shape: tuple[int, ...], stored: tuple[int, int, int]
) -> None:
    content = arrays(shape=shape)

    material = read(tmp_path, content)

    assert material.image_shape == stored
    assert np.array_equal(images_of(material), content["x_train"].reshape(30, *stored))
    assert material.class_names == ("0", "1", "2")


def test_images_may_be_resized(tmp_path: Path) -> None:
    material = read(tmp_path, arrays(), size=4)

    assert images_of(material).shape == (30, 4, 4, 1)


def test_splits_and_names_of_classes_are_kept(tmp_path: Path) -> None:
    extra = {
        "x_val": noise(1, (4, 6, 5)),
        "y_val": [0, 1, 2, 2],
        "x_test": noise(2, (3, 6, 5)),
        "y_test": [0, 1, 2],
    }

    material = read(tmp_path, {**arrays(), **extra, "class_names": ["ant", "bee", "cat"]})

    assert material.class_names == ("ant", "bee", "cat")
    assert material.parts["val"].labels.tolist() == [0, 1, 2, 2]
    assert np.array_equal(images_of(material, "test")[..., 0], extra["x_test"])


def test_images_and_labels_are_a_training_part(tmp_path: Path) -> None:
    found = arrays()

    assert set(read(tmp_path, {"images": found["x_train"], "labels": found["y_train"]}).parts) == {"train"}


@pytest.mark.parametrize("kind", ["int8", "uint8", "int64", "uint64", "float32"])
def test_labels_may_have_any_type_of_whole_numbers(tmp_path: Path, kind: str) -> None:
    content = arrays()

    labels = read(tmp_path, {**content, "y_train": content["y_train"].astype(kind)}).parts["train"].labels

    assert labels.dtype == np.int64
    assert np.array_equal(labels, content["y_train"])


def test_labels_in_a_column_are_read(tmp_path: Path) -> None:
    content = arrays()

    material = read(tmp_path, {**content, "y_train": content["y_train"][:, None]})

    assert np.array_equal(material.parts["train"].labels, content["y_train"])


def test_arrays_in_the_order_of_fortran_are_read(tmp_path: Path) -> None:
    content = arrays()

    material = read(tmp_path, {**content, "x_train": np.asfortranarray(content["x_train"])})

    assert np.array_equal(images_of(material)[..., 0], content["x_train"])


def test_packed_files_are_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", **arrays())

    assert len(read_npz(tmp_path / "a.npz", tmp_path, size=None).parts["train"].labels) == 30


def label(value: float, kind: str = "float64") -> np.ndarray:
    labels = (np.arange(30) % 3).astype(kind)
    labels[7] = value
    return labels


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no arrays": ({"x_train": None, "y_train": None}, "no array x_train and no y_train; it has none"),
    "other names": ({"x_train": None, "y_train": None, "X": [1]}, "it has X. The names are x_train, y_train"),
    "no labels": ({"y_train": None}, "no array y_train; it has x_train"),
    "no validation labels": ({"x_val": noise(0, (2, 6, 5))}, "no array y_val"),
    "objects": ({"x_train": np.array([noise(0), None], object)}, "x_train has type object.*folder:DIR"),
    "floats": ({"x_train": np.zeros((30, 6, 5))}, r"type float64: pixels are uint8.*astype\('uint8'\)"),
    "wide integers": ({"x_train": np.zeros((30, 6, 5), np.int64)}, "x_train has type int64"),
    "rows": ({"x_train": np.zeros((30, 25), np.uint8)}, r"shape \(30, 25\): it must be \(N, H, W\)"),
    "channels first": ({"x_train": noise(0, (30, 3, 6, 5))}, r"save x.transpose\(0, 2, 3, 1\)"),
    "four channels": ({"x_train": noise(0, (30, 6, 5, 4))}, "x_train has shape"),
    "no width": ({"x_train": noise(0, (30, 6, 0))}, "x_train has shape"),
    "lengths": ({"y_train": np.zeros(29, int)}, "x_train has 30 images and y_train has 29 labels"),
    "no images": ({"x_val": noise(0, (0, 6, 5)), "y_val": np.zeros(0, int)}, "x_val holds no image"),
    "sizes": ({"x_val": noise(0, (2, 6, 6)), "y_val": [0, 1]}, r"images of \(6, 6\), x_train of \(6, 5\)"),
    "one-hot": ({"y_train": np.eye(30, 3)}, r"y_train has shape \(30, 3\).*y.argmax\(1\)"),
    "text labels": ({"y_train": ["cat"] * 30}, "y_train has type <U3: number the classes"),
    "object labels": ({"y_train": np.array([None] * 30)}, "y_train has Python objects"),
    "a negative label": ({"y_train": label(-1, "int8")}, r"y_train\[7\] is -1: the labels"),
    "not a number": ({"y_train": label(np.nan)}, r"y_train\[7\] is nan: labels are whole numbers"),
    "infinity": ({"y_train": label(np.inf)}, r"y_train\[7\] is 2147483648"),
    "half a label": ({"y_train": label(0.5)}, r"y_train\[7\] is 0.5: labels are whole numbers"),
    "a large label": ({"y_train": label(2.0**62, "uint64")}, r"y_train\[7\] is 2147483648"),
    "more classes than images": ({"y_train": label(10**6, "int64")}, "a label 1000000 among 30 images"),
    "a label without a name": ({"class_names": ["a", "b"]}, r"y_train\[2\] is 2: the labels of 2 classes"),
    "an unknown validation label": ({"x_val": noise(0, (2, 6, 5)), "y_val": [0, 3]}, r"y_val\[1\] is 3"),
    "names as objects": ({"class_names": np.array(["a", None, "c"])}, "class_names must be a list of text"),
    "names as numbers": ({"class_names": [1, 2, 3]}, "class_names must be a list of text"),
    "equal names": ({"class_names": ["a", "b", "a"]}, "'a' and 'a' differ in nothing but case"),
    "an empty name": ({"class_names": ["a", "", "c"]}, "Class name '' cannot be printed"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD)
def test_arrays_that_do_not_fit_are_explained(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    content = {key: value for key, value in {**arrays(), **changes}.items() if value is not None}

    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, content)

    assert str(caught.value).startswith(str(tmp_path / "a.npz"))


def not_a_zip(path: Path) -> None:
    path.write_bytes(b"\x93NUMPY and no more")


def truncated(path: Path) -> None:
    path.write_bytes(write_npz(path, arrays()).read_bytes()[:-40])


def bit_flipped(path: Path) -> None:
    content = bytearray(write_npz(path, arrays()).read_bytes())
    content[500] ^= 1  # a pixel
    path.write_bytes(content)


def header_beyond_the_data(path: Path) -> None:
    with zipfile.ZipFile(write_npz(path, arrays())) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, packed in content.items():
            archive.writestr(name, packed.replace(b"(30, 6, 5)", b"(90, 6, 5)"))


def no_array_inside(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x_train.npy", "nothing that numpy wrote")


def test_named_fields_are_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"format 3\.0"):
        write_npz(tmp_path / "a.npz", {**arrays(), "extra": np.zeros(3, [("数", int)])})

    with pytest.raises(DataError, match=r"extra\.npy has named fields"):
        read_npz(tmp_path / "a.npz", tmp_path, size=None)


def with_absent_images(path: Path, num_images: int) -> None:
    """Write a file whose directory and headers agree on test images that are not there."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (num_images, 6, 5)}
    write_npz(path, {**arrays(), "y_test": np.zeros(min(num_images, 10), int)})
    with zipfile.ZipFile(path, "a") as archive:
        with archive.open("x_test.npy", "w") as stream:
            np.lib.format.write_array_header_1_0(stream, header)
        archive.getinfo("x_test.npy").file_size = 128 + num_images * 30


def test_a_file_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    with_absent_images(tmp_path / "a.npz", 70 * 2**30 // 30)

    with pytest.raises(DataError, match="Its arrays unpack to 70 GiB; at most 64 GiB"):
        read_npz(tmp_path / "a.npz", tmp_path, size=None)


def test_a_file_with_less_than_it_declares_is_refused(tmp_path: Path) -> None:
    with_absent_images(tmp_path / "a.npz", 10)

    with pytest.raises(DataError, match=r"a\.npz cannot be read"):
        read_npz(tmp_path / "a.npz", tmp_path, size=None)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (not_a_zip, "is no .npz file, or a damaged one"),
        (truncated, "is no .npz file, or a damaged one"),
        (bit_flipped, "Bad CRC-32"),
        (header_beyond_the_data, "x_train.npy claims 2828 bytes and has 1028: it is damaged"),
        (no_array_inside, "cannot be read: the magic string is not correct"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, write: Callable[[Path], None], message: str) -> None:
    write(tmp_path / "a.npz")

    with pytest.raises(DataError, match=message):
        read_npz(tmp_path / "a.npz", tmp_path, size=None)


def test_a_missing_file_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    write_npz(tmp_path / "images.npz", arrays())

    with pytest.raises(DataError, match=r"does not exist. Did you mean 'images.npz'"):
        find_npz(tmp_path / "image.npz")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a file"):
        find_npz(tmp_path)
