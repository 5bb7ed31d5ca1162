"""The real command in a real process, on a space that takes seconds."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SPACE = """
name: tiny
data: digits
budget: {rungs: [1, 2, 4], eta: 2}
parameters:
  model:
    choice:
      resnet9: {width: {choice: [4, 8]}}
  optimizer:
    choice:
      sgd: {lr: {float: [0.01, 0.3], log: true}}
      adamw: {lr: {float: [0.0005, 0.01], log: true}}
  training: {batch_size: 128, ema: {choice: [0.0, 0.9]}}
  augment: {crop_padding: {int: [0, 1]}}
  runtime: {micro_batch: 128, precision: float32}  # not measured, so that two searches find the same bit for bit
"""
SLOWER = SPACE.replace("rungs: [1, 2, 4]", "rungs: [4, 12]").replace("[4, 8]", "[16, 24]")  # seconds a job
TIMEOUT_SECONDS = 240


@dataclass(frozen=True)
class Desk:
    """A directory in which the command is run."""

    root: Path
    environment: Mapping[str, str]

    @property
    def store(self) -> Path:
        """The default store."""
        return self.root / "mlruns"

    def command(self, *arguments: str) -> list[str]:
        """Return the words of a command line."""
        return [sys.executable, "-m", "autoclf", *arguments]

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return self._run(self.command(*arguments), **environment)

    def run_python(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script with this Python."""
        return self._run([sys.executable, "-c", script])

    def run_shell(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line of the shell."""
        return self._run(["bash", "-c", line])

    def _run(self, words: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            cwd=self.root,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )

    @contextmanager
    def started(self, *arguments: str, **environment: str) -> "Iterator[Running]":
        """Start a command that prints JSON lines; it is killed at the end of the block if it still runs."""
        with subprocess.Popen(
            self.command(*arguments, "--json"),
            cwd=self.root,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield Running(process)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)


@dataclass(frozen=True)
class Running:
    """A search under way."""

    process: subprocess.Popen[str]

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield what it tells, as it tells it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            yield json.loads(line)

    def wait_for(self, kind: str, **values: object) -> dict[str, Any]:
        """Return the next event of a kind with those values."""
        for event in self.events():
            if event["event"] == kind and values.items() <= event.items():
                return event
        raise AssertionError(f"it ended without {kind!r}: {self.errors()}")

    def finish(self) -> dict[str, Any]:
        """Let it end; return its outcome."""
        last = {}
        for event in self.events():
            last = event
        assert self.process.wait(TIMEOUT_SECONDS) in (0, 130), self.errors()
        return last

    def errors(self) -> str:
        """Return what it wrote to the error stream so far, once it has ended."""
        assert self.process.stderr is not None
        return self.process.stderr.read()


def make_desk(root: Path, *, template: Path | None = None, space: str = SPACE) -> Desk:
    """Return a directory with `tiny.yaml`, a cache of its own, and a tracking database made before."""
    (root / "tiny.yaml").write_text(space)
    if template is not None:
        (root / "mlruns").mkdir()
        shutil.copy(template, root / "mlruns" / "mlflow.db")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "AUTOCLF_CRASH"))},
        "XDG_CACHE_HOME": str(root / "cache"),
        "MPLCONFIGDIR": str(Path(os.environ["XDG_CACHE_HOME"]) / "matplotlib"),  # its list of fonts takes a second
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "RAY_worker_niceness": "0",  # as Ray has it, workers get next to nothing where other tests run beside them
        "NO_COLOR": "1",
        "COLUMNS": "160",
    }
    return Desk(root, environment)


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_alive(pid: int) -> bool:
    """Say whether a process runs; one that only waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until_gone(pid: int, *, seconds: float) -> bool:
    """Wait for a process to end; return whether it did."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not is_alive(pid):
            return True
        time.sleep(0.05)
    return False
