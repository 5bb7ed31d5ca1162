"""What goes wrong in a training job, and how a name that does not exist is answered."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

T = TypeVar("T")


class ConfigError(ValueError):
    """A setting of a job that the user can change."""


class DataError(ValueError):
    """A data set that is missing, unreadable or unfit."""


class Diverged(RuntimeError):  # noqa: N818  -- it names what happened, as StopIteration does
    """The loss left the finite numbers; the trial ends, the study goes on."""


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be trusted: torn, altered, or of another job."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the nearest known name, or nothing."""
    near = get_close_matches(name, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def pick(table: Mapping[str, T], name: str, *, kind: str) -> T:
    """Return `table[name]`.

    Raises:
        ConfigError: If there is no such name; the message lists those that exist.
    """
    if name not in table:
        raise ConfigError(
            f"No {kind} is called {name!r}.{did_you_mean(name, table)} Known: {', '.join(sorted(table))}."
        )
    return table[name]
