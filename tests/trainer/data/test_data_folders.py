import os
from pathlib import Path

import pytest

from tests.trainer.data.data_samples import found, make_folder, noise, write_image
from trainer.data.folders import scan_folder as scan
from trainer.data.tree import Tree, check_tree
from trainer.errors import DataError


def paths(tree: Tree) -> list[str]:
    return [file.path for file in tree.files]


def reasons(tree: Tree) -> dict[str, str]:
    return {str(bad.path): bad.reason for bad in tree.unfit}


def test_without_folders_of_splits_all_images_are_for_training(tmp_path: Path) -> None:
    tree = scan(make_folder(tmp_path, {"dog": 2, "cat": 1}))

    assert tree.class_names == ("cat", "dog")
    assert tree.splits == ("train",)
    assert paths(tree) == ["cat/000.png", "dog/000.png", "dog/001.png"]
    assert tree.labels("train").tolist() == [0, 1, 1]


@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_folders_of_splits_are_kept_apart(tmp_path: Path, val: str) -> None:
    tree = scan(make_folder(tmp_path, {f"{split}/{c}": 1 for split in ("train", val, "test") for c in "ab"}))

    assert tree.splits == ("train", "val", "test")
    assert [(f.split, f.class_name) for f in tree.files] == [(s, c) for s in tree.splits for c in "ab"]


def test_another_folder_may_be_the_test_split(tmp_path: Path) -> None:
    make_folder(tmp_path, {f"{split}/{c}": 1 for split in ("train", "val", "photos of May") for c in "ab"})

    assert scan(tmp_path, test="photos of May").splits == ("train", "val", "test")


def test_the_folder_of_validation_may_be_the_test_split(tmp_path: Path) -> None:
    make_folder(tmp_path, {f"{split}/{c}": 1 for split in ("train", "val") for c in "ab"})

    assert scan(tmp_path, test="val").splits == ("train", "test")


@pytest.mark.parametrize(
    ("folders", "test", "message"),
    [
        (["train", "val"], "vla", r"no folder 'vla' for \?test=vla\. Did you mean 'val'"),
        (["train", "val", "test"], "val", "more than one of val, test: keep one"),
    ],
)
def test_a_test_split_that_is_not_there_or_there_twice_is_refused(
    tmp_path: Path, folders: list[str], test: str, message: str
) -> None:
    make_folder(tmp_path, {f"{folder}/{c}": 1 for folder in folders for c in "ab"})

    with pytest.raises(DataError, match=message):
        scan(tmp_path, test=test)


def test_images_in_folders_below_a_class_belong_to_it(tmp_path: Path) -> None:
    tree = scan(make_folder(tmp_path, {"a/x/y": 1, "b": 1}))

    assert paths(tree) == ["a/x/y/000.png", "b/000.png"]
    assert tree.class_names == ("a", "b")


def test_a_class_may_be_called_test_beside_other_classes(tmp_path: Path) -> None:
    assert scan(make_folder(tmp_path, {"control": 1, "test": 1})).class_names == ("control", "test")


def test_hidden_files_and_litter_are_not_seen(tmp_path: Path) -> None:
    make_folder(tmp_path, {"a": 1, "b": 1, ".git": 1, "a/.thumbs": 1})
    for name in ("a/.DS_Store", "a/Thumbs.db", "desktop.ini", "b/.hidden.png"):
        (tmp_path / name).write_bytes(b"")

    tree = scan(tmp_path)

    assert paths(tree) == ["a/000.png", "b/000.png"]
    assert tree.num_ignored == 0


def test_files_that_are_no_images_by_name_are_counted(tmp_path: Path) -> None:
    make_folder(tmp_path, {"a": 1, "b": 1})
    for name in ("README.md", "a/notes.txt", "a/labels.csv", "b/model.psd"):
        (tmp_path / name).write_bytes(b"")

    assert scan(tmp_path).num_ignored == 4


def test_endings_in_capitals_are_images(tmp_path: Path) -> None:
    make_folder(tmp_path, {"a": 1, "b": 1})
    (tmp_path / "a" / "000.png").rename(tmp_path / "a" / "000.PNG")

    assert paths(scan(tmp_path)) == ["a/000.PNG", "b/000.png"]


def test_odd_names_are_taken(tmp_path: Path) -> None:
    make_folder(tmp_path, {"a": 1, "b: c d": 1})
    names = ["-rf.png", "new\nline.png", "😀.png", "x" * 250 + ".png", "..png", os.fsdecode(b"\xff.png")]
    for name in names:
        write_image(tmp_path / "a" / name, noise(0), format="PNG")

    tree = scan(tmp_path)

    check_tree(tree)
    assert len(tree.files) == len(names) + 1  # `..png` begins with a dot


def test_links_are_followed_only_inside_the_folder(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data", {"a": 1, "b": 1})
    outside = write_image(tmp_path / "outside.png", noise(0))
    (root / "a/in.png").symlink_to(root / "b/000.png")
    (root / "a/out.png").symlink_to(outside)
    (root / "a/gone.png").symlink_to(root / "nothing")
    (root / "a/loop.png").symlink_to(root / "a/loop.png")
    (root / "a/up").symlink_to(root)
    (root / "c").symlink_to(tmp_path)

    tree = scan(root)

    assert "a/in.png" in paths(tree)
    assert reasons(tree) == {
        "a/out.png": "is a link out of the folder",
        "a/gone.png": "is a link that leads nowhere",
        "a/loop.png": "is a link that leads nowhere",
        "a/up": "is a link to a folder, and those are not followed",
        "c": "is a link to a folder, and those are not followed",
    }


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    make_folder(tmp_path / "data", {"a": 1, "b": 1})
    (tmp_path / "link").symlink_to(tmp_path / "data")

    assert found(f"folder:{tmp_path / 'link'}").identity == found(f"folder:{tmp_path / 'data'}").identity


def test_pipes_and_loose_images_are_noted(tmp_path: Path) -> None:
    make_folder(tmp_path, {"a": 1, "b": 1})
    os.mkfifo(tmp_path / "a/pipe.jpg")
    (tmp_path / "loose.jpg").write_bytes(b"x")

    assert reasons(scan(tmp_path)) == {
        "a/pipe.jpg": "is a named pipe",
        "loose.jpg": "lies in no class folder",
    }


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({}, r"has no class folders\. The layout is DIR/CLASS/IMAGE"),
        ({".": 3}, "has no class folders but 3 images directly in it"),
        ({"train": 2}, "train has no class folders but 2 images directly in it"),
        ({"train/a": 1, "train/b": 1, "cats": 1}, "has train beside 'cats'"),
        ({"train/a": 1, "val/a": 1, "valid/a": 1}, "more than one of val, valid, validation: keep one"),
        ({"test/a": 1, "val/a": 1}, "has test and val but no train"),
        ({"a": 1, "b": 0, "c": 0}, "No image in class folder 'b', 'c' of"),
        ({"train/a": 1, "train/b": 1, "val/a": 0}, "No image in class folder 'val/a'"),
        ({"train/ants": 1, "train/bees": 1, "val/Ants": 1}, "'Ants' and 'ants' differ in nothing but case"),
        (
            {"train/ants": 1, "train/bees": 1, "val/bee": 1},
            "'bee' of val has no images in train. Did you mean 'bees'",
        ),
        ({"Cat": 1, "cat": 1}, "'Cat' and 'cat' differ in nothing but case"),
        ({"caf\u00e9": 1, "cafe\u0301": 1}, "has class 'café' twice, spelled with different bytes"),
        ({"a\nb": 1, "c": 1}, r"Class name 'a\\nb' cannot be printed"),
        ({os.fsdecode(b"\xff"): 1, "c": 1}, "cannot be printed"),
        ({" ": 1, "c": 1}, "Class name ' ' cannot be printed"),
    ],
)
def test_a_layout_that_cannot_be_used_is_explained(tmp_path: Path, counts: dict[str, int], message: str) -> None:
    make_folder(tmp_path, counts)

    with pytest.raises(DataError, match=message):
        found(f"folder:{tmp_path}")


def test_a_class_in_two_spellings_of_its_accents_is_one_class(tmp_path: Path) -> None:
    tree = scan(make_folder(tmp_path, {"train/caf\u00e9": 1, "train/b": 1, "val/cafe\u0301": 1}))

    assert tree.class_names == ("b", "caf\u00e9")


def test_classes_that_are_links_are_named_when_nothing_else_is_there(tmp_path: Path) -> None:
    (tmp_path / "cats").symlink_to(make_folder(tmp_path / "elsewhere", {"cats": 1}) / "cats")
    (tmp_path / "elsewhere").rename(tmp_path / ".elsewhere")
    (tmp_path / "cats").unlink()
    (tmp_path / "cats").symlink_to(tmp_path / ".elsewhere" / "cats")

    with pytest.raises(DataError, match="no class folders: cats is a link to a folder"):
        found(f"folder:{tmp_path}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("imges", "does not exist. Did you mean 'images'"),
        ("file", "is not a folder"),
        ("x" * 300, "cannot be looked for"),
        ("a\0b", r"a\\x00b does not exist"),
    ],
)
def test_a_folder_that_is_not_there_is_explained(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(DataError, match=message):
        found(f"folder:{tmp_path / name}")


@pytest.mark.skipif(os.geteuid() == 0, reason="The superuser may read every folder.")
def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    make_folder(tmp_path, {"a": 1, "b": 1})
    (tmp_path / "a").chmod(0)

    try:
        with pytest.raises(DataError, match=r"Cannot read the folder .*a: Permission denied"):
            scan(tmp_path)
    finally:
        (tmp_path / "a").chmod(0o700)
