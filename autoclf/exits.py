"""Exit codes, and which errors are the user's to mend."""

OURS = 1
USER_MISTAKE = 2
REFUSED = 3
INTERRUPTED = 130


def user_mistakes() -> tuple[type[Exception], ...]:
    """Return the errors whose message says all: asked for when one has happened, as it loads what can raise them."""
    from search.errors import StorageBusyError, StudyError
    from spaces import SpaceError
    from trainer.errors import ConfigError, DataError

    return SpaceError, StudyError, ConfigError, DataError, StorageBusyError


def refusals() -> tuple[type[Exception], ...]:
    """Return the errors of gates that were not passed."""
    from search.errors import RefusedError

    return (RefusedError,)
