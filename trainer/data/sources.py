"""The kinds of data source and how each is written; nothing here opens one."""

from dataclasses import dataclass
from pathlib import Path

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
class Npz:
    """Arrays of images and labels in one file of numpy."""

    path: Path

    def __str__(self) -> str:
        return f"npz:{self.path}"


@dataclass(frozen=True, slots=True)
class Folder:
    """Image files in one folder per class."""

    path: Path

    def __str__(self) -> str:
        return f"folder:{self.path}"


Source = Digits | Cifar10 | Npz | Folder

_NAMED: dict[str, type[Digits | Cifar10]] = {"digits": Digits, "cifar10": Cifar10}
_PLACED: dict[str, type[Npz | Folder]] = {"npz:": Npz, "folder:": Folder}


def parse_source(text: str) -> Source:
    """Read a source as a user writes it; whether a file or folder exists is not looked at.

    Raises:
        DataError: If `text` has none of the four forms.
    """
    if text in _NAMED:
        return _NAMED[text]()
    kind, colon, place = text.partition(":")
    if kind + colon in _PLACED and place:
        return _PLACED[kind + colon](Path(place).expanduser())
    raise DataError(
        f"No data source is called {text!r}.{_remedy(text, kind + colon)}"
        " A source is digits, cifar10, npz:FILE or folder:DIR."
    )


def _remedy(text: str, head: str) -> str:
    """Return what was probably meant, or nothing."""
    if text and "\0" not in text and Path(text).expanduser().is_dir():
        return f" It is a folder: write folder:{text}."
    if text.endswith(".npz") and head not in _PLACED:
        return f" Write npz:{text}."
    return did_you_mean(head, (*_NAMED, *_PLACED))
