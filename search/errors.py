"""What goes wrong in a study, as the user can mend it."""


class StudyError(ValueError):
    """A study, store or database that does not fit what was asked; the message says the way out."""


class StorageBusyError(RuntimeError):
    """A database that stayed locked or out of reach for longer than the search waits; nothing is lost."""


class RefusedError(RuntimeError):
    """A gate that was not passed; nothing was changed. The lines of its message hold the figures."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n  ".join(lines))
