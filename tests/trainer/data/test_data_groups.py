import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trainer.data.splits import Selection, make_splits
from trainer.errors import DataError

NAMES = ("a", "b", "c")


def splits_of(labels: list[int], groups: list[str], *, seed: int = 0) -> dict[str, Selection]:
    found = make_splits(
        {"train": np.array(labels)}, groups=groups, class_names=NAMES, val_fraction=0.2, test_fraction=0.2, seed=seed
    )
    return dict(found)


@st.composite
def grouped(draw: st.DrawFn) -> tuple[list[int], list[str]]:
    """Images in groups, each class alone in four groups at least."""
    labels, groups = [], []
    for group in range(draw(st.integers(12, 40))):
        size = draw(st.integers(1, 6))
        own = group % 3
        members = [own] * size if group < 12 else draw(st.lists(st.integers(0, 2), min_size=size, max_size=size))
        labels += members
        groups += [f"g{group}"] * size
    order = draw(st.permutations(range(len(labels))))
    return [labels[i] for i in order], [groups[i] for i in order]


@given(grouped(), st.integers(0, 3))
def test_no_group_is_torn_and_no_class_is_missing(images: tuple[list[int], list[str]], seed: int) -> None:
    labels, groups = images

    splits = splits_of(labels, groups, seed=seed)

    owners: dict[str, set[str]] = {}
    for name, chosen in splits.items():
        assert {labels[n] for n in chosen.numbers} == {0, 1, 2}
        for number in chosen.numbers:
            owners.setdefault(groups[number], set()).add(name)
    assert all(len(names) == 1 for names in owners.values())
    assert sum(len(chosen.numbers) for chosen in splits.values()) == len(labels)


@given(st.integers(20, 60), st.integers(0, 5))
def test_groups_of_one_give_each_class_its_share(per_class: int, seed: int) -> None:
    labels = [0, 1, 2] * per_class
    splits = splits_of(labels, [f"g{n}" for n in range(len(labels))], seed=seed)

    for label in range(3):
        held = sum(labels[n] == label for n in splits["test"].numbers)
        assert abs(held - 0.2 * per_class) <= 1


def test_the_seed_decides_and_nothing_else() -> None:
    labels, groups = [0, 1, 2] * 30, [f"g{n // 3}" for n in range(90)]

    first, again, other = (splits_of(labels, groups, seed=seed) for seed in (0, 0, 1))

    assert first["test"].numbers.tolist() == again["test"].numbers.tolist()
    assert first["test"].numbers.tolist() != other["test"].numbers.tolist()


def test_a_class_in_too_few_groups_is_refused_by_name() -> None:
    labels = [0] * 9 + [1] * 9 + [2] * 9
    groups = [f"{label}-{n % (2 if label == 1 else 4)}" for n, label in enumerate(labels)]

    with pytest.raises(DataError, match="Class 'b' lies in 2 groups; 3 or more are needed"):
        splits_of(labels, groups)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), min_size=9, max_size=40), st.integers(0, 2))
def test_whatever_the_groups_are_the_answer_is_sound_or_a_refusal(images: list[tuple[int, int]], seed: int) -> None:
    labels, groups = [label for label, _ in images], [f"g{group}" for _, group in images]
    assume(set(labels) == {0, 1, 2})
    try:
        splits = splits_of(labels, groups, seed=seed)
    except DataError:
        return
    owners = {(groups[n], name) for name, chosen in splits.items() for n in chosen.numbers}
    assert len(owners) == len({group for group, _ in owners})
    assert all({labels[n] for n in chosen.numbers} == {0, 1, 2} for chosen in splits.values())
