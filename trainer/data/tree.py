"""Image files below a folder, however their classes are told, and what becomes of them.

Looking at a tree never opens an image: names, sizes and times say what is there and whether it changed. Links
out of the tree, links to folders, pipes and sockets are noted and never followed or opened.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.data.images import FORMATS, THUMB, BadImage, Pixels, decode, is_image_name, shown, thumbnail_in
from trainer.data.material import Material, Origin, Part, check_class_names
from trainer.data.splits import SPLITS, SplitName, listed
from trainer.errors import DataError, did_you_mean

DEFAULT_SIZE = 64  # pixels; images in files have no size in common

_LITTER = frozenset({"thumbs.db", "desktop.ini"})
_SPECIAL = {
    stat.S_IFIFO: "is a named pipe",
    stat.S_IFSOCK: "is a socket",
    stat.S_IFCHR: "is a device",
    stat.S_IFBLK: "is a device",
    stat.S_IFDIR: "is a link to a folder, and those are not followed",
}


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One file that ought to be an image."""

    path: str  # below the root
    split: SplitName
    class_name: str
    version: str  # changes when the file is written anew
    group: str = ""  # images of one group, such as a patient, stay in one split; empty: it is by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """What a folder holds, in an order that does not depend on the file system."""

    root: Path
    class_names: tuple[str, ...]  # in the order of their numbers
    splits: tuple[SplitName, ...]  # that the source gives; only `train` where it gives none
    files: tuple[ImageFile, ...]  # by split, class and path
    empty: tuple[str, ...] = ()  # class folders without an image
    unfit: tuple[BadImage, ...] = ()  # links and special files; paths below the root
    num_ignored: int = 0  # files that are no images by their names
    formats: tuple[str, ...] = FORMATS  # that are opened

    def labels(self, split: SplitName) -> NDArray[np.int64]:
        """Return the class numbers of the files of one split."""
        numbers = {name: number for number, name in enumerate(self.class_names)}
        return np.array([numbers[f.class_name] for f in self.files if f.split == split], dtype=np.int64)

    def groups(self, split: SplitName) -> tuple[str, ...] | None:
        """Return the group of each file of one split; a file by itself is its own. None where there are no groups."""
        if not any(f.group for f in self.files):
            return None
        return tuple(f"group {f.group}" if f.group else f"file {f.path}" for f in self.files if f.split == split)


@dataclass(slots=True)
class Findings:
    """What a walk has met so far, beside the images."""

    root: Path
    unfit: list[BadImage] = field(default_factory=list)
    num_ignored: int = 0

    def complain(self, path: str, reason: str) -> None:
        """Note a file that cannot be used; `path` is absolute."""
        self.unfit.append(BadImage(Path(path).relative_to(self.root), reason))


@dataclass(frozen=True, slots=True)
class Found:
    """An image file, by its name."""

    path: str  # below the root
    version: str


def walk(folder: Path, found: Findings) -> Iterator[Found]:
    """Yield the image files below a folder; what else is there is noted."""
    for entry in entries(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from walk(Path(entry.path), found)
        elif is_image_name(entry.name):
            yield from _look(entry, found)
        else:
            ignore(entry, found)


def ignore(entry: os.DirEntry[str], found: Findings) -> None:
    """Count what is no image by its name, and complain of a link to a folder."""
    if entry.is_symlink() and entry.is_dir():
        found.complain(entry.path, _SPECIAL[stat.S_IFDIR])
    else:
        found.num_ignored += 1


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what lies in a folder and is meant to be seen, by name.

    Raises:
        DataError: If the folder can't be read.
    """
    try:
        with os.scandir(folder) as found:
            seen = [e for e in found if not e.name.startswith(".") and e.name.lower() not in _LITTER]
    except OSError as error:
        raise DataError(f"Cannot read the folder {shown(folder)}: {error.strerror}.") from error
    return sorted(seen, key=lambda entry: os.fsencode(entry.name))


def make_tree(
    files: Sequence[ImageFile],
    found: Findings,
    *,
    class_names: Sequence[str],
    splits: Sequence[SplitName],
    empty: Sequence[str] = (),
) -> Tree:
    """Put the files into the order in which they become a data set."""
    order = {name: number for number, name in enumerate(SPLITS)}
    return Tree(
        root=found.root,
        class_names=tuple(sorted(set(class_names))),
        splits=tuple(name for name in SPLITS if name in splits),
        files=tuple(sorted(files, key=lambda f: (order[f.split], f.class_name, os.fsencode(f.path)))),
        empty=tuple(empty),
        unfit=tuple(found.unfit),
        num_ignored=found.num_ignored,
    )


def check_tree(tree: Tree) -> None:
    """Refuse a tree with empty or doubtful classes.

    Raises:
        DataError: It names the folders at fault.
    """
    if tree.empty:
        raise DataError(
            f"No image in class folder {listed([repr(name) for name in tree.empty])} of {shown(tree.root)}"
            f"{_unfit_note(tree)}. Add images or remove the folder."
        )
    check_class_names(tree.class_names)
    trained = {f.class_name for f in tree.files if f.split == "train"}
    for name in tree.class_names:
        if name not in trained:
            split = next(f.split for f in tree.files if f.class_name == name)
            raise DataError(f"Class {name!r} of {split} has no images in train.{did_you_mean(name, trained)}")


def origin_of(tree: Tree, *, name: str) -> Origin:
    """Return a tree as a source that was found."""
    files = (f"{f.path}|{f.version}|{f.split}|{f.class_name}|{f.group}" for f in tree.files)
    return Origin(
        name=name,
        identity=[*tree.class_names, *files, *map(str, tree.unfit)],
        open=lambda _, size: tree_material(tree, size or DEFAULT_SIZE),
    )


def tree_material(tree: Tree, size: int) -> Material:
    """Return the images of a tree, to be decoded to squares of `size` pixels."""
    parts = {split: _part(tree, split, size) for split in tree.splits}
    return Material(class_names=tree.class_names, image_shape=(size, size, 3), parts=parts, unfit=tree.unfit)


def look_at(path: str, found: Findings) -> Found | None:
    """Return a file that is named by its path below the root, or None after noting why it can't be used."""
    place = os.path.normpath(f"{found.root}/{path}") if "\0" not in path else ""
    if not place.startswith(f"{found.root}/"):
        found.unfit.append(BadImage(Path(path.replace("\0", "")), f"is not below {shown(found.root)}"))
        return None
    try:
        info = Path(place).stat()
    except OSError as error:
        found.complain(place, "does not exist" if isinstance(error, FileNotFoundError) else f"{error.strerror}")
        return None
    return _checked(place, info, found, may_lead_out=True)


def _look(entry: os.DirEntry[str], found: Findings) -> Iterator[Found]:
    try:
        info = entry.stat()
    except OSError:
        found.complain(entry.path, "is a link that leads nowhere")
        return
    if file := _checked(entry.path, info, found, may_lead_out=entry.is_symlink()):
        yield file


def _checked(place: str, info: os.stat_result, found: Findings, *, may_lead_out: bool) -> Found | None:
    """Return a regular file inside the root; `may_lead_out` says whether links have to be followed to know."""
    if not stat.S_ISREG(info.st_mode):
        found.complain(place, _SPECIAL.get(stat.S_IFMT(info.st_mode), "is not a file"))
        return None
    if may_lead_out and not Path(place).resolve().is_relative_to(found.root):
        found.complain(place, "is a link out of the folder")
        return None
    return Found(place.removeprefix(f"{found.root}/"), f"{info.st_size}|{info.st_mtime_ns}")


def _part(tree: Tree, split: SplitName, size: int) -> Part:
    paths = [f.path for f in tree.files if f.split == split]

    def fill(numbers: NDArray[np.int64], out: Pixels) -> list[BadImage]:
        bad = []
        for row, number in enumerate(numbers):
            image = decode(tree.root / paths[number], size=size, formats=tree.formats)
            if isinstance(image, BadImage):
                bad.append(BadImage(Path(paths[number]), image.reason))
            else:
                out[row] = image
        return bad

    def thumbnails(numbers: NDArray[np.int64]) -> Pixels:
        found = (thumbnail_in(tree.root / paths[number], formats=tree.formats) for number in numbers)
        blank = np.zeros((THUMB, THUMB), dtype=np.uint8)  # gone since it was decoded: like no other image
        return np.stack([blank if isinstance(one, BadImage) else one for one in found])

    return Part(tree.labels(split), fill, tree.groups(split), paths, thumbnails)


def _unfit_note(tree: Tree) -> str:
    return f" ({listed([str(bad) for bad in tree.unfit])})" if tree.unfit else ""
