"""What goes wrong in a training job, and how a name that does not exist is answered."""

import errno
from collections.abc import Iterable
from difflib import get_close_matches


class ConfigError(ValueError):
    """A setting of a job that the user can change."""


class DataError(ValueError):
    """A data set that is missing, unreadable or unfit."""


class Diverged(RuntimeError):  # noqa: N818  -- it names what happened, as StopIteration does
    """The loss left the finite numbers; the trial ends, the study goes on."""


class OverLimits(RuntimeError):  # noqa: N818  -- it says what a model is
    """A model costs more than it may; the trial ends, the study goes on."""


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be trusted: torn, altered, or of another job."""


def is_out_of_memory(error: Exception) -> bool:
    """Recognise what Python, an accelerator, or torch on a processor (a plain RuntimeError) raises."""
    text = str(error)
    return isinstance(error, MemoryError) or "can't allocate memory" in text or "out of memory" in text


def is_full_disk(error: Exception) -> bool:
    """Recognise what a system raises where a disk, a quota or a limit of a file is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the nearest known name, or nothing."""
    near = get_close_matches(name, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
