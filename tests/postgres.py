"""A PostgreSQL server of the tests' own, where its programs are installed."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.command import free_port

USER = "postgres"


@dataclass(frozen=True, slots=True)
class Server:
    """A server on a port of this machine."""

    folder: Path
    port: int

    def url(self, database: str = "postgres") -> str:
        """Address of a database, as SQLAlchemy reads it."""
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{database}"

    def control(self, *words: str) -> None:
        """Tell the server to start, stop or restart."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        log = self.folder / "log"
        run("pg_ctl", "-D", str(self.folder / "data"), "-l", str(log), "-w", "-o", options, *words)


def run(program: str, *words: str) -> None:
    """Run one of its programs, which refuse to be root."""
    user = USER if os.geteuid() == 0 else None
    subprocess.run([_found(program) or program, *words], check=True, capture_output=True, user=user, cwd="/")


def _found(program: str) -> str | None:
    """Return where a program of the server is: on the PATH, or where Debian has it."""
    beside = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    return shutil.which(program) or (str(beside[-1]) if beside else None)


@contextmanager
def postgres() -> Iterator[Server]:
    """Run a server for as long as the block lasts, or skip the test."""
    for program in ("initdb", "pg_ctl"):
        if _found(program) is None:
            pytest.skip(f"PostgreSQL's `{program}` is not installed")
    pytest.importorskip("psycopg", reason="PostgreSQL's driver `psycopg` is not installed")
    with tempfile.TemporaryDirectory(prefix="autoclf-postgres-") as place:
        folder = Path(place)
        if os.geteuid() == 0:
            shutil.chown(folder, USER)
        run("initdb", "-D", str(folder / "data"), "-U", USER, "--auth=trust", "--no-sync", "-E", "UTF8")
        server = Server(folder, free_port())
        server.control("start")
        try:
            yield server
        finally:
            server.control("stop", "-m", "immediate")
