"""The JSON schema that editors use accepts what the loader accepts, and refuses most of what it refuses.

Checked by a small validator for the words that the schema uses; it knows no others.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import yaml

from spaces import json_schema, preset_names, preset_text

Schema = Mapping[str, Any]

TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "number": (int, float),
    "integer": int,
}
REMARKS = {"$schema", "$defs", "title", "description", "default", "examples"}
SMALL = {"budget": {"rungs": [1, 3]}, "parameters": {"x": {"int": [0, 1]}}}


def _has_type(value: object, name: str) -> bool:
    return name == "boolean" if isinstance(value, bool) else isinstance(value, TYPES[name])


LIMITS: Mapping[str, tuple[str, Callable[[Any, Any], bool]]] = {  # word: of which type, what it demands
    "pattern": ("string", lambda value, limit: bool(re.search(limit, value))),
    "minLength": ("string", lambda value, limit: len(value) >= limit),
    "maxLength": ("string", lambda value, limit: len(value) <= limit),
    "minItems": ("array", lambda value, limit: len(value) >= limit),
    "maxItems": ("array", lambda value, limit: len(value) <= limit),
    "minProperties": ("object", lambda value, limit: len(value) >= limit),
    "minimum": ("number", lambda value, limit: value >= limit),
    "maximum": ("number", lambda value, limit: value <= limit),
    "exclusiveMinimum": ("number", lambda value, limit: value > limit),
    "exclusiveMaximum": ("number", lambda value, limit: value < limit),
    "required": ("object", lambda value, limit: set(limit) <= set(value)),
}
NESTED: Mapping[str, tuple[str, Callable[[Any, Any, Schema], bool]]] = {
    "items": ("array", lambda value, sub, top: all(_is_valid(item, sub, top) for item in value)),
    "propertyNames": ("object", lambda value, sub, top: all(_is_valid(key, sub, top) for key in value)),
}
LOGIC: Mapping[str, Callable[[Any, Any, Schema], bool]] = {
    "$ref": lambda value, name, top: _is_valid(value, top["$defs"][name.removeprefix("#/$defs/")], top),
    "type": lambda value, kinds, _: any(
        _has_type(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)
    ),
    "enum": lambda value, options, _: value in options,
    "not": lambda value, sub, top: not _is_valid(value, sub, top),
    "anyOf": lambda value, subs, top: any(_is_valid(value, sub, top) for sub in subs),
    "oneOf": lambda value, subs, top: sum(_is_valid(value, sub, top) for sub in subs) == 1,
}
MEMBERS = {"properties", "patternProperties", "additionalProperties"}


def _is_valid(value: Any, schema: Schema, top: Schema) -> bool:
    unknown = set(schema) - set(LIMITS) - set(NESTED) - set(LOGIC) - MEMBERS - REMARKS
    assert not unknown, f"the schema uses {unknown}, which this validator does not know"
    return all(_checks(value, schema, top))


def _checks(value: Any, schema: Schema, top: Schema) -> Iterator[bool]:
    yield from (check(value, schema[word], top) for word, check in LOGIC.items() if word in schema)
    for word, (kind, demand) in LIMITS.items():
        yield word not in schema or not _has_type(value, kind) or demand(value, schema[word])
    for word, (kind, inner) in NESTED.items():
        yield word not in schema or not _has_type(value, kind) or inner(value, schema[word], top)
    if isinstance(value, dict) and MEMBERS & set(schema):
        yield from (_is_member(key, item, schema, top) for key, item in value.items())


def _is_member(key: str, item: Any, schema: Schema, top: Schema) -> bool:
    patterns = schema.get("patternProperties", {})
    applying = [sub for pattern, sub in patterns.items() if re.search(pattern, key)]
    applying += [schema["properties"][key]] if key in schema.get("properties", {}) else []
    rest = schema.get("additionalProperties", True)
    if not applying and isinstance(rest, bool):
        return rest
    return all(_is_valid(item, sub, top) for sub in applying or [rest])


@pytest.fixture(scope="module")
def schema() -> dict[str, object]:
    return json_schema()


@pytest.mark.parametrize("name", preset_names())
def test_the_schema_accepts_the_presets(name: str, schema: Mapping[str, object]) -> None:
    content = yaml.safe_load(re.sub(r"(?<=\d)e-", ".0e-", preset_text(name)))

    assert _is_valid(content, schema, schema)


def test_the_schema_accepts_a_small_space(schema: Mapping[str, object]) -> None:
    assert _is_valid(SMALL, schema, schema)


@pytest.mark.parametrize(
    "change",
    [
        {"bugdet": 3},
        {"name": "a/b"},
        {"data": 3},
        {"data": {"sorce": "x"}},
        {"data": {"val_fraction": 1.5}},
        {"objective": "val/acc"},
        {"objective": {"direction": "up"}},
        {"budget": {}},
        {"budget": {"rungs": []}},
        {"budget": {"rungs": [0]}},
        {"budget": {"rungs": [1], "eta": 1}},
        {"parameters": {"x": [1, 2]}},
        {"parameters": {"x": None}},
        {"parameters": {"x": {"float": [1]}}},
        {"parameters": {"x": {"int": [0.5, 2]}}},
        {"parameters": {"x": {"float": [1, 2], "lgo": True}}},
        {"parameters": {"x": {"float": [1, 2], "int": [1, 2]}}},
        {"parameters": {"x": {"choice": 3}}},
        {"parameters": {"x": {"choice": {"a": None}}}},
        {"parameters": {"a b": 3}},
        {"baselines": [{}]},
        {"baselines": [{"x": [1]}]},
    ],
    ids=str,
)
def test_the_schema_refuses_what_the_loader_refuses(change: Mapping[str, object], schema: Mapping[str, object]) -> None:
    assert not _is_valid({**SMALL, **change}, schema, schema)


def test_the_schema_is_json_and_says_which_dialect_it_speaks(schema: Mapping[str, object]) -> None:
    assert json.loads(json.dumps(schema)) == schema
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
