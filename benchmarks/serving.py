"""Requests a second and how long they take: `autoclf serve`, `mlflow models serve`, and a tutorial's endpoint.

    python -m benchmarks.serving --model digits@champion [--store mlruns] [--seconds 10] [--out FILE]

The same model, one after the other on the same machine, with one image of the model's size in a request: as a PNG in a
form, and for MLflow, which takes no files, as numbers in JSON. Clients in a process of their own each send their next
request when the last one is answered, so many at a time as `CLIENTS` says; of the runs whose 99th percentile stays
within `--within` milliseconds, the one with most requests a second counts. A tutorial's server has one worker, ours one
a core: both others are run with two, too. With `--memory`, 10,000 requests and the memory of the workers meanwhile.
"""

import argparse
import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import httptools
import numpy as np
import psutil
import uvloop
from PIL import Image

from search.promotion.registry import open_registry
from search.store import Store
from serving.fetching import fetched, version_of
from serving.predictor import load_predictor
from serving.reference import Registered, read_model

CLIENTS = (1, 2, 4, 8, 16, 32, 64)
START_SECONDS = 120
WARM_SECONDS = 1.0
CONNECT_SECONDS = 0.005  # between two clients


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a number of clients met."""

    server: str
    clients: int
    per_second: float
    p50: float  # milliseconds
    p99: float  # milliseconds
    failed: int


@dataclass(frozen=True, slots=True)
class Contender:
    """A server to start, and a request for it."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    port: int
    path: str
    ready: str  # path that answers when it is up
    kind: str
    body: bytes


class Client(asyncio.Protocol):
    """Sends the same request again whenever it is answered."""

    def __init__(self, request: bytes, until: float, seconds: list[float], statuses: Counter[int]) -> None:
        self.request, self.until, self.seconds, self.statuses = request, until, seconds, statuses
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first one."""
        self.transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Read a part of an answer."""
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Note an answer, and send the next request."""
        self.seconds.append(time.perf_counter() - self.began)
        self.statuses[self.parser.get_status_code()] += 1
        if time.perf_counter() < self.until:
            asyncio.get_running_loop().call_soon(self._send)
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        self.done.set_result(None)

    def _send(self) -> None:
        if self.transport.is_closing():
            return
        self.parser = httptools.HttpResponseParser(self)
        self.began = time.perf_counter()
        self.transport.write(self.request)  # type: ignore[attr-defined]


def load(port: int, request: bytes, clients: int, seconds: float) -> tuple[list[float], Counter[int], float]:
    """Return the seconds of each request, statuses by number, and how long all took."""
    took: list[float] = []
    statuses: Counter[int] = Counter()

    async def whole() -> float:
        until = time.perf_counter() + clients * CONNECT_SECONDS + seconds
        loop, began = asyncio.get_running_loop(), time.perf_counter()
        made = []
        for _ in range(clients):  # not in the same moment: the first worker that wakes would take them all
            made.append(await loop.create_connection(lambda: Client(request, until, took, statuses), "127.0.0.1", port))
            await asyncio.sleep(CONNECT_SECONDS)
        await asyncio.gather(*(client.done for _, client in made))
        return time.perf_counter() - began

    lasted = uvloop.run(whole())
    return took, statuses, lasted


def request_of(contender: Contender) -> bytes:
    """Return a request as bytes."""
    head = f"POST {contender.path} HTTP/1.1\r\nHost: a\r\nContent-Type: {contender.kind}\r\n"
    return f"{head}Content-Length: {len(contender.body)}\r\n\r\n".encode() + contender.body


def measure(contender: Contender, clients: int, seconds: float) -> Run:
    """Load a server from another process."""
    with get_context("spawn").Pool(1) as pool:
        asked = (contender.port, request_of(contender), clients)
        pool.apply(load, (*asked, WARM_SECONDS))
        took, statuses, lasted = pool.apply(load, (*asked, seconds))
    p50, p99 = np.percentile(took, [50, 99]) * 1000
    run = Run(
        server=contender.name, clients=clients, per_second=len(took) / lasted, p50=p50, p99=p99,
        failed=sum(number for status, number in statuses.items() if status != 200),
    )  # fmt: skip
    print(f"{run.server:32} {clients:3} clients {run.per_second:8.0f}/s  p50 {p50:7.1f} ms  p99 {p99:7.1f} ms", end="")
    print(f"  {run.failed} refused" if run.failed else "", flush=True)
    return run


@contextmanager
def running(contender: Contender) -> Iterator[subprocess.Popen[bytes]]:
    """Start a server, wait until it answers, and end it after the block."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            contender.command, env={**os.environ, **contender.environment}, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        try:
            until = time.monotonic() + START_SECONDS
            while not _answers(contender):
                if time.monotonic() > until or process.poll() is not None:
                    log.seek(0)
                    raise SystemExit(f"{contender.name} did not start:\n{log.read().decode()}")
                time.sleep(0.2)
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def _answers(contender: Contender) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{contender.port}{contender.ready}", timeout=2) as reply:
            return bool(reply.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def contenders(model: Registered, study: str, store: Path, image: np.ndarray) -> list[Contender]:
    """Return the servers that are compared; `image` is (H, W, C)."""
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG")
    head = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    form = head + file.getvalue() + b"\r\n--edge--\r\n"
    multipart = "multipart/form-data; boundary=edge"
    numbers = json.dumps({"inputs": {"images": image[None].tolist()}}).encode()
    python, uri = sys.executable, Store(store).tracking_uri
    version = model.version or version_of(open_registry(Store(store), None), model).number
    tutorial = {"STUDY": study, "STORE": str(store)}
    path = f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}"  # where MLflow looks for uvicorn
    tracked = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_DISABLE_TELEMETRY": "true", "PATH": path}
    ours = [python, "-m", "autoclf", "serve", str(model), "--store", str(store)]
    others = [
        python,
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        f"models:/{model.name}/{version}",
        "--env-manager",
        "local",
    ]
    endpoint = [python, "-m", "uvicorn", "benchmarks.tutorial_endpoint:app", "--log-level", "warning"]
    found = [
        Contender("autoclf serve", [*ours, "--port", "8701"], {}, 8701, "/predict?top_k=1", "/readyz", multipart, form)
    ]
    for workers, port in ((1, 8702), (2, 8704)):
        count = ["--workers", str(workers), "--port", str(port)]
        said = f"{workers} worker{'s' if workers > 1 else ''}"
        found += [
            Contender(
                f"mlflow models serve, {said}", [*others, *count], tracked, port, "/invocations", "/ping",
                "application/json", numbers,
            ),
            Contender(
                f"FastAPI + PyTorch, {said}", [*endpoint, *count[:-1], str(port + 1)], tutorial, port + 1, "/predict",
                "/openapi.json", multipart, form,
            ),
        ]  # fmt: skip
    return found


def best_within(runs: Sequence[Run], within: float) -> dict[str, Run]:
    """Return the run with most requests a second of each server, of those whose 99th percentile stays within."""
    found: dict[str, Run] = {}
    for run in runs:
        if (
            run.p99 <= within
            and not run.failed
            and run.per_second > (found[run.server].per_second if run.server in found else 0)
        ):
            found[run.server] = run
    return found


def memory_of(process: subprocess.Popen[bytes]) -> float:
    """Return the memory of a server's workers in MiB."""
    return sum(child.memory_info().rss for child in psutil.Process(process.pid).children()) / 2**20


def watch_memory(contender: Contender, thousands: int = 10) -> list[float]:
    """Return the memory of the workers before, and after each thousand of requests."""
    with running(contender) as process, get_context("spawn").Pool(1) as pool:
        found, sent = [memory_of(process)], 0
        while sent < 1000 * thousands:
            took, _, _ = pool.apply(load, (contender.port, request_of(contender), 8, 0.2))
            sent += len(took)
            if sent >= 1000 * len(found):
                found.append(memory_of(process))
    print("MiB of the workers:", " ".join(f"{each:.0f}" for each in found), flush=True)
    return found


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="digits@champion")
    parser.add_argument("--store", type=Path, default=Path("mlruns"))
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--within", type=float, default=50.0, help="milliseconds")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    model = read_model(args.model)
    assert isinstance(model, Registered), "a model in the registry"
    with fetched(model, store=args.store, tracking_uri=None) as folder:
        manifest = load_predictor(folder, name=str(model)).manifest
    image = np.random.default_rng(0).integers(0, 256, manifest.image_shape).astype(np.uint8)
    found = contenders(model, manifest.study, args.store.resolve(), image)
    if args.memory:
        watch_memory(found[0])
        return
    runs = []
    for contender in found:
        with running(contender):
            runs += [measure(contender, clients, args.seconds) for clients in CLIENTS]
    best = best_within(runs, args.within)
    ours = best.get(found[0].name)
    print(f"\nMost requests a second with a 99th percentile within {args.within:g} ms:")
    for contender in found:
        run = best.get(contender.name)
        told = "none of its runs" if run is None else f"{run.per_second:8.0f}/s with {run.clients} clients"
        ratio = "" if run is None or ours is None else f", ours {ours.per_second / run.per_second:.1f} times that"
        print(f"  {contender.name:32} {told}{ratio}")
    if args.out is not None:
        args.out.write_text(json.dumps([asdict(run) for run in runs], indent=1) + "\n")


if __name__ == "__main__":
    main()
