"""The `autoclf` command: runs the application and turns what went wrong into a message and an exit code."""

import os
import sys

from autoclf.application import app
from autoclf.exits import INTERRUPTED, USER_MISTAKE, user_mistakes


def main() -> None:
    """Run the command line.

    Exit codes: 0 done, 1 our fault (with a traceback), 2 the user's mistake, 3 refused by a gate, 130 after Ctrl-C.
    """
    try:
        app()
    except SystemExit:  # most ends are this one: nothing has to be loaded to know the mistakes
        raise
    except user_mistakes() as error:
        print(f"Error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(USER_MISTAKE)
    except BrokenPipeError:  # `autoclf leaderboard x | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
