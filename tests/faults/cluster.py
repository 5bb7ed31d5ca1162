"""A Ray cluster of several nodes on this machine, which can be lost one by one."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"  # as in a search, and before Ray is imported
NODE = {
    "num_cpus": 1,
    "num_gpus": 1,
    "object_store_memory": 80_000_000,
}  # the GPU is a fake one


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A cluster of three nodes; the driver's, the first, has no room for jobs."""
    import ray
    from ray.cluster_utils import Cluster as Nodes

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))  # of the workers
    monkeypatch.setenv("RAY_worker_niceness", "0")  # or they get next to nothing where other tests run beside them
    head = {"num_cpus": 0, "object_store_memory": 80_000_000, "include_dashboard": False}
    found = Nodes(initialize_head=True, head_node_args=head)
    for _ in range(2):
        found.add_node(wait=True, **NODE)
    yield found
    ray.shutdown()
    found.shutdown()


def pids(node: Any) -> set[int]:
    """Return the processes of a node."""
    (raylet,) = node.all_processes["raylet"]
    return {child.pid for child in psutil.Process(raylet.process.pid).children(recursive=True)}
