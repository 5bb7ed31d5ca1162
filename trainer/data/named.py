"""Image files whose names tell their classes, such as `cat.0.jpg`."""

import re
from pathlib import Path

from trainer.data.images import shown
from trainer.data.material import existing
from trainer.data.tree import Findings, ImageFile, Tree, make_tree, walk
from trainer.errors import DataError

LABEL = r"(?:^|/)([^/\W\d_]+)[^/]*$"  # the letters that the file's name begins with


def scan_named(path: Path, label: str | None) -> Tree:
    """List the images below a folder by class.

    Args:
        path: Of the folder.
        label: Regular expression, searched in each path below the folder (with `/`); its first group, or else all
            that it matches, is the class. None takes the letters that the file's name begins with.

    Raises:
        DataError: If there is no such folder, the expression is none, or no image has a class.
    """
    root = existing(path, kind="folder")
    pattern = _compiled(LABEL if label is None else label)
    found = Findings(root)
    files = []
    for image in walk(root, found):
        match = pattern.search(image.path)
        class_name = (match[1] if pattern.groups else match[0]) if match else None
        if class_name:
            files.append(ImageFile(image.path, "train", class_name, image.version))
        else:
            found.complain(f"{root}/{image.path}", f"does not match label={pattern.pattern}")
    if not files:
        first = f" The first: {found.unfit[0]}." if found.unfit else ""
        raise DataError(
            f"No image below {shown(root)} tells its class.{first} Write files:DIR?label=REGEX, where the "
            r"expression's first group is the class, such as label=(\w+)\.; ^ is where the path below DIR begins."
        )
    return make_tree(files, found, class_names=[f.class_name for f in files], splits=["train"])


def _compiled(label: str) -> re.Pattern[str]:
    try:
        return re.compile(label)
    except re.error as error:
        raise DataError(f"label={label} is no regular expression: {error}.") from error
