"""A data set, found, verified, split and decoded once; every later call finds the result.

A prepared folder is named after where its images came from and how they were cut, so that a look at names,
sizes and times answers a second call. It appears in one step: a process that dies leaves nothing that could
be taken for it.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, assert_never

from trainer.data.cifar10 import Download, download_cifar10, find_cifar10
from trainer.data.deduplication import Duplicates, treat_copies
from trainer.data.digits import find_digits
from trainer.data.files import publish, require_free, workspace
from trainer.data.filling import Progress, write_images
from trainer.data.folders import scan_folder
from trainer.data.images import BadImage
from trainer.data.material import Material, Origin, without
from trainer.data.named import scan_named
from trainer.data.npz import find_npz
from trainer.data.sources import Cifar10, Digits, Files, Folder, Named, Npz, Source, Table, Torchvision, parse_source
from trainer.data.splits import Selection, SplitName, make_splits
from trainer.data.store import SCHEMA, DataSet, describe, load_data_set, write_labels
from trainer.data.tables import scan_table
from trainer.data.torchvision_sets import find_published
from trainer.data.tree import Tree, check_tree, origin_of
from trainer.errors import DataError

MAX_SIZE = 4096  # pixels
MAX_BAD_SHARE = 0.1  # of the images that may be skipped; where more are bad, the source is at fault and not they
OnBadImage = Literal["fail", "skip"]

_SHOWN_BAD = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a source becomes a data set; part of what names the result."""

    image_size: int | None
    val_fraction: float
    test_fraction: float
    seed: int
    on_bad_image: OnBadImage
    duplicates: Duplicates

    def __post_init__(self) -> None:
        faults = [*self._fraction_faults(), *self._number_faults()]
        if faults:
            raise DataError("\n".join(faults))

    def _fraction_faults(self) -> list[str]:
        fractions = {"val_fraction": self.val_fraction, "test_fraction": self.test_fraction}
        return [f"`{k}` must be between 0 and 1, got {v!r}." for k, v in fractions.items() if not 0 < v < 1]

    def _number_faults(self) -> list[str]:
        faults = []
        if self.image_size is not None and not 1 <= self.image_size <= MAX_SIZE:
            faults.append(f"`image_size` must be 1 to {MAX_SIZE} pixels, got {self.image_size!r}.")
        if self.seed < 0:
            faults.append(f"`seed` must be a whole number from 0, got {self.seed!r}.")
        return faults


def prepare(  # noqa: PLR0913  -- each is a separate choice of the user, and all but the first are named
    source: str | Source,
    *,
    cache: Path,
    data_dir: Path,
    image_size: int | None = None,
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    seed: int = 0,
    on_bad_image: OnBadImage = "fail",
    duplicates: Duplicates = "keep",
    allow_download: bool = True,
    on_progress: Progress | None = None,
    download: Download = download_cifar10,
) -> DataSet:
    """Return the prepared form of a source, made now if it does not exist.

    Processes that ask for the same at once make it once; the others wait for it.

    Args:
        source: As `parse_source` reads it, or has read it.
        cache: Holds the prepared data sets; made if absent.
        data_dir: Holds the data sets that have names, or receives them.
        image_size: Side of the square images; None keeps their size, or takes 64 for folders.
        val_fraction: Of what is not in the test split; of no effect where the source has its own.
        test_fraction: Of all; of no effect where the source has its own.
        seed: Decides who is in which split.
        on_bad_image: What to do about files that cannot be used: refuse the source, or leave them out and list them
            in the data set, up to a tenth of all.
        duplicates: What to do about copies: count those across splits, or leave exact ones out, or those that look the
            same in another split, too.
        allow_download: Whether data sets may come from the network.
        on_progress: Called from this thread with the numbers of images done and in all.
        download: Leaves the official archive of CIFAR-10, or a cifar10.npz, in the folder that it is given.

    Raises:
        DataError: For whatever is wrong with the source or the options, and when the disk is full.
    """
    options = Options(
        image_size=image_size,
        val_fraction=val_fraction,
        test_fraction=test_fraction,
        seed=seed,
        on_bad_image=on_bad_image,
        duplicates=duplicates,
    )
    found = parse_source(source) if isinstance(source, str) else source
    origin = find_origin(found, data_dir=data_dir, download=download if allow_download else None)
    target = cache / _folder_name(origin, options)
    if prepared := _whole(target):
        return prepared
    with workspace(cache, target.name) as folder:
        if prepared := _whole(target):
            return prepared  # another process made it while this one waited
        _build(folder, origin, options, on_progress=on_progress)
        if find_origin(found, data_dir=data_dir, download=None).identity != origin.identity:
            raise DataError(f"{origin.name} changed while it was read. Run again when it is complete.")
        publish(folder, target)
    return load_data_set(target)


def find_origin(source: Source, *, data_dir: Path, download: Download | None) -> Origin:
    """Find where the images of a source are; none is read.

    Raises:
        DataError: If they are not where the source says.
    """
    match source:
        case Digits():
            return find_digits()
        case Cifar10():
            return find_cifar10(data_dir, download)
        case Torchvision(entry):
            return find_published(entry, data_dir, may_download=download is not None)
        case Npz(path):
            return find_npz(path)
        case Folder() | Named() | Table():
            tree = scan(source)
            check_tree(tree)
            return origin_of(tree, name=str(replace(source, path=source.path.resolve())))
        case _:
            assert_never(source)


def scan(source: Files) -> Tree:
    """List the image files of a source; none is opened.

    Raises:
        DataError: If they are not where the source says, or nothing tells their classes.
    """
    match source:
        case Folder(path, test):
            return scan_folder(path, test=test)
        case Named(path, label):
            return scan_named(path, label)
        case Table(path):
            return scan_table(path)
        case _:
            assert_never(source)


def check_images(bad: Sequence[BadImage], *, source: str, num_images: int, on_bad_image: OnBadImage) -> None:
    """Refuse a source with images that cannot be used, unless they may be skipped and are few.

    Raises:
        DataError: It lists the first of them with the reasons.
    """
    may_skip = on_bad_image == "skip"
    if not bad or (may_skip and len(bad) <= MAX_BAD_SHARE * num_images):
        return
    lines = [f"  {image}" for image in bad[:_SHOWN_BAD]]
    if len(bad) > _SHOWN_BAD:
        lines.append(f"  and {len(bad) - _SHOWN_BAD} more")
    remedy = (
        f"At most {100 * MAX_BAD_SHARE:.0f} % are skipped: look at the source."
        if may_skip
        else ("Remove or repair them, and run again; or leave them out: --on-bad-image skip.")
    )
    raise DataError(
        f"{len(bad)} of {num_images} images of {source} cannot be used:\n" + "\n".join(lines) + f"\n{remedy}"
    )


def _build(folder: Path, origin: Origin, options: Options, *, on_progress: Progress | None) -> None:
    """Write a data set into `folder`; where files are skipped, a second time without them."""
    scratch = folder / "scratch"
    scratch.mkdir()
    material = origin.open(scratch, options.image_size)
    num_images = sum(len(part.labels) for part in material.parts.values()) + len(material.unfit)
    skipped: list[BadImage] = []
    while True:
        splits = _split(material, options)
        _require_room(folder, origin, material, splits)
        written = write_images(folder, material, splits, on_progress=on_progress)
        bad = sorted([*material.unfit, *written.bad], key=str)
        skipped += bad
        check_images(skipped, source=origin.name, num_images=num_images, on_bad_image=options.on_bad_image)
        if not bad:
            break
        material = without(material, bad)
    copies = treat_copies(folder, material, splits, digests=written.digests, duplicates=options.duplicates)
    for split, kept in copies.labels.items():
        write_labels(folder, split, kept)
    describe(
        folder,
        source=origin.name,
        class_names=material.class_names,
        skipped=list(map(str, skipped)),
        num_leaks=copies.num_leaks,
        num_dropped=copies.num_dropped,
    )
    shutil.rmtree(scratch)


def _split(material: Material, options: Options) -> dict[SplitName, Selection]:
    return make_splits(
        {split: part.labels for split, part in material.parts.items()},
        groups=material.parts["train"].groups,
        class_names=material.class_names,
        val_fraction=options.val_fraction,
        test_fraction=options.test_fraction,
        seed=options.seed,
    )


def _require_room(folder: Path, origin: Origin, material: Material, splits: Mapping[SplitName, Selection]) -> None:
    height, width, channels = material.image_shape
    num_bytes = sum(len(chosen.numbers) for chosen in splits.values()) * height * width * channels
    require_free(folder, num_bytes, what=f"decode {origin.name}")


def _whole(root: Path) -> DataSet | None:
    """Return the data set in a folder if it is there and whole; a damaged one is made again."""
    try:
        return load_data_set(root)
    except DataError:
        return None


def _folder_name(origin: Origin, options: Options) -> str:
    """Return a name that changes whenever the prepared data set might."""
    text = json.dumps([SCHEMA, origin.name, list(origin.identity), asdict(options)])
    kind, _, _ = origin.name.partition(":")
    return f"{kind}-{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"
