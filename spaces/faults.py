"""Says in plain words, with the place in the file, what pydantic found wrong."""

import math
import re
from collections.abc import Iterator, Mapping

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from spaces.documents import Document
from spaces.errors import Fault, did_you_mean, shown
from spaces.forms import DOMAIN_WORDS, FORMS, TAGS, SpaceForm

EXPECTED: Mapping[str, str] = {  # by pydantic's type of error; limits in braces
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "less_than": "must be below {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "list_type": "must be a list",
    "model_type": "must be a mapping",
    "string_pattern_mismatch": "must be made of letters, digits, `_`, `-` and single dots between them",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must not be empty",
    "string_type": "must be text",
    "too_long": "has too many entries (at most {max_length})",
    "too_short": "has too few entries (at least {min_length})",
}

Location = tuple[str | int, ...]  # of an error, as pydantic tells it: keys, positions and tags


def faults_of(error: ValidationError, document: Document) -> Iterator[Fault]:
    """Yield every fault that pydantic found in a document."""
    for detail in error.errors(include_url=False):
        location, found, limits = detail["loc"], detail["input"], detail.get("ctx", {})
        where = tuple(part for part in location if part not in TAGS)
        match detail["type"]:
            case "value_error":
                message = f"{limits['error']}{_domain_hint(where, found)}"
            case "missing":
                message = f"is missing. Write, for example, {_example(location)}."
            case "extra_forbidden":
                message = _unknown_key(location)
            case "literal_error":
                message = _unknown_name(found, names=re.findall(r"'([^']*)'", limits["expected"]))
            case kind:
                expected = EXPECTED[kind].format(**limits) if kind in EXPECTED else detail["msg"]
                message = _unexpected(expected, location, found)
        yield from (document.fault(where, line) for line in message.splitlines())


def _unexpected(expected: str, location: Location, found: object) -> str:
    subject = "the key " if location[-1] == "[key]" else ""
    example = _example(location)
    hint = f" Write, for example, {example}." if example else ""
    if found is None and not example:
        hint = " An option without settings of its own has {}." if expected == EXPECTED["dict_type"] else ""
    return f"{subject}{expected}, got {shown(found)}.{hint}"


def _unknown_key(location: Location) -> str:
    known = sorted(_fields(location))
    return f"there is no such key here.{did_you_mean(str(location[-1]), known)} Known: {', '.join(known)}."


def _unknown_name(found: object, *, names: list[str]) -> str:
    return f"must be one of {', '.join(names)}, got {shown(found)}.{did_you_mean(str(found), names)}"


def _domain_hint(where: Location, found: object) -> str:
    """Return a hint for a list under a key such as `choices`."""
    is_list = isinstance(found, list) and bool(where) and where[-1] not in DOMAIN_WORDS
    return did_you_mean(str(where[-1]), DOMAIN_WORDS) if is_list else ""


def _example(location: Location) -> str:
    """Return what may be written at a key, or nothing where the form has no example."""
    item = _fields(location).get(str(location[-1])) if location else None
    if item is None or not item.examples:
        return ""
    text = yaml.safe_dump({str(location[-1]): item.examples[0]}, default_flow_style=True, width=math.inf)
    return f"`{text.strip()[1:-1]}`"


def _fields(location: Location) -> Mapping[str, FieldInfo]:
    """Return the keys of the form in which an error lies."""
    form: type[BaseModel] | None = FORMS.get(location[-2]) if len(location) > 1 else SpaceForm
    return {item.alias or name: item for name, item in form.model_fields.items()} if form else {}
