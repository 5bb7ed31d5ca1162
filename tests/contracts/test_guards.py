"""What keeps every test to itself, tested."""

import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest


def _connect_without_an_error(host: str) -> None:
    with socket.socket() as client:
        client.connect_ex((host, 80))


@pytest.mark.parametrize(
    "reach",
    [
        lambda: socket.create_connection(("192.0.2.1", 80), timeout=1),
        lambda: socket.getaddrinfo("example.org", 80),
        lambda: _connect_without_an_error("192.0.2.1"),
    ],
    ids=["address", "name", "without an error"],
)
def test_a_test_reaches_no_other_machine(reach: Callable[[], object]) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"tried to reach .*: tests use no network"):
        reach()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_test_reaches_its_own_machine(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection((host, server.getsockname()[1]), timeout=5).close()


@pytest.mark.logs_errors
def test_a_test_that_says_so_may_log_an_error() -> None:
    logging.getLogger("some.library").error("meant to be")


def test_the_cache_of_the_user_is_not_touched() -> None:
    cache = Path(os.environ["XDG_CACHE_HOME"])

    assert not cache.is_relative_to(Path.home() / ".cache")
    assert os.access(cache, os.W_OK)
