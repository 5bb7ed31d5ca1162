from pathlib import Path

import pytest

from tests.trainer.data.data_samples import found, noise, write_image
from trainer.data import Named, prepare
from trainer.data.named import scan_named
from trainer.errors import DataError


def flat_folder(root: Path, names: list[str]) -> Path:
    for seed, name in enumerate(names):
        write_image(root / name, noise(seed))
    return root


def classes(root: Path, label: str | None = None) -> dict[str, str]:
    return {file.path: file.class_name for file in scan_named(root, label).files}


@pytest.mark.parametrize(
    ("name", "class_name"),
    [
        ("cat.0.jpg", "cat"),
        ("cat0.jpg", "cat"),
        ("cat_0.jpg", "cat"),
        ("Cat-12.png", "Cat"),
        ("kot\u0119k.3.png", "kot\u0119k"),
        ("below/cat 3.png", "cat"),
    ],
)
def test_a_class_is_what_the_name_begins_with(tmp_path: Path, name: str, class_name: str) -> None:
    assert classes(flat_folder(tmp_path, [name, "zebra.1.png"]))[name] == class_name


@pytest.mark.parametrize(
    ("label", "class_name"),
    [(r"_([a-z]+)\.png$", "oak"), (r"oak|elm", "oak"), (r"^([^/]+)/", "x"), (r"(?:x/)(\d)", "7")],
)
def test_an_expression_may_look_anywhere_in_the_path(tmp_path: Path, label: str, class_name: str) -> None:
    flat_folder(tmp_path, ["x/7_oak.png"])

    assert classes(tmp_path, label) == {"x/7_oak.png": class_name}


def test_a_name_without_a_class_is_noted_and_not_left_out(tmp_path: Path) -> None:
    tree = scan_named(flat_folder(tmp_path, ["cat.0.png", "dog.0.png", "17.png"]), None)

    assert [(str(bad.path), bad.reason[:21]) for bad in tree.unfit] == [("17.png", "does not match label=")]


def test_it_becomes_a_data_set_like_any_other(tmp_path: Path) -> None:
    names = [f"{name}.{n}.png" for name in ("cat", "dog") for n in range(10)]
    flat_folder(tmp_path / "pets", names)

    pets = prepare(f"files:{tmp_path}/pets", cache=tmp_path / "cache", data_dir=tmp_path, image_size=8)

    assert pets.class_names == ("cat", "dog")
    assert (pets.num_train, pets.num_val, pets.num_test) == (14, 2, 4)
    assert pets.image_shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("names", "label", "wanted"),
    [
        (["1.png", "2.png"], None, "tells its class"),
        (["cat.0.png"], "(cat", "is no regular expression"),
        (["cat.0.png"], "dog", "The first: cat.0.png does not match label=dog"),
        ([], None, "tells its class"),
        (["cat.0.png", "Cat.1.png"], None, "differ in nothing but case"),
    ],
)
def test_what_tells_no_classes_is_refused(tmp_path: Path, names: list[str], label: str | None, wanted: str) -> None:
    flat_folder(tmp_path, names)

    with pytest.raises(DataError, match=wanted.replace("(", r"\(")):
        found(str(Named(tmp_path, label)))
