"""What a server's processes write to the error stream: faults and changes, and nothing that clients send."""

import logging

LEVELS = {
    "uvicorn.error": logging.ERROR,
    "python_multipart": logging.CRITICAL,
    "PIL": logging.CRITICAL,
    "autoclf.serve": logging.INFO,
}


def set_up_log() -> None:
    """Set up the log of this process."""
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    for name, level in LEVELS.items():
        logging.getLogger(name).setLevel(level)
