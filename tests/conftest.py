"""What holds for every test: no network, no error in the log, no cache but its own.

A test during which something is logged at ERROR fails, unless it is marked `logs_errors`.
"""

import ipaddress
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parents[1]))  # before this folder, whose `search` is no package
sys.path.insert(1, str(Path(__file__).parent / "search"))  # its samples serve the contract suites too

from search.store import Store
from spaces import SearchSpace, parse_space

SMALL_SPACE = """
name: small
budget: {rungs: [1, 3, 9], eta: 3, trials: 20}
parameters:
  optimizer:
    choice:
      sgd:
        lr: {float: [0.01, 1.0], log: true}
        momentum: {float: [0.5, 0.95]}
      adamw:
        lr: {float: [0.0001, 0.01], log: true}
  training:
    batch_size: {choice: [32, 64]}
    label_smoothing: {float: [0.0, 0.2], step: 0.1}
  augment:
    crop_padding: {int: [0, 4]}
    flip: none
baselines:
  - {optimizer: sgd, optimizer.lr: 0.1, optimizer.momentum: 0.9, training.batch_size: 64}
  - {optimizer: adamw, optimizer.lr: 0.001}
"""


# An example may take long where others use the machine too, and two runs of one commit try the same examples.
settings.register_profile("busy", deadline=None, derandomize=True)
settings.load_profile("busy")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "logs_errors: something may be logged at ERROR during this test")
    _keep_to_one_core(os.environ.get("PYTEST_XDIST_WORKER", ""))


def _keep_to_one_core(worker: str) -> None:
    """Give each of the parallel test workers a core of its own: two searches that share two cores wait for each other's
    threads, and together take far longer than one after the other."""
    if worker and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    """Let sockets reach this machine alone; who tries more fails, even where an OSError is expected."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _within_this_machine(getattr(socket.socket, name)))
        patch.setattr(socket, "getaddrinfo", _of_this_machine(socket.getaddrinfo))
        yield


def _within_this_machine(connect: Callable[..., Any]) -> Callable[..., Any]:
    def connect_here(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _refuse_others(address[0])
        return connect(self, address)

    return connect_here


def _of_this_machine(look_up: Callable[..., Any]) -> Callable[..., Any]:
    def look_up_here(host: Any, *rest: Any, **options: Any) -> Any:
        _refuse_others(host)
        return look_up(host, *rest, **options)

    return look_up_here


@cache
def own_addresses() -> frozenset[str]:
    """Return the addresses of this machine, at which clusters of nodes within it find each other."""
    return frozenset(found.address for some in psutil.net_if_addrs().values() for found in some)


def _refuse_others(host: Any) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost", socket.gethostname()) or name in own_addresses():
        return
    try:
        is_here = ipaddress.ip_address(name).is_loopback or ipaddress.ip_address(name).is_unspecified
    except ValueError:
        is_here = False
    if not is_here:
        pytest.fail(f"A test tried to reach {name}: tests use no network.")


@pytest.fixture(autouse=True)
def _no_errors_in_the_log(request: pytest.FixtureRequest) -> Iterator[None]:
    make = logging.getLogRecordFactory()
    errors: list[str] = []

    def watch(*arguments: Any, **options: Any) -> logging.LogRecord:
        record = make(*arguments, **options)
        if record.levelno >= logging.ERROR:
            errors.append(f"{record.name}: {record.getMessage()}")
        return record

    logging.setLogRecordFactory(watch)
    yield
    logging.setLogRecordFactory(make)
    if errors and request.node.get_closest_marker("logs_errors") is None:
        pytest.fail("Logged at ERROR:\n" + "\n".join(errors))


@pytest.fixture(scope="session")
def small_space() -> SearchSpace:
    """A conditional space with every kind of domain and two baselines, the second of them partial."""
    return parse_space(SMALL_SPACE, file=Path("small.yaml"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store in a directory of the test's own."""
    (tmp_path / "store").mkdir()
    return Store(tmp_path / "store")


@pytest.fixture(scope="session")
def python_environment() -> dict[str, str]:
    """Environment of a Python process that imports what this one can."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
