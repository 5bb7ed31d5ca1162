"""Named points at which a test kills a process for real, to see what is left.

`AUTOCLF_CRASH_AT=NAME:FILE` sends SIGKILL at the first passage of the point; FILE, which is made then, tells that it
has happened. Only tests set it.
"""

import os
import signal
from pathlib import Path


def crash_point(name: str) -> None:
    """Die here if a test wants it; otherwise do nothing."""
    wanted, _, marker = os.environ.get("AUTOCLF_CRASH_AT", "").partition(":")
    if wanted != name:
        return
    try:
        Path(marker).touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
