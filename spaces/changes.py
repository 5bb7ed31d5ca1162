"""A space of which some settings are fixed from outside, such as on the command line."""

import copy
from collections.abc import Mapping
from typing import Any

import yaml

from spaces.documents import read_document
from spaces.domains import Value
from spaces.forms import DOMAIN_WORDS

SECTIONS = ("data", "objective", "budget", "constraints")  # that are no parameters
SHORT_FOR = {"data": "source", "objective": "metric"}  # what a section means that is written as one word


def with_changes(text: str, changes: Mapping[str, Value], *, name: str) -> str:
    """Return a space file in which settings have the values that are given.

    A setting below `data`, `objective`, `budget` or `constraints` is that of the file. Any other is a parameter: it is
    no longer searched, wherever it stands. Of a choice that brings its own settings, the chosen option keeps those.
    Baselines lose what is fixed; those that chose something else are left out.

    Args:
        text: The file.
        changes: By dotted path, such as `model.width` or `data.image_size`.
        name: Stands for the file in messages.

    Raises:
        SpaceError: If the text is no space file. What a change makes of it, `parse_space` judges.
    """
    document = read_document(text, name=name)
    if document.faults or not changes:
        return text  # whoever parses it tells the faults
    content: dict[Any, Any] = copy.deepcopy(dict(document.content))
    for path, value in changes.items():
        section, _, setting = path.partition(".")
        if section in SECTIONS:
            content[section] = _section(content.get(section), section, setting, value)
        else:
            _fix(content, path, value)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _section(before: Any, section: str, setting: str, value: Value) -> object:
    """Return one of the sections that are no parameters, with a value set."""
    if not setting:
        return value
    known = before if isinstance(before, dict) else {}
    if before is not None and not isinstance(before, dict):
        known = {SHORT_FOR.get(section, section): before}
    return {**known, setting: value}


def _fix(content: dict[Any, Any], path: str, value: Value) -> None:
    parameters = content.get("parameters")
    if not isinstance(parameters, dict):
        return
    brings_settings = isinstance(_options(parameters.get(path)), dict)
    if not _replace(parameters, "", path, value):
        parameters[path] = value
    baselines = content.get("baselines")
    if isinstance(baselines, list) and all(isinstance(baseline, dict) for baseline in baselines):
        agreeing = [item for item in baselines if not brings_settings or item.get(path, value) == value]
        is_choice = _options(parameters.get(path)) is not None
        content["baselines"] = agreeing if is_choice else _without(agreeing, path)


def _options(entry: Any) -> Any:
    """Return what may be chosen: a list, or a mapping to the settings of each option; None if it is no choice."""
    return entry.get("choice") if isinstance(entry, dict) else None


def _replace(group: dict[Any, Any], above: str, path: str, value: Value) -> bool:
    """Give a setting its value wherever a group and what is below it declare it; say whether they do."""
    is_found = False
    for key, entry in group.items():
        here = f"{above}.{key}" if above else str(key)
        if here == path:
            group[key] = _chosen(entry, value)
            is_found = True
        elif path.startswith(f"{here}.") and isinstance(entry, dict):
            options = _options(entry)
            below = list(options.values()) if isinstance(options, dict) else []
            if not any(word in entry for word in DOMAIN_WORDS):
                below = [entry]
            for settings in below:
                if isinstance(settings, dict):
                    is_found = _replace(settings, here, path, value) or is_found
    return is_found


def _chosen(entry: Any, value: Value) -> object:
    """Return the value, with the settings that it brings where it is one of several options."""
    options = _options(entry)
    if isinstance(options, dict) and value in options:
        return {"choice": {value: options[value]}}
    return value


def _without(baselines: list[Any], path: str) -> list[Any]:
    """Return baselines without a setting; those that are then empty or alike are left out."""
    found: list[Any] = []
    for baseline in baselines:
        left = {key: value for key, value in baseline.items() if key != path}
        if left and left not in found:
            found.append(left)
    return found
