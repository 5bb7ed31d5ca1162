import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.trainer.data.data_samples import arrays, left_overs, make_folder, noise, prepared, write_image, write_npz
from trainer.data import DataSet, absent_classes, load_data_set, open_split
from trainer.data.files import require_free, workspace
from trainer.data.locked import open_test_split
from trainer.data.store import SCHEMA
from trainer.errors import DataError


def all_pixels(data_set: DataSet) -> np.ndarray:
    train, val, test = open_split(data_set, "train"), open_split(data_set, "val"), open_test_split(data_set)
    return np.concatenate([train.images, val.images, test.images])


def numbered_npz(path: Path, num_images: int = 60) -> Path:
    """Write images that tell their own number, so that they can be followed."""
    numbers = np.arange(num_images, dtype=np.uint8)
    images = np.broadcast_to(numbers[:, None, None], (num_images, 4, 4))
    return write_npz(path, {"images": images, "labels": numbers % 3})


def test_the_digits_come_in_their_own_size(tmp_path: Path) -> None:
    data_set = prepared("digits", tmp_path)

    train = open_split(data_set, "train")
    assert data_set.image_shape == (8, 8, 1)
    assert data_set.class_names == tuple("0123456789")
    assert (data_set.num_train, data_set.num_val, data_set.num_test) == (1294, 144, 359)
    assert (train.images.min(), train.images.max()) == (0, 255)
    assert train.images.dtype == np.uint8
    assert train.labels.dtype == np.int64


def test_every_image_is_in_one_split_with_its_own_label(tmp_path: Path) -> None:
    data_set = prepared(f"npz:{numbered_npz(tmp_path / 'a.npz')}", tmp_path)

    splits = open_split(data_set, "train"), open_split(data_set, "val"), open_test_split(data_set)
    assert sorted(all_pixels(data_set)[:, 0, 0, 0]) == list(range(60))
    for split in splits:
        assert np.array_equal(split.images[:, 0, 0, 0] % 3, split.labels)


def test_mean_and_deviation_are_of_the_training_images(tmp_path: Path) -> None:
    data_set = prepared(f"npz:{write_npz(tmp_path / 'a.npz', arrays(shape=(6, 5, 3)))}", tmp_path)

    pixels = open_split(data_set, "train").images / 255
    assert np.allclose(data_set.mean, pixels.mean((0, 1, 2)))
    assert np.allclose(data_set.std, pixels.std((0, 1, 2)))


def test_a_folder_becomes_squares_of_64_pixels(tmp_path: Path) -> None:
    data_set = prepared(f"folder:{make_folder(tmp_path / 'a', {'x': 5, 'y': 5})}", tmp_path)

    assert data_set.image_shape == (64, 64, 3)
    assert data_set.source == f"folder:{tmp_path / 'a'}"


def test_an_image_of_a_folder_is_not_changed_on_its_way(tmp_path: Path) -> None:
    pixels = noise(1, (16, 16, 3))
    for name in ("x", "y"):
        for number in range(3):
            write_image(tmp_path / "a" / name / f"{number}.png", pixels)

    data_set = prepared(f"folder:{tmp_path / 'a'}", tmp_path, image_size=16)

    assert (all_pixels(data_set) == pixels).all()


@pytest.mark.parametrize("source", ["npz", "folder"])
def test_images_take_the_size_that_is_asked_for(tmp_path: Path, source: str) -> None:
    npz = write_npz(tmp_path / "a.npz", arrays())
    folder = make_folder(tmp_path / "a", {"x": 3, "y": 3})

    data_set = prepared(f"npz:{npz}" if source == "npz" else f"folder:{folder}", tmp_path, image_size=10)

    assert data_set.image_shape[:2] == (10, 10)


def test_all_grey_files_are_stored_as_rgb(tmp_path: Path) -> None:
    for name in "xy":
        for number in range(3):
            write_image(tmp_path / "a" / name / f"{number}.png", noise(number, (8, 8)))

    assert prepared(f"folder:{tmp_path / 'a'}", tmp_path).image_shape == (64, 64, 3)


def test_the_splits_of_a_folder_are_kept(tmp_path: Path) -> None:
    make_folder(tmp_path / "a", {"train/x": 10, "train/y": 10, "val/x": 3, "val/y": 2})

    data_set = prepared(f"folder:{tmp_path / 'a'}", tmp_path)

    assert (data_set.num_train, data_set.num_val, data_set.num_test) == (16, 5, 4)


def test_a_data_set_is_read_back_as_it_was_made(tmp_path: Path) -> None:
    data_set = prepared("digits", tmp_path)

    assert load_data_set(data_set.root) == data_set


def test_a_write_into_a_split_does_not_reach_the_file(tmp_path: Path) -> None:
    data_set = prepared("digits", tmp_path)

    open_split(data_set, "train").images[:] = 0

    assert open_split(data_set, "train").images.max() == 255


def test_the_test_split_is_not_opened_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Split 'test' is not open to a search"):
        open_split(prepared("digits", tmp_path), "test")  # type: ignore[arg-type]


# The cache --------------------------------------------------------------------------------------------------


def test_a_second_call_decodes_nothing(tmp_path: Path) -> None:
    source = f"folder:{make_folder(tmp_path / 'a', {'x': 5, 'y': 5})}"
    first = prepared(source, tmp_path)

    calls: list[tuple[int, int]] = []
    second = prepared(source, tmp_path, on_progress=lambda *numbers: calls.append(numbers))

    assert second == first
    assert calls == []


def test_a_second_call_on_many_files_is_quick(tmp_path: Path) -> None:
    make_folder(tmp_path / "a", {"x": 1, "y": 1})
    for name in "xy":
        for number in range(1, 750):
            os.link(tmp_path / f"a/{name}/000.png", tmp_path / f"a/{name}/{number:03}.png")
    prepared(f"folder:{tmp_path / 'a'}", tmp_path, image_size=4)

    start = time.perf_counter()
    prepared(f"folder:{tmp_path / 'a'}", tmp_path, image_size=4)

    assert time.perf_counter() - start < 0.5  # seconds; 0.03 on an idle machine


def test_progress_is_told_up_to_the_last_image(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []

    prepared("digits", tmp_path, image_size=64, on_progress=lambda *numbers: calls.append(numbers))

    assert calls[-1] == (1797, 1797)
    assert calls == sorted(calls)
    assert len(calls) > 5


@pytest.mark.parametrize(
    "options", [{"seed": 1}, {"val_fraction": 0.3}, {"test_fraction": 0.3}, {"image_size": 4}], ids=str
)
def test_other_options_make_another_data_set(tmp_path: Path, options: dict[str, Any]) -> None:
    source = f"npz:{numbered_npz(tmp_path / 'a.npz')}"

    assert prepared(source, tmp_path, **options).root != prepared(source, tmp_path).root


@pytest.mark.parametrize("name", ["train_images.npy", "test_labels.npy", "meta.json"])
@pytest.mark.parametrize("harm", ["remove", "cut"])
def test_a_damaged_data_set_is_made_again(tmp_path: Path, name: str, harm: str) -> None:
    data_set = prepared("digits", tmp_path)
    path = data_set.root / name
    path.unlink() if harm == "remove" else path.write_bytes(path.read_bytes()[:-5])

    with pytest.raises(DataError, match=r"No such file|bytes and not|is damaged"):
        load_data_set(data_set.root)
    assert prepared("digits", tmp_path) == data_set
    assert left_overs(tmp_path / "cache") == []


def test_a_data_set_of_another_layout_is_refused(tmp_path: Path) -> None:
    meta = prepared("digits", tmp_path).root / "meta.json"
    meta.write_text(meta.read_text().replace(f'"schema": {SCHEMA}', '"schema": 99'))

    with pytest.raises(DataError, match=f"has layout 99, not {SCHEMA}: prepare it again"):
        load_data_set(meta.parent)


def test_nothing_but_the_data_set_is_left(tmp_path: Path) -> None:
    data_set = prepared(f"npz:{numbered_npz(tmp_path / 'a.npz')}", tmp_path)

    assert left_overs(tmp_path / "cache") == []
    assert sorted(path.name for path in data_set.root.iterdir()) == [
        "meta.json", "test_images.npy", "test_labels.npy", "train_images.npy", "train_labels.npy",
        "val_images.npy", "val_labels.npy",
    ]  # fmt: skip


# The fingerprint --------------------------------------------------------------------------------------------


def fingerprint(source: str, place: Path, **options: Any) -> str:
    return prepared(source, place, **options).fingerprint


def test_a_moved_folder_keeps_its_fingerprint(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "a", {"x": 5, "y": 5})
    before = fingerprint(f"folder:{folder}", tmp_path)

    folder.rename(tmp_path / "b")

    assert fingerprint(f"folder:{tmp_path / 'b'}", tmp_path) == before


def test_the_order_in_which_files_were_written_does_not_matter(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "a", {"x": 9, "y": 9})
    for path in sorted(folder.rglob("*.png"), key=lambda path: path.name, reverse=True):
        (tmp_path / "b" / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "b" / path.parent.name)

    assert fingerprint(f"folder:{tmp_path / 'b'}", tmp_path) == fingerprint(f"folder:{folder}", tmp_path)


def test_a_fingerprint_never_changes_between_versions(tmp_path: Path) -> None:
    assert prepared("digits", tmp_path).fingerprint == "d5ff24853e4d044b"


def test_one_pixel_changes_the_fingerprint(tmp_path: Path) -> None:
    content = arrays()
    before = fingerprint(f"npz:{write_npz(tmp_path / 'a.npz', content)}", tmp_path)

    content["x_train"][3, 2, 1] ^= 1

    assert fingerprint(f"npz:{write_npz(tmp_path / 'a.npz', content)}", tmp_path) != before


def test_one_label_changes_the_fingerprint(tmp_path: Path) -> None:
    content = arrays()
    before = fingerprint(f"npz:{write_npz(tmp_path / 'a.npz', content)}", tmp_path)

    content["y_train"][3] = 1

    assert fingerprint(f"npz:{write_npz(tmp_path / 'b.npz', content)}", tmp_path) != before


def test_the_name_of_a_class_changes_the_fingerprint(tmp_path: Path) -> None:
    named = [write_npz(tmp_path / f"{c}.npz", {**arrays(), "class_names": [*"ab", c]}) for c in "cd"]

    assert len({fingerprint(f"npz:{path}", tmp_path) for path in named}) == 2


def test_the_seed_changes_the_fingerprint(tmp_path: Path) -> None:
    assert fingerprint("digits", tmp_path, seed=1) != fingerprint("digits", tmp_path)


def test_a_repacked_file_keeps_its_fingerprint(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "packed.npz", **arrays())
    plain = write_npz(tmp_path / "plain.npz", arrays())

    assert fingerprint(f"npz:{tmp_path / 'packed.npz'}", tmp_path) == fingerprint(f"npz:{plain}", tmp_path)


def test_a_file_written_anew_is_read_anew(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "a", {"x": 5, "y": 5})
    before = fingerprint(f"folder:{folder}", tmp_path)

    write_image(folder / "x" / "000.png", noise(99))

    assert fingerprint(f"folder:{folder}", tmp_path) != before


# What is refused --------------------------------------------------------------------------------------------


def test_unusable_images_are_listed_with_reasons(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "a", {"x": 20, "y": 5})
    for number in range(12):
        (folder / "x" / f"{number:03}.png").write_bytes(b"")
    os.mkfifo(folder / "y" / "pipe.png")

    with pytest.raises(DataError) as caught:
        prepared(f"folder:{folder}", tmp_path)

    lines = str(caught.value).splitlines()
    assert lines[0] == f"13 of 26 images of folder:{folder} cannot be used:"
    assert lines[1] == "  x/000.png is empty"
    assert lines[-2] == "  and 3 more"
    assert lines[-1] == "Remove or repair them, and run again; or leave them out: --on-bad-image skip."
    assert len(lines) == 13
    assert left_overs(tmp_path / "cache") == []


def test_a_bad_file_that_comes_later_is_seen(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "a", {"x": 5, "y": 5})
    prepared(f"folder:{folder}", tmp_path)
    (folder / "x" / "gone.png").symlink_to("nowhere.png")

    with pytest.raises(DataError, match=r"x/gone.png is a link that leads nowhere"):
        prepared(f"folder:{folder}", tmp_path)


@pytest.mark.parametrize(
    ("counts", "message"),
    [({"x": 5}, "one class only, 'x'"), ({"x": 5, "y": 2}, "class 'y' has 2; 3 or more are needed")],
)
def test_classes_that_cannot_be_learned_are_named(tmp_path: Path, counts: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        prepared(f"folder:{make_folder(tmp_path / 'a', counts)}", tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"val_fraction": 0}, "`val_fraction` must be between 0 and 1, got 0"),
        ({"test_fraction": 1.0}, "`test_fraction` must be between 0 and 1, got 1.0"),
        ({"val_fraction": float("nan")}, "got nan"),
        ({"image_size": 0}, "`image_size` must be 1 to 4096 pixels, got 0"),
        ({"image_size": 5000}, "got 5000"),
        ({"seed": -1}, "`seed` must be a whole number from 0, got -1"),
        ({"seed": -1, "image_size": -1}, "(?s)image_size.*seed"),
    ],
)
def test_options_out_of_range_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        prepared("digits", tmp_path, **options)


def test_a_source_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "a", {"x": 5, "y": 5})

    def change(_done: int, _total: int) -> None:
        Image.new("L", (4, 4)).save(folder / "x" / "new.png")

    with pytest.raises(DataError, match="changed while it was read"):
        prepared(f"folder:{folder}", tmp_path, on_progress=change)
    assert left_overs(tmp_path / "cache") == []


def test_what_a_disk_cannot_hold_is_not_begun(tmp_path: Path) -> None:
    needed = shutil.disk_usage(tmp_path).total + 1

    with pytest.raises(DataError, match=r"to unpack it: [\d,]+ bytes are needed in .*, [\d,]+ are free"):
        require_free(tmp_path, needed, what="unpack it")


def test_a_cache_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"")

    with pytest.raises(DataError, match=r"Cannot write into .*cache: "):
        prepared("digits", tmp_path)


def test_an_interrupted_build_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepared("digits", tmp_path, on_progress=interrupt)

    assert left_overs(tmp_path / "cache") == []


def test_a_workspace_is_empty_and_then_gone(tmp_path: Path) -> None:
    with workspace(tmp_path, "name") as folder:
        (folder / "file").write_bytes(b"x")
    with workspace(tmp_path, "name") as folder:
        assert list(folder.iterdir()) == []
    assert not folder.exists()


def test_classes_without_images_in_a_split_are_named(tmp_path: Path) -> None:
    content = arrays() | {"x_val": noise(1, (4, 6, 5)), "y_val": [0, 2, 2, 2], "class_names": ["ant", "bee", "cat"]}

    data_set = prepared(f"npz:{write_npz(tmp_path / 'a.npz', content)}", tmp_path)

    assert absent_classes(data_set, "train") == ()
    assert absent_classes(data_set, "val") == ("bee",)
