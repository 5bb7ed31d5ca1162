"""What is wrong with a declared space, and in which words it is said."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

LONGEST_SHOWN = 80  # characters of a value in a message


class SpaceError(ValueError):
    """A mistake in a declared space; the message is complete, one fault a line."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing wrong with a file, at one place in it."""

    line: int  # from 1
    path: str  # the keys that lead there, joined by dots; empty for the file as a whole
    message: str


def refusal(file: str, faults: Iterable[Fault]) -> SpaceError:
    """Return the error that reports the faults of a file in the order of its lines."""
    lines = (
        f"{file}:{fault.line}: {fault.path}{': ' if fault.path else ''}{fault.message}" for fault in sorted(set(faults))
    )
    return SpaceError("\n".join(lines))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the nearest known name, or nothing."""
    near = get_close_matches(name, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def written(value: object) -> str:
    """Return a value as one writes it in a file: `true`, `0.5`, `sgd`; in quotes only if it must be."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and not value.isprintable():
        return repr(value)
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def shown(value: object) -> str:
    """Return a value as it is quoted in a message: on one line, and not longer than fits there."""
    if value is None:
        return "nothing"
    text = written(value) if isinstance(value, bool) else repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"
