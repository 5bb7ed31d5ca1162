"""A real server in processes of its own, with a package made by hand and limits that tests can wait for."""

import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

ROOT = Path(__file__).parents[3]
START_SECONDS = 60
SCRIPT = """
from pathlib import Path
from serving.reference import Folder
from serving.server.settings import Settings
from serving.server.supervise import Front, serve

serve(
    Folder(Path({folder!r})),
    Settings(pointer=Path(), **{settings!r}),
    Front("127.0.0.1", 0, {num_workers}),
    store=Path("nowhere"),
    tracking_uri=None,
    say=lambda line: print(line, flush=True),
)
"""


@dataclass(frozen=True)
class Reply:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]  # names in small letters
    content: bytes

    @property
    def json(self) -> Any:
        """Return the content as an object."""
        return json.loads(self.content)

    @property
    def code(self) -> str:
        """Return the word of an error."""
        return str(self.json["error"]["code"])


@dataclass(frozen=True)
class Server:
    """A server under way."""

    process: subprocess.Popen[str]
    port: int
    log: Path

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        kind: str | None = "application/octet-stream",
        headers: Mapping[str, str] | None = None,
        timeout: float = 30,
    ) -> Reply:
        """Send one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        sent = dict(headers or {})
        if body is not None and kind is not None:
            sent["Content-Type"] = kind
        try:
            connection.request(method, path, body=body, headers=sent)
            reply = connection.getresponse()
            return Reply(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
        finally:
            connection.close()

    def predict(self, *images: bytes, query: str = "", **options: Any) -> Reply:
        """Ask for answers to images, as a browser's form does."""
        body, kind = form(*images)
        return self.ask("POST", f"/predict{query}", body, kind=kind, **options)

    def connect(self, timeout: float = 30) -> socket.socket:
        """Return a bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def raw(self, content: bytes, timeout: float = 30) -> bytes:
        """Send bytes as they are; return what comes until the server closes, or nothing more for a while."""
        with self.connect(timeout) as connection:
            connection.sendall(content)
            return read_all(connection)

    def workers(self) -> list[psutil.Process]:
        """Return the processes that answer."""
        return [child for child in psutil.Process(self.process.pid).children() if _is_worker(child)]

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """Wait until it answers."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if self.ask("GET", "/readyz", timeout=2).status == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.05)
        raise AssertionError(f"it is not ready: {self.log.read_text()}")


def _is_worker(process: psutil.Process) -> bool:
    try:
        return any("spawn_main" in word for word in process.cmdline())
    except psutil.Error:  # it ends just now
        return False


def read_all(connection: socket.socket) -> bytes:
    """Return what comes until the other side closes, or is silent for longer than the connection's timeout."""
    found = b""
    try:
        while piece := connection.recv(65_536):
            found += piece
    except (TimeoutError, ConnectionResetError):
        pass
    return found


@contextmanager
def serving(folder: Path, place: Path, *, num_workers: int = 1, **settings: Any) -> Iterator[Server]:
    """Serve a package while the block lasts; `settings` are those of the server."""
    script = SCRIPT.format(folder=str(folder), settings=settings, num_workers=num_workers)
    with started([sys.executable, "-c", script], place, os.environ | {"PYTHONPATH": str(ROOT)}) as server:
        yield server


@contextmanager
def started(command: list[str], place: Path, environment: Mapping[str, str]) -> Iterator[Server]:
    """Start what serves, and wait until it answers; it is killed at the end if it is still there."""
    log = place / "server.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, cwd=place, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True,
            start_new_session=True,
        ) as process,
    ):  # fmt: skip
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            address = re.search(r"http://[^ ]*:(\d+)", line)
            assert address, line + log.read_text()
            server = Server(process, int(address[1]), log)
            server.wait_until_ready()
            yield server
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def form(*images: bytes, name: str = "a.png", field: str = "file") -> tuple[bytes, str]:
    """Return a form with files, and its content type."""
    head = f'--edge\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'.encode()
    return b"".join(head + image + b"\r\n" for image in images) + b"--edge--\r\n", "multipart/form-data; boundary=edge"


def picture(value: int, *, first: int | None = None, size: tuple[int, int] = (8, 8), kind: str = "PNG") -> bytes:
    """Return a file with an image of one grey; `first` is the first number of its first pixel."""
    pixels = np.full((size[1], size[0], 3), value, dtype=np.uint8)
    if first is not None:
        pixels[0, 0, 0] = first
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


@contextmanager
def load(server: Server, *, clients: int = 8, pause: float = 0.0) -> Iterator[list[object]]:
    """Ask again and again while the block lasts; yield a list of what came: statuses with labels, and errors."""
    came: list[object] = []
    image = picture(0)
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                reply = server.predict(image)
                came.append((reply.status, reply.json["predictions"][0]["label"] if reply.status == 200 else ""))
            except OSError as error:
                came.append(error)
            time.sleep(pause)

    with ThreadPoolExecutor(clients) as pool:
        for _ in range(clients):
            pool.submit(ask)
        try:
            yield came
        finally:
            done.set()


def until(holds: Callable[[], object], seconds: float = 20) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError("it did not come about")
