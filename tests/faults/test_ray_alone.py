"""A cluster of Ray on one machine, which a search begins for itself."""

import subprocess
import sys

import pytest

pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SECONDS = 90.0


def test_a_cluster_of_this_machines_own_listens_to_nobody_else() -> None:
    script = """
import psutil
from search.executors.base import Cluster
from search.executors.ray_cluster import RayExecutor
RayExecutor(Cluster())
for process in psutil.Process().children(recursive=True):
    for connection in process.net_connections():
        if connection.status == psutil.CONN_LISTEN:
            print(process.name(), connection.laddr.ip)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=SECONDS)

    found = {line.rpartition(" ")[2] for line in done.stdout.splitlines()}
    assert found
    assert found <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}, done.stdout
