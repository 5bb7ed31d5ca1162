"""From what a command line names to image files."""

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path

from trainer.data.images import BadImage, is_image_name
from trainer.data.tree import Findings, walk
from trainer.errors import DataError


def image_files(arguments: Sequence[str]) -> tuple[list[Path], list[BadImage]]:
    """Return the files that arguments name, each once and in their order, and what can't be used below folders.

    A file is itself, whatever its name. A folder stands for the images below it, by the end of their names. A pattern
    with `*`, `?` or `[...]` stands for what it fits, and `**` for any folders.

    Raises:
        DataError: If an argument is nothing of these, or stands for no image.
    """
    unfit: list[BadImage] = []
    named = (path for argument in arguments for path in _named(argument, unfit))
    return list(dict.fromkeys(named)), unfit


def _named(argument: str, unfit: list[BadImage]) -> Iterator[Path]:
    path = Path(argument)
    if path.is_dir():
        yield from _below(path, unfit)
    elif path.exists() or path.is_symlink():
        yield path
    elif glob.has_magic(argument):
        fitting = [Path(found) for found in sorted(glob.glob(argument, recursive=True))]  # noqa: PTH207  -- of any root
        if not fitting:
            raise DataError(f"No file fits {argument!r}.")
        for found in fitting:
            if found.is_dir():
                continue
            if is_image_name(found.name):
                yield found
    else:
        raise DataError(f"There is no file or folder {argument!r}.")


def _below(folder: Path, unfit: list[BadImage]) -> Iterator[Path]:
    found = Findings(folder.resolve())
    paths = [folder / image.path for image in walk(found.root, found)]
    if not paths and not found.unfit:
        raise DataError(f"No image lies below the folder {str(folder)!r}; {found.num_ignored} other files do.")
    unfit += [BadImage(folder / bad.path, bad.reason) for bad in found.unfit]
    yield from paths
