"""Both pages come up on the loopback address, and go at Ctrl-C."""

import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.command import Desk, free_port, wait_until_gone

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.thorough)])
def test_ui_serves_both_pages_until_it_is_interrupted(desk: Desk, number: signal.Signals) -> None:
    assert desk.run("search", "--space", "tiny.yaml", "--trials", "2").returncode == 0
    ports = free_port(), free_port()
    words = desk.command("ui", "--mlflow-port", str(ports[0]), "--dashboard-port", str(ports[1]))
    with subprocess.Popen(words, cwd=desk.root, env=desk.environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(3)]

        pages = [urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30).status for port in ports]
        children = _children(process.pid)
        commands = [Path(f"/proc/{child}/cmdline").read_text() for child in children]
        process.send_signal(number)
        code = process.wait(30)

    assert any(f"http://127.0.0.1:{ports[0]}" in line for line in said)
    assert pages == [200, 200]
    assert code == 0
    assert children
    assert not any("sqlite" in command for command in commands), "an address may hold a password"
    assert all(wait_until_gone(child, seconds=10) for child in children)


def test_a_port_in_use_is_refused_by_name(desk: Desk) -> None:
    import socket

    desk.store.mkdir(exist_ok=True)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        done = desk.run("ui", "--mlflow-port", str(port))

    assert done.returncode == 2
    assert f"Port {port} is in use" in done.stderr
    assert "--mlflow-port" in done.stderr


def _children(pid: int) -> list[int]:
    """Return the processes below one."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        fields = path.read_text().rpartition(")")[2].split()
        if int(fields[1]) == pid:
            found.append(int(path.parent.name))
    return found
