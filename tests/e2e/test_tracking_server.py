"""A tracking server by its address: there, away, and back again."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from search.tracking.environment import SWITCHES
from tests.books import assert_books_agree
from tests.command import Desk, free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
START_SECONDS = 120


@contextmanager
def server(root: Path, port: int) -> Iterator[str]:
    """Run an MLflow server on the loopback address; yield its address."""
    words = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    process = subprocess.Popen(
        [*words, "--backend-store-uri", f"sqlite:///{root}/server.db", "--artifacts-destination", str(root / "served")],
        env={**os.environ, **SWITCHES},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_until_open(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


@pytest.mark.thorough
def test_a_search_logs_to_a_server_as_to_a_file(desk: Desk, template: Path) -> None:
    shutil.copy(template, desk.root / "server.db")

    with server(desk.root, free_port()) as address:
        done = desk.run("search", "--space", "tiny.yaml", "--trials", "3", "--tracking-uri", address)

        assert done.returncode == 0, done.stderr
        assert_books_agree(desk.store, "tiny", num_trials=3, tracking_uri=address)
        assert list((desk.root / "served").rglob("confusion_matrix.png")), "artifacts go through the server"


def test_a_search_goes_on_without_its_server_and_uploads_when_that_is_back(desk: Desk, template: Path) -> None:
    shutil.copy(template, desk.root / "server.db")
    port = free_port()
    address = f"http://127.0.0.1:{port}"

    away = desk.run("search", "--space", "tiny.yaml", "--trials", "3", "--tracking-uri", address)

    assert away.returncode == 0, away.stderr
    assert "could not be shown to the tracking store" in away.stdout
    with server(desk.root, port):
        assert desk.run("resume", "tiny").returncode == 0
        assert_books_agree(desk.store, "tiny", num_trials=3, tracking_uri=address)


def _wait_until_open(port: int) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise AssertionError("the server did not start")
