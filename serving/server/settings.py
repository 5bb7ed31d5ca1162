"""How a server is set up, and what it lets a client cost."""

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from search.errors import StudyError
from trainer.data.filling import num_processors
from trainer.data.images import MAX_PIXELS

MEGABYTE = 1_000_000
NEEDED = ("fastapi", "httptools", "prometheus_client", "python_multipart", "uvicorn")
MAX_FILES = 32  # of a request
MAX_TOP_K = 1000
MOST_WORKERS = 4  # unless told: each holds the model
SHORTEST_TOKEN, LONGEST_TOKEN = 16, 512  # letters


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What every worker is told."""

    pointer: Path  # file that names the package in service
    threads: int = 1  # of the graph, in each worker
    token: str | None = field(default=None, repr=False)
    max_body: int = 10 * MEGABYTE  # bytes of a request
    max_bodies: int = 256 * MEGABYTE  # bytes of all requests that a worker has at the same time
    max_pixels: int = MAX_PIXELS  # of an image
    max_connections: int = 900  # of a worker: systems give a process about 1,000 files unless told otherwise
    capacity: int = 256  # images that wait for the model in a worker
    largest_batch: int = 32
    lanes: int = 1  # batches of all workers together, up to which one may compute several at the same time
    header_seconds: float = 10.0  # until a request's headers are complete, from the first moment of a connection on
    body_seconds: float = 30.0  # until its body is complete
    answer_seconds: float = 10.0  # until the model has answered
    stop_seconds: int = 10  # that requests under way have to end in when the server stops


def check_installed() -> None:
    """Check that what only a server needs is there.

    Raises:
        StudyError: Naming what is missing, and how to install it.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise StudyError(
            f"autoclf serve needs {', '.join(missing)}, which is not installed: pip install 'autoclf[serve]'"
        )


def share_of_threads(num_workers: int | None) -> tuple[int, int]:
    """Return how many workers there are, and how many threads the graph of each has.

    Args:
        num_workers: If the user said so.
    """
    cores = num_processors()
    workers = num_workers or min(cores, MOST_WORKERS)
    return workers, max(1, cores // workers)


def read_token(path: Path) -> str:
    """Read the first line of a file as a token.

    Raises:
        StudyError: If the file can't be read, or holds no token that is worth one.
    """
    try:
        with path.open(encoding="ascii") as file:
            token = file.readline(LONGEST_TOKEN + 2).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"The token can't be read from {str(path)!r}: {error}.") from None
    if not SHORTEST_TOKEN <= len(token) <= LONGEST_TOKEN or not token.isprintable() or " " in token:
        raise StudyError(
            f"The first line of {str(path)!r} is no token: {SHORTEST_TOKEN} to {LONGEST_TOKEN} letters without spaces "
            "are expected. Make one with `openssl rand -hex 24`."
        )
    return token
