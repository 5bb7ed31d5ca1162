"""Image files in one folder per class, with or without folders for the splits above them."""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from trainer.data.images import is_image_name, shown
from trainer.data.material import existing
from trainer.data.splits import SplitName, listed
from trainer.data.tree import Findings, ImageFile, Tree, entries, ignore, make_tree, walk
from trainer.errors import DataError, did_you_mean

SPLIT_NAMES: Mapping[str, SplitName] = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
_LAYOUT = "DIR/CLASS/IMAGE or DIR/{train,val,test}/CLASS/IMAGE"


def scan_folder(path: Path, *, test: str | None = None) -> Tree:
    """List the images below a folder by split and class.

    Args:
        path: The folder.
        test: Name of the folder in it that is the test split, whatever its name means otherwise.

    Raises:
        DataError: If there is no such folder, or its layout is neither of the two.
    """
    root = existing(path, kind="folder")
    found = Findings(root)
    class_folders = list(_class_folders(root, found, test))
    files = [
        ImageFile(image.path, split, class_name, image.version)
        for split, class_name, folder in class_folders
        for image in walk(folder, found)
    ]
    filled = {(f.split, f.class_name) for f in files}
    return make_tree(
        files,
        found,
        class_names=[class_name for _, class_name, _ in class_folders],
        splits=[split for split, _, _ in class_folders],
        empty=[shown(f.relative_to(root)) for s, c, f in class_folders if (s, c) not in filled],
    )


def _class_folders(root: Path, found: Findings, test: str | None) -> Iterator[tuple[SplitName, str, Path]]:
    """Yield the split, class name and place of each class folder."""
    top = _subfolders(root, found)
    meanings = SPLIT_NAMES if test is None else {**SPLIT_NAMES, test: "test"}
    if test is not None and test not in top:
        raise DataError(f"{shown(root)} has no folder {test!r} for ?test={test}.{did_you_mean(test, top)}")
    if "train" not in top and not (top and all(name in meanings for name in top)):
        yield from _classes_of("train", root, top, found)
        return
    for split, folder in _split_folders(root, top, meanings).items():
        yield from _classes_of(split, folder, _subfolders(folder, found), found)


def _split_folders(root: Path, names: Sequence[str], meanings: Mapping[str, SplitName]) -> dict[SplitName, Path]:
    """Return the folder of each split, given the folders below the root."""
    others = [repr(name) for name in names if name not in meanings]
    if others:
        raise DataError(f"{shown(root)} has train beside {listed(others)}. The layout is {_LAYOUT}.")
    splits = Counter(meanings[name] for name in names)
    for split, count in splits.items():
        if count > 1:
            known = [name for name in meanings if meanings[name] == split]
            raise DataError(f"{shown(root)} has more than one of {listed(known)}: keep one.")
    if not splits["train"]:
        raise DataError(f"{shown(root)} has {' and '.join(names)} but no train. The layout is {_LAYOUT}.")
    return {meanings[name]: root / name for name in names}


def _classes_of(
    split: SplitName, folder: Path, names: Sequence[str], found: Findings
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


def _what_instead(folder: Path, found: Findings) -> str:
    """Say what a folder has where its classes ought to be."""
    loose = sum(is_image_name(entry.name) for entry in entries(folder))
    if found.unfit and not loose:
        return f": {listed([str(bad) for bad in found.unfit])}."
    if loose:
        return (
            f" but {loose} images directly in it. Put the images of each class into a folder: {_LAYOUT}. "
            f"If their names tell the classes, write files:{shown(folder)}."
        )
    return f". The layout is {_LAYOUT}."


def _subfolders(folder: Path, found: Findings) -> list[str]:
    names = []
    for entry in entries(folder):
        if entry.is_dir(follow_symlinks=False):
            names.append(entry.name)
        elif is_image_name(entry.name):
            found.complain(entry.path, "lies in no class folder")
        else:
            ignore(entry, found)
    return names
