"""The page of settings, made from their declarations: `python -m tests.trainer.settings_page` writes it anew."""

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, get_args

from trainer.config import PLAIN, VARIANTS
from trainer.settings import Section

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
HEAD = """# Settings of a job

What a space may search over or fix, what `autoclf train --set` changes, and what `config.yaml` of a trial holds. A
section that has variants is chosen by its own name (`optimizer: muon`); the settings below it belong to the variant
(`optimizer.momentum: 0.6`). `data` and `seed` complete a job; they come from the command.
"""


def page() -> str:
    """Return the page."""
    return "\n".join([HEAD, *_lines()]).rstrip() + "\n"


def _lines() -> Iterator[str]:
    for section, variants in VARIANTS.items():
        yield from (f"## {section}", "")
        for name, kind in variants.items():
            yield from (f"**`{section}: {name}`** {inspect.getdoc(kind)}", "")
            yield from _table(section, kind)
    for section, kind in PLAIN.items():
        yield from (f"## {section}", "", inspect.getdoc(kind) or "", "")
        yield from _table(section, kind)


def _table(section: str, kind: type[Section]) -> Iterator[str]:
    comments = _comments(kind)
    yield from ("| setting | default | allowed | |", "|---|---|---|---|")
    for item in fields(kind):
        meaning = comments.get(item.name, "")
        yield f"| `{section}.{item.name}` | {_default(item)} | {_allowed(item)} | {meaning} |".replace("|  |", "| |")
    yield ""


def _default(item: "Field[Any]") -> str:
    if isinstance(item.default, bool):
        return f"`{str(item.default).lower()}`"
    if isinstance(item.default, str):
        return f"`{item.default}`" if item.default else "empty"
    return f"{item.default:g}" if isinstance(item.default, float) else str(item.default)


def _allowed(item: "Field[Any]") -> str:
    if options := get_args(item.type):
        return ", ".join(f"`{option}`" for option in options)
    if item.type in (bool, str):
        return "`true`, `false`" if item.type is bool else "text"
    return f"{'whole number' if item.type is int else 'number'} {item.metadata['range']}"


def _comments(kind: type[Section]) -> dict[str, str]:
    """Return what stands behind each field in the source, those of the classes above it first."""
    found = {}
    for one in reversed(kind.__mro__[:-1]):
        lines = inspect.getsource(one).splitlines()
        (declared,) = ast.parse("\n".join(lines)).body
        assert isinstance(declared, ast.ClassDef)
        for item in declared.body:
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                comment = re.search(r"  # (.*)$", lines[(item.end_lineno or 1) - 1])
                found[item.target.id] = comment[1] if comment else ""
    return found


if __name__ == "__main__":
    PAGE.write_text(page())
