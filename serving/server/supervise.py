"""The process that the user starts: it holds the port, keeps workers alive, and follows the registry."""

import os
import resource
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from search.errors import StudyError
from search.promotion.registry import open_registry
from search.store import open_existing_store
from serving.predictor import load_predictor
from serving.reference import Folder, Registered
from serving.server import metrics
from serving.server.app import Factory
from serving.server.following import Follower
from serving.server.log import set_up_log
from serving.server.pointer import InService, point_at
from serving.server.protocol import Protocol
from serving.server.settings import Settings

HEALTH_SECONDS = 60  # that a worker may need to be loaded, on a busy machine
BACKLOG = 2048
MOST_FILES = 4096  # that a process of ours may open
# For glibc: pieces of memory from a megabyte on go back to the system at once, which it else learns not to do from the
# first large image; after thousands of them a worker would hold twice its memory.
MEMORY = {"MALLOC_MMAP_THRESHOLD_": "1048576", "MALLOC_TRIM_THRESHOLD_": "1048576"}


@dataclass(frozen=True, slots=True)
class Front:
    """What the network meets."""

    host: str
    port: int  # 0 takes a free one
    num_workers: int  # processes


class ServerError(RuntimeError):
    """No worker came up."""


def serve(
    model: Registered | Folder,
    settings: Settings,
    front: Front,
    *,
    store: Path,
    tracking_uri: str | None,
    say: Callable[[str], None],
) -> None:
    """Serve a model until Ctrl-C or a SIGTERM.

    Args:
        model: What to serve; an alias is followed.
        settings: For the workers, whose pointer is set here.
        front: Where it listens, and how many answer.
        store: Whose registry is asked.
        tracking_uri: Of the registry, if not the store's own.
        say: Takes a line for the user.

    Raises:
        StudyError: If there is no such model, it is not sound, or the address can't be had.
        ServerError: If the workers do not come up.
    """
    _set_up_process()
    with _listening(front.host, front.port) as listener, tempfile.TemporaryDirectory(prefix="autoclf-serve-") as name:
        place = Path(name)
        pointer = place / f"in-service-{os.getpid()}.json"
        (place / "metrics").mkdir()
        os.environ[metrics.MULTIPROCESS] = str(place / "metrics")
        config = _config(replace(settings, pointer=pointer, lanes=front.num_workers), front.num_workers)
        host, port = listener.getsockname()[:2]

        def told(package: InService) -> None:
            workers = "1 worker" if front.num_workers == 1 else f"{front.num_workers} workers"
            shown = f"[{host}]" if ":" in host else host
            say(f"Serving {package} on http://{shown}:{port} with {workers}; Ctrl-C stops it.")

        if isinstance(model, Folder):
            load_predictor(model.path, name=str(model), threads=1)
            package = InService(str(model.path.resolve()), str(model), None)
            point_at(pointer, package)
            told(package)
            _run(config, listener)
        else:
            registry = open_registry(open_existing_store(store), tracking_uri)
            follower = Follower(registry=registry, model=model, place=place / "models", pointer=pointer)
            told(follower.begin())
            with follower.following():
                _run(config, listener)
    say("Stopped.")


def _set_up_process() -> None:
    set_up_log()
    for name, value in MEMORY.items():  # the workers begin with it
        os.environ.setdefault(name, value)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise StudyError(f"{host!r} is no address of this machine ({error.strerror}). Choose another --host.") from None
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(place)
        except OSError as error:
            raise StudyError(
                f"Port {port} of {host!r} can't be had: {error.strerror}. Choose another --port or --host."
            ) from None
        listener.listen(BACKLOG)
        yield listener


def _config(settings: Settings, num_workers: int) -> Config:
    return Config(
        Factory(settings),
        factory=True,
        http=Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        workers=num_workers,
        backlog=BACKLOG,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=settings.stop_seconds,
        timeout_worker_healthcheck=HEALTH_SECONDS,
    )


def _run(config: Config, listener: socket.socket) -> None:
    supervisor = Multiprocess(config, sockets=[listener])
    supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        raise ServerError("A worker did not come up; the reason is above.")
