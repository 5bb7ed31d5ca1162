"""Cuts that keep groups whole: all images of one patient, one scene or one film belong to one split.

Letters: N images, G groups, K classes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.errors import DataError


def hold_out_groups(
    labels: NDArray[np.int64], groups: Sequence[str], *, fraction: float, keep: int, keys: NDArray[np.uint64]
) -> NDArray[np.bool_]:
    """Choose whole groups that together hold about a share of every class.

    Large groups are asked first, equal ones in the order of their keys; a group is taken where that brings the
    counts of its classes nearer to their share, each class weighed by its size. Then each class that has nothing
    held out gets its smallest group.

    Args:
        labels: (N,), from 0.
        groups: N names.
        fraction: Share to hold out.
        keep: Groups of every class that stay at least.
        keys: (N,) of raw random numbers; a group's is that of its first image.

    Returns:
        (N,), true for what is held out.
    """
    numbers = _numbered(groups)
    order = np.argsort(numbers, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)  # of each group
    parts = [np.unique(labels[some], return_counts=True) for some in members]
    counts = np.bincount(labels)
    wanted, held = counts * fraction, np.zeros(len(counts))
    ranked = sorted(range(len(members)), key=lambda g: (-len(members[g]), int(keys[members[g][0]])))
    left = np.bincount(np.concatenate([classes for classes, _ in parts]), minlength=len(counts))  # groups of each class
    chosen: set[int] = set()

    def take(group: int) -> None:
        classes, sizes = parts[group]
        held[classes] += sizes
        left[classes] -= 1
        chosen.add(group)

    for group in ranked:
        classes, sizes = parts[group]
        short = wanted[classes] - held[classes]
        change = ((sizes**2 - 2 * sizes * short) / counts[classes]).sum()  # of the weighed squares of what is missing
        if change < 0 and (left[classes] > keep).all():
            take(group)
    for group in reversed(ranked):
        classes, _ = parts[group]
        if (held[classes] == 0).any() and group not in chosen and (left[classes] > keep).all():
            take(group)
    mask = np.zeros(len(labels), dtype=np.bool_)
    for group in chosen:
        mask[members[group]] = True
    return mask


def check_groups(
    labels: NDArray[np.int64], groups: Sequence[str], class_names: tuple[str, ...], *, num_splits: int
) -> None:
    """Refuse classes that lie in fewer groups than there are splits to make.

    Raises:
        DataError: It names the first of them.
    """
    pairs = np.unique(np.stack([labels, _numbered(groups)]), axis=1)
    for label, count in enumerate(np.bincount(pairs[0], minlength=len(class_names)).tolist()):
        if count < num_splits:
            raise DataError(
                f"Class {class_names[label]!r} lies in {count} groups; {num_splits} or more are needed, at least one "
                f"for each of the {num_splits} splits made from them. Give the splits, or finer groups."
            )


def check_held(labels: NDArray[np.int64], held: NDArray[np.bool_], class_names: tuple[str, ...], *, split: str) -> None:
    """Refuse a cut that leaves a class out of the split, as its groups could not be parted otherwise.

    Raises:
        DataError: It names the first such class.
    """
    counts = np.bincount(labels[held], minlength=len(class_names))
    for label in np.flatnonzero(counts == 0).tolist():
        raise DataError(
            f"No groups could be found that bring class {class_names[label]!r} into {split} and leave some for "
            f"training. Give the splits, or finer groups."
        )


def _numbered(groups: Sequence[str]) -> NDArray[np.int64]:
    """Return the number of each image's group, by first appearance."""
    known: dict[str, int] = {}
    return np.array([known.setdefault(name, len(known)) for name in groups], dtype=np.int64)
