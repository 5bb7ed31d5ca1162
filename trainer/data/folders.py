"""Image files in one folder per class, with or without folders for the splits above them.

Looking at a tree never opens an image: names, sizes and times say what is there and whether it changed. Links
out of the tree, links to folders, pipes and sockets are noted and never followed or opened.
"""

import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.data.images import BadImage, Pixels, decode, is_image_name, shown
from trainer.data.material import Material, Origin, Part, check_class_names, existing
from trainer.data.splits import SPLITS, SplitName, listed
from trainer.errors import DataError, did_you_mean

DEFAULT_SIZE = 64  # pixels; images of folders have no size in common

_SPLIT_FOLDERS: Mapping[str, SplitName] = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
_LITTER = frozenset({"thumbs.db", "desktop.ini"})
_LAYOUT = "DIR/CLASS/IMAGE or DIR/{train,val,test}/CLASS/IMAGE"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """What a folder holds, in an order that does not depend on the file system."""

    root: Path
    class_names: tuple[str, ...]  # sorted
    splits: tuple[SplitName, ...]  # that the folder gives; only `train` where it gives none
    files: tuple[ImageFile, ...]  # by split, class and path
    empty: tuple[str, ...]  # class folders without an image
    unfit: tuple[BadImage, ...]  # links and special files; paths below the root
    num_ignored: int  # files that are no images by their names

    def labels(self, split: SplitName) -> NDArray[np.int64]:
        """Return the class numbers of the files of one split."""
        numbers = {name: number for number, name in enumerate(self.class_names)}
        return np.array([numbers[f.class_name] for f in self.files if f.split == split], dtype=np.int64)


@dataclass(slots=True)
class _Findings:
    """What the walk has met so far."""

    root: Path
    files: list[ImageFile] = field(default_factory=list)
    unfit: list[BadImage] = field(default_factory=list)
    num_ignored: int = 0

    def complain(self, path: str, reason: str) -> None:
        self.unfit.append(BadImage(Path(path).relative_to(self.root), reason))


def find_folder(path: Path) -> Origin:
    """Look through a folder and check that a data set can be made of it.

    Raises:
        DataError: If its layout or its classes are unfit.
    """
    tree = scan(path)
    check_tree(tree)
    files = (f"{f.path}|{f.version}" for f in tree.files)
    return Origin(
        name=f"folder:{tree.root}",
        identity=[*tree.class_names, *files, *map(str, tree.unfit)],
        open=lambda _, size: _material(tree, size or DEFAULT_SIZE),
    )


def scan(path: Path) -> Tree:
    """List the images below a folder by split and class.

    Raises:
        DataError: If there is no such folder, or its layout is neither of the two.
    """
    root = existing(path, kind="folder")
    found = _Findings(root)
    class_folders = list(_class_folders(root, found))
    for split, class_name, folder in class_folders:
        _walk(folder, split, class_name, found)
    order = {name: number for number, name in enumerate(SPLITS)}
    files = sorted(found.files, key=lambda f: (order[f.split], f.class_name, os.fsencode(f.path)))
    filled = {(f.split, f.class_name) for f in files}
    splits = {split for split, _, _ in class_folders}
    return Tree(
        root=root,
        class_names=tuple(sorted({class_name for _, class_name, _ in class_folders})),
        splits=tuple(name for name in SPLITS if name in splits),
        files=tuple(files),
        empty=tuple(shown(f.relative_to(root)) for s, c, f in class_folders if (s, c) not in filled),
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


def _material(tree: Tree, size: int) -> Material:
    parts = {split: _part(tree, split, size) for split in tree.splits}
    return Material(class_names=tree.class_names, image_shape=(size, size, 3), parts=parts, unfit=tree.unfit)


def _part(tree: Tree, split: SplitName, size: int) -> Part:
    paths = [f.path for f in tree.files if f.split == split]

    def fill(numbers: NDArray[np.int64], out: Pixels) -> list[BadImage]:
        bad = []
        for row, number in enumerate(numbers):
            image = decode(tree.root / paths[number], size=size)
            if isinstance(image, BadImage):
                bad.append(BadImage(Path(paths[number]), image.reason))
            else:
                out[row] = image
        return bad

    return Part(tree.labels(split), fill)


def _class_folders(root: Path, found: _Findings) -> Iterator[tuple[SplitName, str, Path]]:
    """Yield the split, class name and place of each class folder."""
    top = _subfolders(root, found)
    if "train" not in top and not (top and all(name in _SPLIT_FOLDERS for name in top)):
        yield from _classes_of("train", root, top, found)
        return
    for split, folder in _split_folders(root, top).items():
        yield from _classes_of(split, folder, _subfolders(folder, found), found)


def _split_folders(root: Path, names: Sequence[str]) -> dict[SplitName, Path]:
    """Return the folder of each split, given the folders below the root."""
    others = [repr(name) for name in names if name not in _SPLIT_FOLDERS]
    if others:
        raise DataError(f"{shown(root)} has train beside {listed(others)}. The layout is {_LAYOUT}.")
    splits = Counter(_SPLIT_FOLDERS[name] for name in names)
    if splits["val"] > 1:
        raise DataError(f"{shown(root)} has more than one of val, valid and validation: keep one.")
    if not splits["train"]:
        raise DataError(f"{shown(root)} has {' and '.join(names)} but no train. The layout is {_LAYOUT}.")
    return {_SPLIT_FOLDERS[name]: root / name for name in names}


def _classes_of(
    split: SplitName, folder: Path, names: Sequence[str], found: _Findings
) -> Iterator[tuple[SplitName, str, Path]]:
    if not names:
        raise DataError(f"{shown(folder)} has no class folders{_what_instead(folder, found)}")
    spelled: dict[str, str] = {}
    for name in names:
        # One file system hands out accents composed, another apart; the same class must not become two.
        class_name = unicodedata.normalize("NFC", name)
        if class_name in spelled:
            raise DataError(f"{shown(folder)} has class {class_name!r} twice, spelled with different bytes.")
        spelled[class_name] = name
        yield split, class_name, folder / name


def _what_instead(folder: Path, found: _Findings) -> str:
    """Say what a folder has where its classes ought to be."""
    loose = sum(is_image_name(entry.name) for entry in _entries(folder))
    if found.unfit and not loose:
        return f": {listed([str(bad) for bad in found.unfit])}."
    if loose:
        return f" but {loose} images directly in it. Put the images of each class into a folder: {_LAYOUT}."
    return f". The layout is {_LAYOUT}."


def _subfolders(folder: Path, found: _Findings) -> list[str]:
    names = []
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            names.append(entry.name)
        elif is_image_name(entry.name):
            found.complain(entry.path, "lies in no class folder")
        elif entry.is_symlink() and entry.is_dir():
            found.complain(entry.path, _SPECIAL[stat.S_IFDIR])
        else:
            found.num_ignored += 1
    return names


def _walk(folder: Path, split: SplitName, class_name: str, found: _Findings) -> None:
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            _walk(Path(entry.path), split, class_name, found)
        elif is_image_name(entry.name):
            _note_file(entry, split, class_name, found)
        elif entry.is_symlink() and entry.is_dir():
            found.complain(entry.path, _SPECIAL[stat.S_IFDIR])
        else:
            found.num_ignored += 1


def _note_file(entry: os.DirEntry[str], split: SplitName, class_name: str, found: _Findings) -> None:
    try:
        info = entry.stat()
    except OSError:
        found.complain(entry.path, "is a link that leads nowhere")
        return
    if not stat.S_ISREG(info.st_mode):
        found.complain(entry.path, _SPECIAL.get(stat.S_IFMT(info.st_mode), "is not a file"))
    elif entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(found.root):
        found.complain(entry.path, "is a link out of the folder")
    else:
        path = entry.path.removeprefix(f"{found.root}/")
        found.files.append(ImageFile(path, split, class_name, f"{info.st_size}|{info.st_mtime_ns}"))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what lies in a folder and is meant to be seen, by name."""
    try:
        with os.scandir(folder) as entries:
            seen = [e for e in entries if not e.name.startswith(".") and e.name.lower() not in _LITTER]
    except OSError as error:
        raise DataError(f"Cannot read the folder {shown(folder)}: {error.strerror}.") from error
    return sorted(seen, key=lambda entry: os.fsencode(entry.name))


def _unfit_note(tree: Tree) -> str:
    return f" ({listed([str(bad) for bad in tree.unfit])})" if tree.unfit else ""
