"""The MLflow UI and the Optuna dashboard as two processes of their own, on the loopback address."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from search.errors import StudyError
from search.storage import hide_password
from search.tracking.environment import SWITCHES

HOST = "127.0.0.1"
STORAGE = "AUTOCLF_DASHBOARD_STORAGE"  # names the dashboard's database
START_SECONDS = 90.0  # that a server may take; MLflow's first start on a busy machine takes long
STOP_SECONDS = 10.0


def serve(
    *,
    tracking_uri: str,
    study_url: str,
    artifacts: Path,
    mlflow_port: int,
    dashboard_port: int,
    say: Callable[[str], None],
) -> None:
    """Start both, print their addresses when they answer, and stop both at Ctrl-C, a SIGTERM or when one ends.

    Raises:
        StudyError: If a port is taken, or a server does not start.
    """
    for port, option in ((mlflow_port, "--mlflow-port"), (dashboard_port, "--dashboard-port")):
        _check_free(port, option)
    commands = {
        "Optuna dashboard": (dashboard_port, _dashboard(dashboard_port)),
        "MLflow": (mlflow_port, _mlflow(artifacts, mlflow_port)),
    }
    # Addresses may hold passwords: everybody can read a command line, an environment only its owner.
    addresses = {"MLFLOW_BACKEND_STORE_URI": tracking_uri, STORAGE: study_url}
    if tracking_uri.startswith("http"):
        del commands["MLflow"]
        say(f"MLflow            {hide_password(tracking_uri)}")
    started: list[subprocess.Popen[bytes]] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)  # a shell's background jobs would ignore Ctrl-C
    try:
        for name, (port, command) in commands.items():
            started.append(_start(command, addresses))
            _wait_until_open(port, started[-1], name)
            say(f"{name:17} http://{HOST}:{port}")
        say("Ctrl-C stops both.")
        while all(process.poll() is None for process in started):
            time.sleep(0.3)
    except KeyboardInterrupt:
        say("Stopped.")
    finally:
        _stop(started)


def _mlflow(artifacts: Path, port: int) -> Sequence[str]:
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    return [*command, "--default-artifact-root", artifacts.as_uri()]


def _dashboard(port: int) -> Sequence[str]:
    return [sys.executable, "-m", "search.dashboard", HOST, str(port)]


def _start(command: Sequence[str], addresses: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a server in a process group of its own, so that Ctrl-C reaches it through us alone."""
    environment = {**SWITCHES, **os.environ, **addresses}
    quiet = subprocess.DEVNULL
    return subprocess.Popen(  # noqa: S603  -- our own commands
        command, env=environment, stdout=quiet, stderr=quiet, start_new_session=True
    )


def _check_free(port: int, option: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise StudyError(f"Port {port} is in use. Choose another with {option}.") from None


def _wait_until_open(port: int, process: subprocess.Popen[bytes], name: str) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        time.sleep(0.2)
    raise StudyError(f"{name} did not start on port {port}; `autoclf doctor` looks for the reason.")


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    for process in processes:
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
