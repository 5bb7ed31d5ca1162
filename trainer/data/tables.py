"""Images listed in a table: a CSV file with a path and a label a row, and a split and a group where it has them."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.data.folders import SPLIT_NAMES
from trainer.data.images import shown
from trainer.data.material import existing
from trainer.data.splits import SplitName, listed
from trainer.data.tree import Findings, ImageFile, Tree, look_at, make_tree
from trainer.errors import DataError, did_you_mean

# The names that a column may have, in small letters.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "path": ("path", "image", "file", "filename", "file_name", "image_path", "filepath"),
    "label": ("label", "class", "category", "target"),
    "split": ("split", "subset", "set"),
    "group": ("group", "group_id", "patient", "patient_id", "subject"),
}
NEEDED = ("path", "label")
DELIMITERS = ",;\t"

Row = Mapping[str, str]  # by the keys of COLUMNS


@dataclass(frozen=True, slots=True)
class _Line:
    """A row of the table and where it stands."""

    number: int  # from 1
    row: Row


def scan_table(path: Path) -> Tree:
    """List the images of a table; their paths begin in the table's folder.

    Raises:
        DataError: If it is no table, lacks a column, or contradicts itself.
    """
    table = existing(path, kind="table")
    found = Findings(table.parent)
    files: dict[str, ImageFile] = {}
    for line in _lines(table):
        file = _image_file(line, table, found)
        if file is None:
            continue
        twin = files.setdefault(file.path, file)
        if twin is not file:
            differ = "with another label" if twin.class_name != file.class_name else "leave one row out"
            raise DataError(f"{shown(table)}, line {line.number}: {shown(file.path)} is listed twice: {differ}.")
    if not files:
        first = f" The first: {found.unfit[0]}." if found.unfit else ""
        raise DataError(f"{shown(table)} lists no image that is there.{first} Paths begin in the table's folder.")
    _check_groups(files.values(), table)
    return make_tree(
        list(files.values()),
        found,
        class_names=[f.class_name for f in files.values()],
        splits=[f.split for f in files.values()],
    )


def _lines(table: Path) -> Iterator[_Line]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            delimiter = _delimiter(file.readline())
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            places = _places(next(reader, []), table)
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield _Line(reader.line_num, _row(cells, places, table, reader.line_num))
    except UnicodeDecodeError as error:
        raise DataError(f"{shown(table)} is not text in UTF-8: save it as UTF-8.") from error
    except csv.Error as error:
        raise DataError(f"{shown(table)} is no table: {error}.") from error


def _delimiter(header: str) -> str:
    return max(DELIMITERS, key=header.count)


def _places(header: Sequence[str], table: Path) -> dict[str, int]:
    """Return the position of each column that means something here."""
    names = [name.strip().lower() for name in header]
    places: dict[str, int] = {}
    for meaning, known in COLUMNS.items():
        matching = [name for name in names if name in known]
        if len(matching) > 1:
            raise DataError(
                f"{shown(table)} has {listed(matching)}: which of them is the {meaning}? Rename the others."
            )
        if matching:
            places[meaning] = names.index(matching[0])
        elif meaning in NEEDED:
            near = "".join(filter(None, (did_you_mean(name, known) for name in names)))
            raise DataError(
                f"{shown(table)} has no column {meaning!r}; its columns are {listed(list(header)) or 'none'}.{near} "
                f"The first row names the columns: path and label, and split and group if you have them."
            )
    return places


def _row(cells: Sequence[str], places: Mapping[str, int], table: Path, number: int) -> Row:
    if len(cells) <= max(places.values()):
        raise DataError(
            f"{shown(table)}, line {number}: has {len(cells)} cells, {max(places.values()) + 1} are needed."
        )
    row = {meaning: cells[place].strip() for meaning, place in places.items()}
    for meaning in NEEDED:
        if not row[meaning]:
            raise DataError(f"{shown(table)}, line {number}: has no {meaning}. Fill it in or leave the row out.")
    return row


def _image_file(line: _Line, table: Path, found: Findings) -> ImageFile | None:
    """Return what a row lists, or None after noting why it can't be used."""
    image = look_at(line.row["path"], found)
    split = _split(line, table)
    if image is None:
        return None
    return ImageFile(image.path, split, line.row["label"], image.version, line.row.get("group", ""))


def _split(line: _Line, table: Path) -> SplitName:
    if "split" not in line.row:
        return "train"
    word = line.row["split"].lower()
    if word not in SPLIT_NAMES:
        known = ", ".join(SPLIT_NAMES)
        raise DataError(f"{shown(table)}, line {line.number}: {word!r} is no split. Write one of {known}.")
    return SPLIT_NAMES[word]


def _check_groups(files: Iterable[ImageFile], table: Path) -> None:
    """Refuse groups that the table's own splits tear apart."""
    seen: dict[str, SplitName] = {}
    for file in files:
        if file.group and seen.setdefault(file.group, file.split) != file.split:
            raise DataError(
                f"{shown(table)}: group {file.group!r} is in {seen[file.group]} and in {file.split}. "
                f"Keep the images of a group in one split, or leave the split column out."
            )
