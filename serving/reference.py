"""What a command calls a model: `MODEL@ALIAS`, `MODEL@v3`, `STUDY:TRIAL`, or a folder that holds a package."""

import re
from dataclasses import dataclass
from pathlib import Path

from search.errors import StudyError
from search.promotion.package import EXTRA, MANIFEST
from search.store import NAME

DEFAULT_ALIAS = "champion"
NUMBER = re.compile(r"v(\d+)", re.IGNORECASE)  # MLflow allows no alias of this form, so that it can mean a version


@dataclass(frozen=True, slots=True)
class Registered:
    """A version in the registry, by an alias or by its number."""

    name: str
    alias: str | None
    version: str | None

    def __str__(self) -> str:
        return f"{self.name}@{self.alias if self.version is None else f'v{self.version}'}"


@dataclass(frozen=True, slots=True)
class Folder:
    """A package on disk, as an export leaves one."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class OfTrial:
    """A trial of a study."""

    study: str
    number: int

    def __str__(self) -> str:
        return f"{self.study}:{self.number}"


def read_reference(text: str) -> Registered | Folder | OfTrial:
    """Read what a command was given.

    Raises:
        StudyError: If it is none of these.
    """
    folder = Path(text)
    if (folder / EXTRA / MANIFEST).is_file():
        return Folder(folder)
    name, colon, number = text.partition(":")
    if colon and NAME.fullmatch(name) and number.isdecimal():
        return OfTrial(name, int(number))
    name, at, alias = text.partition("@")
    if NAME.fullmatch(name) and (NAME.fullmatch(alias) or not at):
        found = NUMBER.fullmatch(alias)
        return Registered(name, None, found[1]) if found else Registered(name, alias or DEFAULT_ALIAS, None)
    what = "it is a folder without a package" if folder.is_dir() else "it is none of these"
    raise StudyError(
        f"{text!r} names no model: {what}. Write MODEL@ALIAS such as digits@champion, MODEL@v3 for a version, "
        "STUDY:TRIAL for a trial, or a folder that `autoclf export` wrote."
    )


def read_model(text: str) -> Registered | Folder:
    """Read what a command was given that takes packages only.

    Raises:
        StudyError: If it names none.
    """
    found = read_reference(text)
    if isinstance(found, OfTrial):
        raise StudyError(
            f"{text!r} is a trial, which has no package yet. Make one with `autoclf promote {found.study} --trial "
            f"{found.number}` or `autoclf export {text} --out DIR`; version {found.number} of a model is "
            f"{found.study}@v{found.number}."
        )
    return found
