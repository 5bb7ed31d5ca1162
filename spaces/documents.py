"""Reads YAML into plain values and remembers where each one stands.

A file is taken as hostile: its size, its depth and the number of its values (an alias counts each time it is
used) are bounded; tags, which could build objects, are refused, and so are keys that are written twice. Plain
scalars are those of YAML 1.2: only `true` and `false` are booleans, `1e-4` is a number, a date is text.
"""

import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from spaces.errors import LONGEST_SHOWN, Fault, SpaceError, did_you_mean, refusal, shown, written

MAX_BYTES = 1_000_000
MAX_VALUES = 10_000
MAX_DEPTH = 32
TOO_LARGE = f"holds over {MAX_VALUES:,} values (aliases count each time), or over {MAX_DEPTH} levels"

Where = tuple[str | int, ...]  # the keys and list positions that lead to a value

TAG = "tag:yaml.org,2002:"
PLAIN_SCALARS = (  # tag, what it looks like, with which characters it begins
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]{1,18}", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
)


def _number(text: str) -> float:
    """Read a float; YAML writes infinity and not-a-number with a leading dot."""
    return float(re.sub(r"\.(?=[iIn])", "", text.lower()))


SCALARS: Mapping[str, Callable[[str], object]] = {
    f"{TAG}null": lambda _: None,
    f"{TAG}bool": lambda text: {"true": True, "false": False}[text.lower()],
    f"{TAG}int": int,
    f"{TAG}float": _number,
    f"{TAG}str": str,
}
TAGS: Mapping[type[yaml.Node], Container[str]] = {
    yaml.ScalarNode: SCALARS,
    yaml.SequenceNode: {f"{TAG}seq"},
    yaml.MappingNode: {f"{TAG}map"},
}


class _Loader(yaml.SafeLoader):
    """PyYAML's parser with the plain scalars of YAML 1.2, and an end to depth and length."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  -- PyYAML keeps it so
    num_nodes = 0
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.num_nodes += 1
        self.depth += 1
        if self.depth > MAX_DEPTH or self.num_nodes > MAX_VALUES:
            raise yaml.MarkedYAMLError(problem=TOO_LARGE, problem_mark=self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


for _name, _pattern, _first in PLAIN_SCALARS:
    _Loader.add_implicit_resolver(f"{TAG}{_name}", re.compile(rf"^(?:{_pattern})$"), [*_first, ""])


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands."""

    line: int  # from 1; that of its key
    path: str  # as messages print it


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The content of a YAML file whose top is a mapping."""

    name: str  # of the file, as the user wrote it
    content: Mapping[object, object]
    places: Mapping[Where, Place]
    faults: tuple[Fault, ...]  # found while reading; what they concern is left out of the content

    def place(self, where: Where) -> Place:
        """Return where a value stands; a missing one stands where its mapping does."""
        if where in self.places:
            return self.places[where]
        above = self.place(where[:-1])
        return Place(above.line, _joined(above.path, where[-1]))

    def fault(self, where: Where, message: str) -> Fault:
        """Return the fault of a value."""
        place = self.place(where)
        return Fault(place.line, place.path, message)


def part_of(key: object) -> str | int:
    """Return a key as pydantic names it in the place of an error."""
    return key if isinstance(key, str | int) else str(key)


def read_text(path: Path) -> str:
    """Read a file of text.

    Raises:
        SpaceError: If there is no such file, it cannot be read, is too long, or is not UTF-8.
    """
    try:
        if path.is_dir():
            raise SpaceError(f"{path}: is a folder: name a YAML file in it.")
        if path.exists() and not path.is_file():
            raise SpaceError(f"{path}: is not a regular file: name a YAML file.")
        if (size := path.stat().st_size) > MAX_BYTES:
            raise SpaceError(f"{path}: has {size:,} bytes: a space has at most {MAX_BYTES:,}.")
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise SpaceError(f"{path}: there is no such file.{_near_file(path)}") from error
    except UnicodeDecodeError as error:
        byte = f"byte {error.object[error.start]:#04x} at position {error.start}"
        raise SpaceError(f"{path}: is not text in UTF-8 ({byte}): save it as UTF-8.") from error
    except OSError as error:
        raise SpaceError(f"{path}: cannot be read: {error.strerror}.") from error


def _near_file(path: Path) -> str:
    return did_you_mean(path.name, (item.name for item in path.parent.glob("*.y*ml")))


def read_document(text: str, *, name: str) -> Document:
    """Read YAML whose top is a mapping; `name` stands for it in messages.

    Raises:
        SpaceError: If the text is no YAML, has no mapping at its top, or is too long or too deep.
    """
    try:
        node = _compose(text)
    except yaml.MarkedYAMLError as error:
        raise refusal(name, [_syntax_fault(error)]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"is not YAML: the character {chr(error.character)!r} is not allowed."
        raise refusal(name, [Fault(line, "", message)]) from error
    if not isinstance(node, yaml.MappingNode):
        found = shown(node.value) if isinstance(node, yaml.ScalarNode) else "a list" if node else "nothing"
        message = f"must be a mapping with keys such as `budget` and `parameters`, got {found}."
        raise refusal(name, [Fault(1, "", message)])
    reader = _Reader(name=name)
    content = reader.mapping(node, ())
    return Document(name=name, content=content, places=reader.places, faults=tuple(reader.faults))


def _compose(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


@dataclass(slots=True, kw_only=True)
class _Reader:
    """Turns nodes into values; collects their places, and the faults on the way."""

    name: str
    places: dict[Where, Place] = field(default_factory=lambda: {(): Place(1, "")})
    faults: list[Fault] = field(default_factory=list)
    num_values: int = 0

    def value(self, node: yaml.Node, where: Where) -> object:
        place = self.places[where]
        self.num_values += 1
        if self.num_values > MAX_VALUES or len(where) > MAX_DEPTH:
            raise refusal(self.name, [Fault(place.line, place.path, f"{TOO_LARGE}.")])
        self._check_tag(node, place)
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, where)
        if isinstance(node, yaml.SequenceNode):
            return self._sequence(node, where)
        return self._scalar(node, place)

    def mapping(self, node: yaml.MappingNode, where: Where) -> dict[object, object]:
        found: dict[object, object] = {}
        first_lines: dict[object, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = self._key(key_node, Place(line, self.places[where].path))
            if key is None:
                continue
            place = Place(line, _joined(self.places[where].path, key))
            if key in first_lines:
                self._note(place, f"is there twice, first on line {first_lines[key]}: leave one out.")
                continue
            first_lines[key] = line
            here = (*where, part_of(key))
            self.places[here] = place
            found[key] = self.value(value_node, here)
        return found

    def _sequence(self, node: yaml.SequenceNode, where: Where) -> list[object]:
        above = self.places[where].path
        for position, item in enumerate(node.value):
            self.places[(*where, position)] = Place(item.start_mark.line + 1, _joined(above, position))
        return [self.value(item, (*where, position)) for position, item in enumerate(node.value)]

    def _key(self, node: yaml.Node, above: Place) -> object:
        """Return a key, or None after noting why it cannot be one; `above` is its mapping, on its line."""
        self._check_tag(node, above)
        if not isinstance(node, yaml.ScalarNode):
            self._note(above, "a key must be text, a number, true or false.")
            return None
        if node.value == "<<":
            self._note(above, "the merge key `<<` is not supported: write the keys out.")
            return None
        key = self._scalar(node, above)
        if key is None:
            self._note(above, "a key must not be null: write a name, or quote it.")
        return key

    def _scalar(self, node: yaml.Node, place: Place) -> object:
        try:
            return SCALARS.get(node.tag, str)(node.value)
        except (KeyError, ValueError):
            self._note(place, f"{shown(node.value)} does not fit its tag `{_short(node)}`: leave the tag out.")
            return node.value

    def _check_tag(self, node: yaml.Node, place: Place) -> None:
        if node.tag not in TAGS[type(node)]:
            self._note(place, f"the tag `{_short(node)}` is refused: write the value without it.")

    def _note(self, place: Place, message: str) -> None:
        self.faults.append(Fault(place.line, place.path, message))


def _joined(path: str, key: object) -> str:
    name = written(key)
    name = name if len(name) <= LONGEST_SHOWN else shown(key)
    return f"{path}.{name}" if path else name


def _short(node: yaml.Node) -> str:
    return node.tag.replace(TAG, "!!")


def _syntax_fault(error: yaml.MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark
    assert mark is not None
    if error.problem == TOO_LARGE:
        return Fault(mark.line + 1, "", f"{TOO_LARGE}.")
    problem = " ".join(part for part in (error.context, error.problem) if part)
    return Fault(mark.line + 1, "", f"column {mark.column + 1}: is not YAML: {problem}.")
