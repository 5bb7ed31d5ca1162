import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.data.splits import Selection, SplitName, hold_out, listed, make_splits, quotas
from trainer.errors import DataError

COUNTS = st.lists(st.integers(3, 40), min_size=2, max_size=6)
FRACTIONS = st.floats(0.02, 0.5)


def labels_of(counts: list[int], seed: int = 0) -> np.ndarray:
    labels = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(seed).permutation(labels)


def names_of(counts: list[int]) -> tuple[str, ...]:
    return tuple(f"class{number}" for number in range(len(counts)))


def cut(counts: list[int], val: float = 0.1, test: float = 0.2, seed: int = 0) -> dict[SplitName, Selection]:
    return make_splits(
        {"train": labels_of(counts)},
        class_names=names_of(counts),
        val_fraction=val,
        test_fraction=test,
        seed=seed,
    )


@given(COUNTS, FRACTIONS, FRACTIONS, st.integers(0, 2**70))
@settings(max_examples=50, deadline=None)
def test_splits_share_no_image_and_leave_none_out(counts: list[int], val: float, test: float, seed: int) -> None:
    splits = cut(counts, val, test, seed)

    together = np.concatenate([chosen.numbers for chosen in splits.values()])
    assert sorted(together) == list(range(sum(counts)))


@given(COUNTS, FRACTIONS, FRACTIONS, st.integers(0, 2**70))
@settings(max_examples=50, deadline=None)
def test_every_class_is_in_every_split(counts: list[int], val: float, test: float, seed: int) -> None:
    labels = labels_of(counts)

    for chosen in cut(counts, val, test, seed).values():
        assert set(labels[chosen.numbers]) == set(range(len(counts)))


@given(COUNTS, FRACTIONS, st.integers(1, 2))
@settings(max_examples=50, deadline=None)
def test_each_class_gives_its_share_within_one_image(counts: list[int], fraction: float, keep: int) -> None:
    held = quotas(np.array(counts), fraction=fraction, keep=keep)

    assert all(abs(held - np.array(counts) * fraction) <= 1)


def test_the_shares_of_large_classes_add_up_to_the_share_of_all() -> None:
    assert quotas(np.array([15, 15, 15, 15]), fraction=0.1, keep=2).tolist() == [2, 2, 1, 1]


@given(COUNTS, st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_the_same_seed_gives_the_same_splits(counts: list[int], seed: int) -> None:
    first, second = cut(counts, seed=seed), cut(counts, seed=seed)

    assert all(np.array_equal(first[name].numbers, second[name].numbers) for name in first)


def test_another_seed_gives_other_splits_of_the_same_sizes() -> None:
    first, second = cut([100, 50], seed=1), cut([100, 50], seed=2)

    assert [len(s.numbers) for s in first.values()] == [len(s.numbers) for s in second.values()]
    assert not np.array_equal(first["test"].numbers, second["test"].numbers)


def test_the_choice_is_the_same_on_every_machine() -> None:
    held = hold_out(np.arange(20) % 2, fraction=0.3, keep=2, seed=7, split="test")

    assert np.flatnonzero(held).tolist() == [5, 7, 8, 10, 11, 14]


def test_validation_and_test_are_chosen_independently() -> None:
    labels = np.zeros(1000, dtype=np.int64)

    val, test = (hold_out(labels, fraction=0.5, keep=1, seed=0, split=s) for s in ("val", "test"))

    assert 400 < (val == test).sum() < 600


def test_given_splits_are_kept_and_the_missing_one_is_cut_from_train() -> None:
    given_labels = {"train": labels_of([10, 10]), "val": labels_of([2, 2])}

    splits = make_splits(given_labels, class_names=("a", "b"), val_fraction=0.5, test_fraction=0.2, seed=0)

    assert splits["val"].part == "val"
    assert len(splits["val"].numbers) == 4
    assert splits["test"].part == "train"
    assert not set(splits["test"].numbers) & set(splits["train"].numbers)
    assert len(splits["train"].numbers) == 16


@pytest.mark.parametrize(
    ("given_splits", "needed"),
    [(("train",), 3), (("train", "val"), 2), (("train", "test"), 2), (("train", "val", "test"), 1)],
)
def test_a_class_needs_an_image_for_each_split_that_is_made(given_splits: tuple[SplitName, ...], needed: int) -> None:
    def cut_with(num_rare: int) -> None:
        labels = {split: labels_of([10, num_rare]) for split in given_splits}
        make_splits(labels, class_names=("cat", "dog"), val_fraction=0.1, test_fraction=0.1, seed=0)

    cut_with(needed)
    with pytest.raises(DataError, match=f"class 'dog' has {needed - 1}; {needed} or more are needed"):
        cut_with(needed - 1)


@pytest.mark.parametrize(
    ("counts", "message"),
    [([9], "one class only, 'class0'"), ([], "no classes"), ([5, 2, 1], "'class1' has 2, 'class2' has 1")],
)
def test_classes_that_cannot_be_split_are_named(counts: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        cut(counts)


def test_long_lists_are_cut() -> None:
    assert listed(["a", "b", "c"], limit=2) == "a, b and 1 more"
