"""The JSON schema that editors use: it accepts what the loader accepts, and most of what it refuses it refuses.

Checked by a small validator of its own for the words that the schema uses; it knows no others.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from spaces import json_schema, preset_names, preset_text

TYPES = {
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


def _is_valid(value: Any, schema: Mapping[str, Any], top: Mapping[str, Any]) -> bool:
    return all(_checks(value, schema, top))


def _has_type(value: object, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, TYPES[name])


def _checks(value: Any, schema: Mapping[str, Any], top: Mapping[str, Any]) -> Iterator[bool]:
    for word, limit in schema.items():
        match word:
            case "$ref":
                yield _is_valid(value, top["$defs"][limit.removeprefix("#/$defs/")], top)
            case "type":
                yield any(_has_type(value, name) for name in ([limit] if isinstance(limit, str) else limit))
            case "enum":
                yield value in limit
            case "not":
                yield not _is_valid(value, limit, top)
            case "anyOf":
                yield any(_is_valid(value, option, top) for option in limit)
            case "oneOf":
                yield sum(_is_valid(value, option, top) for option in limit) == 1
            case "pattern":
                yield not isinstance(value, str) or bool(re.search(limit, value))
            case "minLength":
                yield not isinstance(value, str) or len(value) >= limit
            case "maxLength":
                yield not isinstance(value, str) or len(value) <= limit
            case "minItems":
                yield not isinstance(value, list) or len(value) >= limit
            case "maxItems":
                yield not isinstance(value, list) or len(value) <= limit
            case "minProperties":
                yield not isinstance(value, dict) or len(value) >= limit
            case "minimum":
                yield not _has_type(value, "number") or value >= limit
            case "maximum":
                yield not _has_type(value, "number") or value <= limit
            case "exclusiveMinimum":
                yield not _has_type(value, "number") or value > limit
            case "exclusiveMaximum":
                yield not _has_type(value, "number") or value < limit
            case "required":
                yield not isinstance(value, dict) or set(limit) <= set(value)
            case "items":
                yield not isinstance(value, list) or all(_is_valid(item, limit, top) for item in value)
            case "propertyNames":
                yield not isinstance(value, dict) or all(_is_valid(key, limit, top) for key in value)
            case "properties" | "patternProperties" | "additionalProperties":
                yield not isinstance(value, dict) or all(_members(value, schema, word, top))
            case _:
                assert word in REMARKS, f"the schema uses {word!r}, which this validator does not know"


def _members(
    value: Mapping[str, Any], schema: Mapping[str, Any], word: str, top: Mapping[str, Any]
) -> Iterator[bool]:
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for key, item in value.items():
        matching = [sub for pattern, sub in patterns.items() if re.search(pattern, key)]
        if word == "properties" and key in named:
            yield _is_valid(item, named[key], top)
        if word == "patternProperties":
            yield all(_is_valid(item, sub, top) for sub in matching)
        if word == "additionalProperties" and key not in named and not matching:
            yield schema[word] is not False and _is_valid(item, schema[word], top)


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
def test_the_schema_refuses_what_the_loader_refuses(
    change: Mapping[str, object], schema: Mapping[str, object]
) -> None:
    assert not _is_valid({**SMALL, **change}, schema, schema)


def test_the_schema_is_json_and_says_which_dialect_it_speaks(schema: Mapping[str, object]) -> None:
    assert json.loads(json.dumps(schema)) == schema
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
