"""The kinds of data source and how each is written; nothing here opens one."""

from dataclasses import dataclass
from pathlib import Path

from trainer.data.catalogue import CATALOGUE
from trainer.data.published import Published
from trainer.errors import DataError, did_you_mean


@dataclass(frozen=True, slots=True)
class Digits:
    """The 1,797 handwritten digits that ship with scikit-learn."""

    def __str__(self) -> str:
        return "digits"


@dataclass(frozen=True, slots=True)
class Cifar10:
    """CIFAR-10 with its official test split, from the data folder or the network."""

    def __str__(self) -> str:
        return "cifar10"


@dataclass(frozen=True, slots=True)
class Torchvision:
    """A data set that torchvision can read, from the data folder or the network."""

    entry: Published

    def __str__(self) -> str:
        return self.entry.name


@dataclass(frozen=True, slots=True)
class Npz:
    """Arrays of images and labels in one file of numpy."""

    path: Path

    def __str__(self) -> str:
        return f"npz:{self.path}"


@dataclass(frozen=True, slots=True)
class Folder:
    """Image files in one folder per class."""

    path: Path
    test: str | None = None  # name of the folder that holds the test split, where it is not `test`

    def __str__(self) -> str:
        return f"folder:{self.path}" + ("" if self.test is None else f"{_TEST}{self.test}")


@dataclass(frozen=True, slots=True)
class Named:
    """Image files whose names tell their classes."""

    path: Path  # of the folder
    label: str | None = None  # regular expression; None takes the letters that a name begins with

    def __str__(self) -> str:
        return f"files:{self.path}" + ("" if self.label is None else f"{_LABEL}{self.label}")


@dataclass(frozen=True, slots=True)
class Table:
    """Image files listed in a table."""

    path: Path

    def __str__(self) -> str:
        return f"csv:{self.path}"


Files = Folder | Named | Table
Source = Digits | Cifar10 | Torchvision | Npz | Files

FORMS = "a name (digits, cifar10, mnist, ...), npz:FILE, folder:DIR, files:DIR or csv:FILE"
_NAMED: dict[str, type[Digits | Cifar10]] = {"digits": Digits, "cifar10": Cifar10}
_PLACED: dict[str, type[Npz | Table]] = {"npz:": Npz, "csv:": Table}
_FOLDER, _TEST = "folder:", "?test="
_FILES, _LABEL = "files:", "?label="
_PREFIXES = (*_PLACED, _FOLDER, _FILES)
NAMES = tuple(sorted((*_NAMED, *CATALOGUE)))


def parse_source(text: str) -> Source:
    """Read a source as a user writes it; whether a file or folder exists is not looked at.

    Raises:
        DataError: If `text` has none of the forms.
    """
    if text in _NAMED:
        return _NAMED[text]()
    if text in CATALOGUE:
        return Torchvision(CATALOGUE[text])
    kind, colon, place = text.partition(":")
    if kind + colon in _PLACED and place:
        return _PLACED[kind + colon](Path(place).expanduser())
    if kind + colon == _FOLDER and place:
        folder, _, test = place.partition(_TEST)
        return Folder(Path(folder).expanduser(), test or None)
    if kind + colon == _FILES and place:
        folder, mark, label = place.partition(_LABEL)
        return Named(Path(folder).expanduser(), label if mark else None)
    raise DataError(
        f"No data source is called {text!r}.{_remedy(text, kind + colon)} A source is {FORMS}."
        f" The names are {', '.join(NAMES)}."
    )


def _remedy(text: str, head: str) -> str:
    """Return what was probably meant, or nothing."""
    if text and "\0" not in text and Path(text).expanduser().is_dir():
        return f" It is a folder: write folder:{text}."
    for suffix, form in ((".npz", "npz:"), (".csv", "csv:")):
        if text.endswith(suffix) and head not in _PREFIXES:
            return f" Write {form}{text}."
    return did_you_mean(head.lower().replace("-", "_"), (*NAMES, *_PREFIXES))
