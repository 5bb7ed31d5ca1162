"""The `autoclf` command: runs the application and turns what went wrong into a message and an exit code."""

import atexit
import os
import sys

from autoclf.application import app
from autoclf.exits import INTERRUPTED, OURS, REFUSED, USER_MISTAKE, refusals, user_mistakes


def start() -> None:
    """Run the command line in a process of its own, and end that without Python's farewell.

    Taking apart what MLflow and matplotlib have loaded takes one to two seconds of the user's time, after everything
    was said and done. What others have registered for the exit still runs before.
    """
    codes = [OURS]  # of an error that nobody caught
    atexit.register(lambda: _leave(codes[-1]))
    try:
        main()
        codes.append(0)
    except SystemExit as leaving:
        codes.append(leaving.code if isinstance(leaving.code, int) else OURS if leaving.code else 0)
        raise


def _leave(code: int) -> None:
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


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
    except refusals() as error:
        print(f"Refused: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(REFUSED)
    except BrokenPipeError:  # `autoclf leaderboard x | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    start()
