"""Finds settings of one space that cannot stand side by side.

Two settings conflict if both can be active at once, and have the same path or one lies below the other.
Options of one choice exclude each other, and what an option brings may lie below its choice.
"""

import re
from collections.abc import Iterator, Mapping

from spaces.documents import Document, Where
from spaces.errors import Fault, shown, written
from spaces.forms import ChoiceForm, Group, Setting
from spaces.parameters import Declared, Spot
from spaces.space import Param

LONGEST_NAME = 250  # characters; MLflow takes no longer ones
OPTION_IN_NAME = re.compile(r"[A-Za-z0-9_:-]+([./][A-Za-z0-9_:-]+)*")

Claims = dict[str, Where]  # the paths that a part of the file sets, and where


def conflicts_in(group: Group, declared: Declared, document: Document) -> list[Fault]:
    """Return the faults of settings that cannot go together, or of there being nothing to search."""
    faults = list(_name_faults(declared, document))
    _claims_in(group, Spot(), document, faults)
    if not declared.params:
        faults.append(document.fault(("parameters",), "there is nothing to search: give a setting a range."))
    return faults


def _name_faults(declared: Declared, document: Document) -> Iterator[Fault]:
    """Yield the faults of parameters whose names are taken, too long, or no names at all."""
    taken: dict[str, tuple[Where, Param]] = {}
    for where, param in zip(declared.places, declared.params, strict=True):
        first_where, first = taken.setdefault(param.name, (where, param))
        if first.when != param.when:  # else their paths are the same, and that is told elsewhere
            line = document.place(first_where).line
            yield document.fault(where, f"its name {param.name!r} is taken on line {line}: rename an option.")
        if len(param.name) > LONGEST_NAME:
            message = f"its name has {len(param.name)} characters, at most {LONGEST_NAME} are allowed."
            yield document.fault(where, f"{message} Use shorter options, or nest less.")
        if param.when and not OPTION_IN_NAME.fullmatch(option := written(param.when[-1][1])):
            message = f"the option {shown(option)} brings settings, so it becomes part of their names"
            yield document.fault(where, f"{message}: it must be made of letters, digits and `_ - : . /`.")


def _claims_in(group: Group, spot: Spot, document: Document, faults: list[Fault]) -> Claims:
    """Return what a group sets, after noting the conflicts between its members."""
    taken: Claims = {}
    parents: dict[str, str] = {}  # of a taken path, by any path above it
    for key, setting in group.root.items():
        here = spot.below(key)
        mine = _claims_of(setting, here, document, faults)
        if clash := _clash(mine, taken, parents):
            path, other = clash
            line = document.place(taken[other]).line
            faults.append(document.fault(mine[path], _told(path, other, line=line)))
        taken |= mine
        parents |= {above: path for path in mine for above in _above(path)}
    return taken


def _claims_of(setting: Setting, spot: Spot, document: Document, faults: list[Fault]) -> Claims:
    if isinstance(setting, Group):
        return _claims_in(setting, spot, document, faults)
    claims: Claims = {spot.path: spot.where}
    if isinstance(setting, ChoiceForm):
        for option, group in setting.groups().items():
            claims |= _claims_in(group, spot.inside(option), document, faults)
    return claims


def _clash(mine: Claims, taken: Claims, parents: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the first path of `mine` that conflicts, and the taken one with which it does."""
    for path in mine:
        if path in parents:
            return path, parents[path]
        for other in (path, *_above(path)):
            if other in taken:
                return path, other
    return None


def _above(path: str) -> Iterator[str]:
    """Yield the paths above a path, the nearest first."""
    while "." in path:
        path = path.rpartition(".")[0]
        yield path


def _told(path: str, other: str, *, line: int) -> str:
    if path == other:
        return f"`{path}` is set on line {line} as well: leave one out."
    lower, upper = sorted((path, other), key=len, reverse=True)
    return (
        f"`{path}` is set here and `{other}` on line {line}: `{upper}` has a value, so it cannot also hold "
        f"`{lower}`. Leave one out, or put `{lower}` under an option: {upper}: {{choice: {{...}}}}."
    )
