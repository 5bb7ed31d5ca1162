"""What a source holds, before anything is made of it: counts, sizes, kinds of images, faults and copies.

Letters: N images, H W pixels, C channels.
"""

import hashlib
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.data.cifar10 import Download, download_cifar10
from trainer.data.copies import LEAST_SIDE, alike, digest, same, thumbnail_of
from trainer.data.files import workspace
from trainer.data.filling import Progress, in_parallel
from trainer.data.images import BadImage, ImageFacts, Pixels, examine, portions
from trainer.data.material import Material
from trainer.data.preparation import find_origin, scan
from trainer.data.sources import Files, Source, Torchvision, parse_source
from trainer.data.splits import SplitName
from trainer.data.torchvision_sets import list_files
from trainer.data.tree import ImageFile, Tree

SHOWN_GROUPS = 5  # of copies

_CHUNK_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Spread:
    """How a length is distributed over the images."""

    min: int  # pixels
    median: int  # pixels
    max: int  # pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Widths and heights, as stored."""

    width: Spread
    height: Spread
    most_common: tuple[int, int]  # width, height in pixels
    num_most_common: int


@dataclass(frozen=True, slots=True)
class Copies:
    """Groups of images that are the same: byte for byte, or to the eye."""

    num_groups: int
    num_across_splits: int  # groups: an image that training and test share makes the test worth less
    num_across_classes: int  # groups: one of their labels is wrong
    examples: tuple[tuple[str, ...], ...] = ()  # files of groups across splits or classes, the first few


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What a source holds; counts are of images that can be used."""

    source: str
    class_names: tuple[str, ...]
    counts: Mapping[SplitName, tuple[int, ...]]  # per class, of each split that the source gives
    sizes: Sizes | None  # absent if no image can be used
    modes: Mapping[str, int]  # channels, in Pillow's words: how many images
    formats: Mapping[str, int]
    copies: Copies
    near_copies: Copies | None  # those that look the same, exact ones included; None where they can't be told
    num_ignored: int  # files that are no images by their names
    unreadable: tuple[BadImage, ...]


@dataclass(frozen=True, slots=True)
class _Identity:
    """What tells copies of an image apart."""

    digest: bytes
    thumbnail: Pixels
    split: SplitName
    label: int
    name: str = ""  # of the file


@dataclass(frozen=True, slots=True)
class _Seen:
    """One usable image file."""

    split: SplitName
    label: int
    facts: ImageFacts
    name: str  # of the file


def inspect(
    source: str | Source,
    *,
    cache: Path,
    data_dir: Path,
    allow_download: bool = True,
    on_progress: Progress | None = None,
    download: Download = download_cifar10,
) -> Inspection:
    """Look at every image of a source; those that cannot be used are part of the answer.

    Args:
        source: As `parse_source` reads it, or has read it.
        cache: Lends room for what has to be unpacked.
        data_dir: Holds the data sets that have names, or receives them.
        allow_download: Whether data sets may come from the network.
        on_progress: Called from this thread with the numbers of images done and in all.
        download: Leaves the official archive of CIFAR-10, or a cifar10.npz, in the folder that it is given.

    Raises:
        DataError: If the source is missing or has no layout that could be looked at.
    """
    kind = parse_source(source) if isinstance(source, str) else source
    if isinstance(kind, Files):
        return _inspect_tree(str(kind), scan(kind), on_progress)
    fetch = download if allow_download else None
    origin = find_origin(kind, data_dir=data_dir, download=fetch)
    if isinstance(kind, Torchvision) and kind.entry.form == "files":
        return _inspect_tree(str(kind), list_files(kind.entry, data_dir), on_progress)
    name = hashlib.blake2b(repr(origin.identity).encode(), digest_size=8).hexdigest()
    with workspace(cache, f"inspect-{name}") as scratch:
        return _inspect_arrays(str(kind), origin.open(scratch, None), on_progress)


def _inspect_tree(source: str, tree: Tree, on_progress: Progress | None) -> Inspection:
    def look(file: ImageFile) -> ImageFacts | BadImage:
        found = examine(tree.root / file.path, formats=tree.formats)
        return BadImage(Path(file.path), found.reason) if isinstance(found, BadImage) else found

    found = in_parallel(look, tree.files, weigh=lambda _: 1, on_progress=on_progress)
    numbers = {name: number for number, name in enumerate(tree.class_names)}
    seen = [
        _Seen(file.split, numbers[file.class_name], facts, file.path)
        for file, facts in zip(tree.files, found, strict=True)
        if isinstance(facts, ImageFacts)
    ]
    identities = [
        _Identity(image.facts.digest, image.facts.thumbnail, image.split, image.label, image.name) for image in seen
    ]
    bad = (*tree.unfit, *(facts for facts in found if isinstance(facts, BadImage)))
    return Inspection(
        source=source,
        class_names=tree.class_names,
        counts={split: _class_counts(seen, split, len(tree.class_names)) for split in tree.splits},
        sizes=_sizes([(image.facts.width, image.facts.height) for image in seen]),
        modes=_tally(image.facts.mode for image in seen),
        formats=_tally(image.facts.format for image in seen),
        copies=_exact_copies(identities),
        near_copies=_near_copies(identities),
        num_ignored=tree.num_ignored,
        unreadable=tuple(sorted(bad, key=lambda image: str(image.path))),
    )


def _inspect_arrays(source: str, material: Material, on_progress: Progress | None) -> Inspection:
    height, width, channels = material.image_shape
    num_images = sum(len(part.labels) for part in material.parts.values())
    num_classes = len(material.class_names)
    identities = _array_identities(material, on_progress)
    return Inspection(
        source=source,
        class_names=material.class_names,
        counts={
            split: tuple(np.bincount(part.labels, minlength=num_classes).tolist())
            for split, part in material.parts.items()
        },
        sizes=_sizes([(width, height)] * num_images),
        modes={"L" if channels == 1 else "RGB": num_images},
        formats={"array": num_images},
        copies=_exact_copies(identities),
        near_copies=_near_copies(identities) if min(height, width) >= LEAST_SIDE else None,
        num_ignored=0,
        unreadable=(),
    )


def _array_identities(material: Material, on_progress: Progress | None) -> list[_Identity]:
    """Return what tells copies apart, for every image of every part."""
    chunks = [
        (split, numbers)
        for split, part in material.parts.items()
        for numbers in portions(len(part.labels), material.image_shape, num_bytes=_CHUNK_BYTES)
    ]

    def identities(chunk: tuple[SplitName, range]) -> list[_Identity]:
        split, numbers = chunk
        part = material.parts[split]
        images = np.zeros((len(numbers), *material.image_shape), dtype=np.uint8)
        part.fill(np.array(numbers), images)
        labels = part.labels[numbers.start : numbers.stop].tolist()
        return [_Identity(digest(i), thumbnail_of(i), split, k) for i, k in zip(images, labels, strict=True)]

    found = in_parallel(identities, chunks, weigh=lambda chunk: len(chunk[1]), on_progress=on_progress)
    return [identity for some in found for identity in some]


def _class_counts(seen: Iterable[_Seen], split: SplitName, num_classes: int) -> tuple[int, ...]:
    counts = Counter(image.label for image in seen if image.split == split)
    return tuple(counts[label] for label in range(num_classes))


def _sizes(sizes: Sequence[tuple[int, int]]) -> Sizes | None:
    if not sizes:
        return None
    (most_common, num_most_common), *_ = Counter(sizes).most_common(1)
    return Sizes(
        width=_spread([width for width, _ in sizes]),
        height=_spread([height for _, height in sizes]),
        most_common=most_common,
        num_most_common=num_most_common,
    )


def _spread(lengths: Sequence[int]) -> Spread:
    return Spread(min(lengths), statistics.median_low(lengths), max(lengths))


def _tally(words: Iterable[str]) -> dict[str, int]:
    return dict(Counter(words).most_common())


def _exact_copies(images: Sequence[_Identity]) -> Copies:
    return _copies(images, same(image.digest for image in images))


def _near_copies(images: Sequence[_Identity]) -> Copies | None:
    groups = alike(np.stack([image.thumbnail for image in images])) if images else []
    return None if groups is None else _copies(images, groups)


def _copies(images: Sequence[_Identity], groups: Sequence[Sequence[int]]) -> Copies:
    copied = [[images[position] for position in group] for group in groups]
    across_splits = [group for group in copied if len({image.split for image in group}) > 1]
    across_classes = [group for group in copied if len({image.label for image in group}) > 1]
    named = [tuple(image.name for image in group) for group in (*across_splits, *across_classes) if group[0].name]
    return Copies(
        num_groups=len(copied),
        num_across_splits=len(across_splits),
        num_across_classes=len(across_classes),
        examples=tuple(dict.fromkeys(named))[:SHOWN_GROUPS],
    )
