"""Turns the baselines of a space file, keyed by paths of settings, into values by parameter name."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from spaces.documents import Document, Where
from spaces.domains import Choice, Domain, Float, Integer, Value
from spaces.errors import Fault, did_you_mean, shown, written
from spaces.space import Baseline, Constant, Param


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineReader:
    """Reads baselines against what a space declares, and notes their faults."""

    params: Sequence[Param]  # a choice stands before what hangs on it
    constants: Sequence[Constant]
    document: Document
    faults: list[Fault] = field(default_factory=list)

    def read(self, entries: Sequence[Mapping[str, Value]]) -> tuple[Baseline, ...]:
        """Return the baselines in the order of the file."""
        found: list[Baseline] = []
        for position, entry in enumerate(entries):
            where: Where = ("baselines", position)
            if (first := entries.index(entry)) < position:
                line = self.document.place(("baselines", first)).line
                self._note(where, f"is the same as the baseline on line {line}: leave one out.")
            found.append(self._baseline(entry, where))
        return tuple(found)

    def _baseline(self, entry: Mapping[str, Value], where: Where) -> Baseline:
        drawn: dict[str, Value] = {}
        misfits: set[str] = set()  # names of the parameters whose values do not fit
        rest = dict(entry)
        for param in self.params:
            if param.path not in rest or not param.is_active(drawn):
                continue
            value = rest.pop(param.path)
            fitting = param.domain.fit(value)
            if fitting is None:
                misfits.add(param.name)
                self._note((*where, param.path), _misfit(param.domain, value))
            else:
                drawn[param.name] = fitting
        for path, value in rest.items():
            for message in self._leftover_faults(path, value, drawn, misfits):
                self._note((*where, path), message)
        return Baseline(tuple(drawn.items()))

    def _leftover_faults(self, path: str, value: Value, drawn: Mapping[str, Value], misfits: set[str]) -> Iterator[str]:
        """Yield what is wrong with a setting that no active parameter has."""
        everything: tuple[Param | Constant, ...] = (*self.params, *self.constants)
        declared = [item for item in everything if item.path == path]
        fixed = [c.value for c in self.constants if c.path == path and c.is_active(drawn)]
        if not declared:
            near = did_you_mean(path, {item.path for item in everything})
            yield f"this space has no such setting.{near}"
        elif fixed and not Choice(options=(fixed[0],)).contains(value):
            yield f"is fixed at {shown(fixed[0])} in this space, got {shown(value)}: leave it out."
        elif not fixed:
            unmet = [next(need for need in item.when if not _is_met(need, drawn)) for item in declared]
            if not misfits & {name for name, _ in unmet}:
                yield self._told_owners(unmet, drawn)

    def _told_owners(self, unmet: Sequence[tuple[str, Value]], drawn: Mapping[str, Value]) -> str:
        """Say on which options a setting hangs, and what the baseline has chosen instead."""
        paths = {param.name: param.path for param in self.params}
        owners = " or ".join(dict.fromkeys(f"`{paths[name]}: {written(option)}`" for name, option in unmet))
        name, option = unmet[0]
        if name in drawn:
            return f"belongs to {owners}, and this baseline has `{paths[name]}: {written(drawn[name])}`."
        return f"belongs to {owners}: add `{paths[name]}: {written(option)}` to this baseline."

    def _note(self, where: Where, message: str) -> None:
        self.faults.append(self.document.fault(where, message))


def _is_met(need: tuple[str, Value], drawn: Mapping[str, Value]) -> bool:
    name, option = need
    return name in drawn and drawn[name] == option


def _misfit(domain: Domain, value: Value) -> str:
    match domain:
        case Float():
            return f"must be a number in {domain}, got {shown(value)}."
        case Integer():
            return f"must be a whole number in {domain}, got {shown(value)}."
        case Choice():
            near = did_you_mean(str(value), (option for option in domain.options if isinstance(option, str)))
            return f"must be one of {domain}, got {shown(value)}.{near}"
        case _:
            assert_never(domain)
