"""Images that are there more than once: found, counted, left out."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.trainer.data.data_samples import Pixels, make_folder, noise, prepared, write_image, write_npz
from trainer.data import DataSet, open_split
from trainer.data.copies import MOST_COMPARED, Place, alike, num_leaks, same, spare, thumbnail_of
from trainer.data.locked import open_test_split
from trainer.errors import DataError


def scene(seed: int, side: int = 64) -> Pixels:
    """A picture with large shapes, as photographs have them: noise of a few pixels, enlarged smoothly."""
    image = Image.fromarray(noise(seed, (5, 5, 3)))
    return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC))


def as_jpeg(pixels: Pixels, quality: int = 30) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def squashed(pixels: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((64, 40), Image.Resampling.BICUBIC))


def brighter(pixels: Pixels) -> Pixels:
    return (pixels * 0.8 + 40).astype(np.uint8)


def grey(pixels: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(pixels).convert("L"))[..., None]


ALTERED = pytest.mark.parametrize("alter", [as_jpeg, squashed, brighter, grey])


@ALTERED
@pytest.mark.parametrize("seed", range(5))
def test_an_image_that_was_saved_anew_looks_the_same(alter: object, seed: int) -> None:
    assert callable(alter)
    pictures = [scene(seed), scene(100 + seed), alter(scene(seed))]

    assert alike(np.stack([thumbnail_of(picture) for picture in pictures])) == [[0, 2]]


def test_different_pictures_do_not_look_the_same() -> None:
    assert alike(np.stack([thumbnail_of(scene(seed)) for seed in range(300)])) == []


def test_flat_pictures_are_no_copies_of_each_other() -> None:
    flat = [np.full((16, 16), level, dtype=np.uint8) for level in (0, 0, 128, 255)]

    assert alike(np.stack(flat)) == []


def test_copies_of_copies_are_one_group() -> None:
    first, second, third = scene(0), as_jpeg(scene(0)), brighter(as_jpeg(scene(0)))

    assert alike(np.stack([thumbnail_of(picture) for picture in (first, scene(1), second, third)])) == [[0, 2, 3]]


def test_too_many_images_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.data.copies.MOST_COMPARED", 3)
    thumbnails = np.stack([thumbnail_of(scene(seed)) for seed in range(4)])

    assert alike(thumbnails) is None
    assert alike(thumbnails[:3]) == []
    assert MOST_COMPARED > 100_000


def test_images_that_are_nearly_all_alike_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.data.copies.MOST_PAIRS", 5)

    assert alike(np.stack([thumbnail_of(scene(0))] * 6)) is None


def test_equal_keys_make_groups() -> None:
    assert same("abcab") == [[0, 3], [1, 4]]


PLACES = st.builds(
    Place, split=st.sampled_from(["train", "val", "test"]), number=st.integers(0, 30), label=st.integers(0, 2)
)


@given(
    groups=st.lists(st.lists(PLACES, min_size=2, max_size=5, unique_by=lambda p: (p.split, p.number)), max_size=3),
    within=st.booleans(),
)
@settings(max_examples=100)
def test_what_stays_of_copies_stands_in_one_split_and_the_test_split_comes_first(
    groups: list[list[Place]], within: bool
) -> None:
    for group in groups:
        going = spare([group], within_splits=within)
        staying = [place for place in group if (place.split, place.number) not in going]

        assert num_leaks([staying]) == 0
        tested = [place for place in group if place.split == "test"]
        if tested:
            assert staying == tested
        elif within:
            assert len(staying) <= 1
        if len({place.label for place in group}) > 1:
            assert all(place.split != "train" for place in staying)


def folder_with_copies(root: Path) -> Path:
    """Two classes; a training image of each is in the test split, and one is in training twice."""
    make_folder(root, {f"{split}/{name}": 6 for split in ("train", "val", "test") for name in "ab"})
    for name in "ab":
        (root / "test" / name / "copy.png").write_bytes((root / "train" / name / "000.png").read_bytes())
    (root / "train" / "a" / "again.png").write_bytes((root / "train" / "a" / "001.png").read_bytes())
    return root


def keys(data_set: DataSet, split: str) -> set[bytes]:
    opened = open_test_split(data_set) if split == "test" else open_split(data_set, split)  # type: ignore[arg-type]
    return {image.tobytes() for image in opened.images}


def test_leaks_are_counted_where_copies_are_kept(tmp_path: Path) -> None:
    found = prepared(f"folder:{folder_with_copies(tmp_path / 'a')}", tmp_path)

    assert (found.num_leaks, found.num_dropped) == (2, 0)
    assert (found.num_train, found.num_val, found.num_test) == (13, 12, 14)


def test_exact_copies_are_left_out_of_training(tmp_path: Path) -> None:
    source = f"folder:{folder_with_copies(tmp_path / 'a')}"
    before = prepared(source, tmp_path)

    found = prepared(source, tmp_path, duplicates="exact")

    assert (found.num_leaks, found.num_dropped) == (0, 3)
    assert (found.num_train, found.num_val, found.num_test) == (10, 12, 14)
    assert not keys(found, "train") & keys(found, "test")
    assert keys(found, "test") == keys(before, "test")
    assert keys(found, "train") == keys(before, "train") - keys(before, "test")
    assert len(open_split(found, "train").labels) == 10
    assert found.fingerprint != before.fingerprint


def test_without_copies_nothing_changes(tmp_path: Path) -> None:
    source = f"folder:{make_folder(tmp_path / 'a', {'x': 9, 'y': 9})}"

    before, after = prepared(source, tmp_path), prepared(source, tmp_path, duplicates="exact")

    assert before.fingerprint == after.fingerprint
    assert (after.num_leaks, after.num_dropped) == (0, 0)


def test_copies_in_arrays_are_left_out_too(tmp_path: Path) -> None:
    images = np.concatenate([noise(0, (20, 8, 8)), noise(1, (10, 8, 8))])
    images[22] = images[3]
    labels = np.arange(30) % 2
    file = write_npz(
        tmp_path / "a.npz",
        {"x_train": images[:20], "y_train": labels[:20], "x_test": images[20:], "y_test": labels[20:] ^ 1},
    )

    assert prepared(f"npz:{file}", tmp_path, duplicates="exact").num_dropped == 1


def test_near_copies_are_left_out_where_they_stand_in_another_split(tmp_path: Path) -> None:
    root = tmp_path / "a"
    for number, (split, name) in enumerate((s, n) for s in ("train", "val", "test") for n in "ab" for _ in range(5)):
        write_image(root / split / name / f"{number}.png", scene(number))
    write_image(root / "test" / "a" / "copy.png", squashed(scene(0)))
    write_image(root / "train" / "a" / "burst.png", as_jpeg(scene(1)))

    exact = prepared(f"folder:{root}", tmp_path, duplicates="exact", image_size=32)
    near = prepared(f"folder:{root}", tmp_path, duplicates="near", image_size=32)

    assert exact.num_dropped == 0
    assert (near.num_dropped, near.num_train, near.num_test) == (1, 10, 11)


def test_small_images_look_too_much_alike(tmp_path: Path) -> None:
    source = f"folder:{make_folder(tmp_path / 'a', {'x': 9, 'y': 9})}"

    with pytest.raises(DataError, match="below 24 pixels a side look too much alike"):
        prepared(source, tmp_path, duplicates="near", image_size=16)


def test_copies_with_different_labels_are_not_trained_on(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "a", {f"{split}/{name}": 4 for split in ("train", "val", "test") for name in "ab"})
    (root / "train" / "b" / "wrong.png").write_bytes((root / "train" / "a" / "000.png").read_bytes())

    found = prepared(f"folder:{root}", tmp_path, duplicates="exact")

    assert (found.num_dropped, found.num_train) == (2, 7)


def test_a_class_that_is_nothing_but_copies_is_refused(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "a", {"train/a": 4, "train/b": 1, "val/a": 1, "val/b": 1, "test/a": 1, "test/b": 0})
    (root / "test" / "b" / "copy.png").write_bytes((root / "train" / "b" / "000.png").read_bytes())

    with pytest.raises(DataError, match="class 'b' has no training image left"):
        prepared(f"folder:{root}", tmp_path, duplicates="exact")
