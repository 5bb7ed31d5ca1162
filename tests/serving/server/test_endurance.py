"""Long runs: broken images and broken HTTP for some time, and ten thousand requests in the same memory.

`AUTOCLF_FUZZ_SECONDS` says for how long; `make fuzz` for a minute each.
"""

import os
import random
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.serving.packages import make_package
from tests.serving.server.running import Server, form, picture, read_all, serving
from tests.trainer.data.data_samples import encoded, noise

SECONDS = float(os.environ.get("AUTOCLF_FUZZ_SECONDS", "5"))
KINDS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
SEEDS = [encoded(noise(number, (24, 31, 3)), kind) for number, kind in enumerate(KINDS)]
GROWTH = 100 * 2**20  # bytes that a worker may take more, whatever it is sent
NUM_REQUESTS = 10_000
ANSWERED = {200, 400, 408, 413, 414, 415, 422, 431, 404, 405, 503}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(SECONDS * 4 + 120)]


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Return bytes with some of them changed, cut out, doubled, or put elsewhere."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 12)):
        place, length = rng.randrange(len(changed) + 1), rng.randint(1, 40)
        match rng.randrange(5):
            case 0:
                changed[place : place + length] = rng.randbytes(length)
            case 1:
                del changed[place : place + length]
            case 2:
                changed[place:place] = changed[place : place + length]
            case 3:
                changed[place : place + 4] = rng.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"))
            case _ if changed:
                changed[min(place, len(changed) - 1)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def survives(server: Server, attack: Callable[[random.Random], int]) -> Counter[int]:
    """Attack for some time; return how often each status came. The worker must be the same one, and not much larger."""
    (worker,) = server.workers()
    server.predict(*SEEDS)
    before, rng, statuses = worker.memory_info().rss, random.Random(0), Counter[int]()
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        statuses[attack(rng)] += 1
    assert [each.pid for each in server.workers()] == [worker.pid]
    assert worker.memory_info().rss - before < GROWTH
    assert server.predict(picture(0)).json["predictions"][0]["label"] == "dark"
    of_ours = [
        line for line in server.log.read_text().splitlines() if not line.startswith(("TIFF", "libtiff", "_TIFF"))
    ]
    assert not of_ours
    return statuses


def test_90_broken_images_crash_nothing(tmp_path: Path) -> None:
    with serving(make_package(tmp_path / "package"), tmp_path) as server:
        statuses = survives(server, lambda rng: server.predict(mutated(rng.choice(SEEDS), rng)).status)

    assert statuses.keys() <= {200, 422, 400}
    assert statuses[422] > 20
    sys.stdout.write(f"{statuses.total()} broken images in {SECONDS:g} s: {dict(statuses)}" + "\n")


def test_90_broken_requests_crash_nothing(tmp_path: Path) -> None:
    body, kind = form(picture(0))
    head = f"POST /predict?top_k=2 HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    whole = head.encode() + body

    with serving(make_package(tmp_path / "package"), tmp_path, header_seconds=0.5, body_seconds=0.5) as server:

        def attack(rng: random.Random) -> int:
            with server.connect(timeout=0.1) as connection:
                try:
                    connection.sendall(mutated(whole, rng))
                    connection.shutdown(socket.SHUT_WR)
                except OSError:
                    return 0
                answer = read_all(connection)
            return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0

        statuses = survives(server, attack)

    assert statuses.keys() <= ANSWERED | {0}, statuses
    assert statuses[400] > 20
    sys.stdout.write(f"{statuses.total()} broken requests in {SECONDS:g} s: {dict(statuses)}" + "\n")


def test_ten_thousand_requests_take_no_memory(tmp_path: Path) -> None:
    body, kind = form(encoded(noise(0, (64, 64, 3))))
    head = f"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    request, sizes = head.encode() + body, []
    with serving(make_package(tmp_path / "package"), tmp_path) as server:
        (worker,) = server.workers()
        files = worker.num_fds()
        for _ in range(10):
            _send(server, request, NUM_REQUESTS // 10)
            sizes.append(_memory(worker))
        assert worker.num_fds() <= files + 1

    grown = np.polyfit(range(2, 10), sizes[2:], 1)[0]  # MiB a thousand requests, once all is warm
    sys.stdout.write("MiB after each thousand requests: " + " ".join(f"{size:.1f}" for size in sizes) + "\n")
    assert grown < 0.5
    assert sizes[-1] < 1.05 * sizes[1]


def _send(server: Server, request: bytes, number: int) -> None:
    """Send a request again and again on one connection, ten at a time."""
    with server.connect() as connection:
        for _ in range(number // 10):
            connection.sendall(request * 10)
            found = b""
            while found.count(b"HTTP/1.1 200 ") < 10 or not found.endswith(b"]}"):
                found += connection.recv(65_536)


def _memory(process: psutil.Process) -> float:
    return float(process.memory_info().rss / 2**20)
