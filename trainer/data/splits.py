"""Who belongs to training, validation and test: pure functions of labels and a seed.

Letters: N images, K classes. A source may give some splits itself; those are kept, the others are cut from
what it gives for training. Only raw PCG64 output decides, because numpy promises that it never changes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trainer.data.groups import check_groups, check_held, hold_out_groups
from trainer.errors import DataError

SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")

_STREAMS: Mapping[SplitName, int] = {"val": 1, "test": 2}  # so that one cut never shifts the other


@dataclass(frozen=True, slots=True)
class Selection:
    """The images that make one split, as numbers within one of the parts that the source gives."""

    part: SplitName
    numbers: NDArray[np.int64]  # ascending


def make_splits(
    labels: Mapping[SplitName, NDArray[np.int64]],
    *,
    groups: Sequence[str] | None = None,
    class_names: tuple[str, ...],
    val_fraction: float,
    test_fraction: float,
    seed: int,
) -> dict[SplitName, Selection]:
    """Keep the given splits and cut the missing ones from `train`, class by class.

    Args:
        labels: Of each part that the source gives; `train` is always there.
        groups: Of the images of `train`; a group stays in one split.
        class_names: Named in errors; labels index it.
        val_fraction: Share of what is left after the test split.
        test_fraction: Share of `train`.
        seed: Decides who is chosen, never how many.

    Raises:
        DataError: If a class has too few images to be in each split.
    """
    missing = {"test", "val"} - labels.keys()
    check_counts(labels["train"], class_names, num_splits=1 + len(missing))
    if groups is not None:
        check_groups(labels["train"], groups, class_names, num_splits=1 + len(missing))
    splits = {name: Selection(name, np.arange(len(part))) for name, part in labels.items()}
    fractions: Mapping[SplitName, float] = {"test": test_fraction, "val": val_fraction}
    for name, fraction in fractions.items():
        if name in missing:
            left = splits["train"].numbers
            keep = 2 if name == "test" and "val" in missing else 1
            some = labels["train"][left]
            if groups is None:
                held = hold_out(some, fraction=fraction, keep=keep, seed=seed, split=name)
            else:
                keys, named = _keys(len(left), seed, name), [groups[number] for number in left]
                held = hold_out_groups(some, named, fraction=fraction, keep=keep, keys=keys)
                check_held(some, held, class_names, split=name)
            splits[name] = Selection("train", left[held])
            splits["train"] = Selection("train", left[~held])
    return splits


def check_counts(labels: NDArray[np.int64], class_names: tuple[str, ...], *, num_splits: int) -> None:
    """Refuse classes that cannot have an image in each of the splits that come out of `labels`.

    Raises:
        DataError: It names every such class and its count.
    """
    if len(class_names) < 2:
        raise DataError(
            f"There is one class only, {class_names[0]!r}: a classifier needs two or more."
            if class_names
            else "There are no classes: a classifier needs two or more."
        )
    counts = np.bincount(labels, minlength=len(class_names))
    few = [f"{name!r} has {count}" for name, count in zip(class_names, counts, strict=True) if count < num_splits]
    if few:
        raise DataError(
            f"Too few training images: class {listed(few)}; {num_splits} or more are needed, at least one"
            f" for each of the {num_splits} splits made from them. Add images or leave the class out."
        )


def hold_out(
    labels: NDArray[np.int64], *, fraction: float, keep: int, seed: int, split: SplitName
) -> NDArray[np.bool_]:
    """Choose a share of every class.

    Args:
        labels: (N,), from 0.
        fraction: Share to hold out; each class gets its share within one image.
        keep: Images of every class that stay at least; every class must have more.
        seed: From 0.
        split: The same seed chooses independently for each.

    Returns:
        (N,), true for what is held out.
    """
    keys = _keys(len(labels), seed, split)
    order = np.lexsort((keys, labels))  # class by class, shuffled within each
    counts = np.bincount(labels)
    place = np.arange(len(labels)) - (np.cumsum(counts) - counts)[labels[order]]
    held = np.zeros(len(labels), dtype=np.bool_)
    held[order] = place < quotas(counts, fraction=fraction, keep=keep)[labels[order]]
    return held


def _keys(number: int, seed: int, split: SplitName) -> NDArray[np.uint64]:
    return np.random.PCG64(np.random.SeedSequence([seed, _STREAMS[split]])).random_raw(number)


def quotas(counts: NDArray[np.int64], *, fraction: float, keep: int) -> NDArray[np.int64]:
    """Return how many images of each class to hold out: (K,), at least 1, at most `counts - keep`."""
    exact = counts * fraction
    quota = np.floor(exact).astype(np.int64)
    # math.fsum, as the order in which numpy adds depends on the processor.
    short = round(math.fsum(exact)) - int(quota.sum())
    lost_most = np.argsort(quota - exact, kind="stable")
    quota[lost_most[:short]] += 1
    limited: NDArray[np.int64] = np.clip(quota, 1, counts - keep)
    return limited


def listed(items: list[str], *, limit: int = 10) -> str:
    """Return `a, b, c and 4 more`."""
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more
