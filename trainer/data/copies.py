"""Images that are there more than once: the same to the last pixel, or the same to the eye.

Exact copies have equal pixels. Near copies are looked for on thumbnails: first by a difference hash (which of two
neighbours is brighter, https://www.hackerfactor.com/blog/index.php?/archives/529-Kind-of-Like-That.html), then, among
those whose hashes differ in few bits, by the correlation of the thumbnails themselves, which is what decides.

Letters: N images, H W pixels, C channels.
"""

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainer.data.images import Pixels, thumbnail
from trainer.data.splits import SPLITS, SplitName

LEAST_SIDE = 24  # pixels; smaller images have no details by which copies are told from look-alikes
MOST_BITS = 8  # of 120 by which the hashes of near copies may differ
LEAST_CORRELATION = 0.985  # of their thumbnails
LEAST_CONTRAST = 4.0  # grey levels; flat images are all alike
MOST_COMPARED = 200_000  # images; every pair is looked at
MOST_PAIRS = 1_000_000  # candidates, beyond which the images are too much alike to say anything

_ROWS_AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image stands."""

    split: SplitName
    number: int  # of its row
    label: int


def digest(pixels: Pixels) -> bytes:
    """Return 16 bytes that copies share."""
    return hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=16).digest()


def thumbnail_of(pixels: Pixels) -> Pixels:
    """Return the (THUMB, THUMB) thumbnail of (H, W, C), C = 1 or 3."""
    return thumbnail(Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels))


def same(keys: Iterable[Hashable]) -> list[list[int]]:
    """Return the positions of equal keys, group by group, of two or more."""
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for position, key in enumerate(keys):
        groups[key].append(position)
    return [group for group in groups.values() if len(group) > 1]


def alike(thumbnails: Pixels) -> list[list[int]] | None:
    """Return the positions of images that look the same, group by group, of two or more.

    Args:
        thumbnails: (N, THUMB, THUMB) uint8, as `thumbnail_of` makes them.

    Returns:
        None where there are too many images, or so many that look alike that the groups would mean nothing.
    """
    if len(thumbnails) > MOST_COMPARED:
        return None
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    contrast = flat.std(axis=1)
    normed = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    has_details = contrast >= LEAST_CONTRAST
    parents = list(range(len(thumbnails)))
    num_pairs = 0
    for first, second in _candidates(_hashes(thumbnails)):
        num_pairs += len(first)
        if num_pairs > MOST_PAIRS:
            return None
        is_same = np.einsum("nd,nd->n", normed[first], normed[second]) >= LEAST_CORRELATION
        is_same &= has_details[first] & has_details[second]
        for a, b in zip(first[is_same].tolist(), second[is_same].tolist(), strict=True):
            parents[_root(parents, a)] = _root(parents, b)
    return same(_root(parents, position) for position in range(len(parents)))


def spare(groups: Sequence[Sequence[Place]], *, within_splits: bool) -> set[tuple[SplitName, int]]:
    """Choose which copies go: those of the test split stay, else one of validation, else one of training.

    Where labels disagree, nobody knows which is right, and no copy is trained on.

    Args:
        groups: Of copies.
        within_splits: Whether copies within one split go, too, and not only those of images in another.

    Returns:
        Split and row of each image that goes.
    """
    going: set[tuple[SplitName, int]] = set()
    for group in groups:
        keeper = max(group, key=lambda place: (SPLITS.index(place.split), -place.number))
        disagree = len({place.label for place in group}) > 1
        for place in group:
            is_outranked = SPLITS.index(place.split) < SPLITS.index(keeper.split)
            is_surplus = within_splits and place is not keeper and place.split != "test"
            if is_outranked or is_surplus or (disagree and place.split == "train"):
                going.add((place.split, place.number))
    return going


def num_leaks(groups: Iterable[Sequence[Place]]) -> int:
    """Count the groups that stand in more than one split."""
    return sum(len({place.split for place in group}) > 1 for group in groups)


def without_empty_classes(
    going: set[tuple[SplitName, int]], labels: Mapping[SplitName, NDArray[np.int64]]
) -> list[int]:
    """Return the classes that would have no training image left."""
    left = np.ones(len(labels["train"]), dtype=np.bool_)
    left[[number for split, number in going if split == "train"]] = False
    return sorted(set(labels["train"].tolist()) - set(labels["train"][left].tolist()))


def _hashes(thumbnails: Pixels) -> NDArray[np.uint64]:
    """Return (N, 2): 56 bits of neighbours in a row and 56 of neighbours in a column, on 8 x 8 means."""
    means = thumbnails.reshape(-1, 8, 2, 8, 2).astype(np.uint16).sum(axis=(2, 4))
    bits = (means[:, :, 1:] > means[:, :, :-1], means[:, 1:, :] > means[:, :-1, :])
    powers = 2 ** np.arange(56, dtype=np.uint64)
    return np.stack([(some.reshape(-1, 56) * powers).sum(axis=1, dtype=np.uint64) for some in bits], axis=1)


def _candidates(hashes: NDArray[np.uint64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield pairs of positions, the smaller first, whose hashes differ in few bits."""
    for start in range(0, len(hashes), _ROWS_AT_ONCE):
        some, rest = hashes[start : start + _ROWS_AT_ONCE], hashes[start:]
        distance = np.bitwise_count(some[:, None, 0] ^ rest[None, :, 0]).astype(np.uint8)
        distance += np.bitwise_count(some[:, None, 1] ^ rest[None, :, 1])
        first, second = np.nonzero(distance <= MOST_BITS)
        ahead = first < second
        yield first[ahead] + start, second[ahead] + start


def _root(parents: list[int], position: int) -> int:
    """Return what stands for a position's group, and shorten the way there."""
    while parents[position] != position:
        parents[position] = parents[parents[position]]
        position = parents[position]
    return position
