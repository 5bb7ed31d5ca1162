"""A package is what it was when it was made, or it is refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from search.promotion.package import (
    EXTRA,
    GRAPH,
    MANIFEST,
    Manifest,
    PackageError,
    check_files,
    digests,
    read_manifest,
    write_manifest,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A package of three files, none of them a real graph."""
    (tmp_path / EXTRA).mkdir()
    (tmp_path / GRAPH).write_bytes(b"graph")
    (tmp_path / EXTRA / "weights-3.safetensors").write_bytes(b"weights")
    names = [GRAPH, f"{EXTRA}/weights-3.safetensors"]
    manifest = Manifest(
        class_names=("cat", "dög"), image_shape=(8, 8, 1), resizing="by hand", temperature=1.25, images="train",
        study="pets", trials={"3": 1}, data="d" * 16, test_split="t" * 64, accuracy=(0.9, 0.8, 0.95),
        judged_on="test", num_judged=40, config="c" * 16,
        versions={"autoclf": "0.1.0"}, files=digests(tmp_path, names),
    )  # fmt: skip
    write_manifest(tmp_path, manifest)
    return tmp_path


def change(folder: Path, **values: Any) -> None:
    """Write other values into the manifest."""
    path = folder / EXTRA / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


def test_what_was_written_is_read(folder: Path) -> None:
    manifest = read_manifest(folder)

    assert manifest.class_names == ("cat", "dög")
    assert manifest.image_shape == (8, 8, 1)
    assert manifest.temperature == 1.25
    check_files(folder, manifest)


@pytest.mark.parametrize("name", [GRAPH, f"{EXTRA}/weights-3.safetensors"])
def test_a_flipped_bit_is_found(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[2] ^= 1
    (folder / name).write_bytes(content)

    with pytest.raises(PackageError, match=f"{Path(name).name} is not what it was"):
        check_files(folder, read_manifest(folder))


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / GRAPH).unlink()

    with pytest.raises(PackageError, match=f"lacks '{GRAPH}'"):
        check_files(folder, read_manifest(folder))


def test_a_manifest_without_files_proves_nothing(folder: Path) -> None:
    change(folder, files={})

    with pytest.raises(PackageError, match="tells of no files"):
        check_files(folder, read_manifest(folder))


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "extra_files/../../outside"])
def test_a_manifest_that_names_files_outside_is_refused(folder: Path, name: str) -> None:
    (folder.parent / "outside").write_bytes(b"")
    change(folder, files={GRAPH: digests(folder, [GRAPH])[GRAPH], name: "0" * 64})

    with pytest.raises(PackageError, match="outside the package"):
        check_files(folder, read_manifest(folder))


def test_a_link_out_of_the_package_is_refused(folder: Path) -> None:
    (folder / GRAPH).rename(folder.parent / "elsewhere.onnx")
    (folder / GRAPH).symlink_to(folder.parent / "elsewhere.onnx")

    with pytest.raises(PackageError, match="outside the package"):
        check_files(folder, read_manifest(folder))


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"schema": 99}, "layout 99, and this version of autoclf reads 1"),
        ({"class_names": []}, "names no classes"),
        ({"class_names": [1, 2]}, "names no classes"),
        ({"image_shape": [8, 8]}, "no shape of images"),
        ({"image_shape": None}, "is damaged"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(folder: Path, values: dict[str, Any], told: str) -> None:
    change(folder, **values)

    with pytest.raises(PackageError, match=told):
        read_manifest(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema": 1}', "\x00", "null"])
def test_a_damaged_manifest_is_refused(folder: Path, text: str) -> None:
    (folder / EXTRA / MANIFEST).write_text(text, encoding="utf-8")

    with pytest.raises(PackageError):
        read_manifest(folder)


def test_a_folder_without_a_manifest_is_no_package(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="holds no package of autoclf"):
        read_manifest(tmp_path)


def test_a_huge_manifest_is_not_read(folder: Path) -> None:
    with (folder / EXTRA / MANIFEST).open("ab") as file:
        file.truncate(5_000_000)

    with pytest.raises(PackageError, match="larger than a manifest can be"):
        read_manifest(folder)
