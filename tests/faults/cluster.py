"""A Ray cluster of several nodes on this machine, which can be lost one by one, and jobs for it."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from search.executors import Cluster, Event
from trainer.config import JobConfig, job_config
from trainer.data import DataSet, prepare
from trainer.orders import TrainOrder

os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"  # as in a search, and before Ray is imported
NODE = {
    "num_cpus": 1,
    "num_gpus": 1,
    "object_store_memory": 80_000_000,
}  # the GPU is a fake one
SECONDS = 90.0
LONG = 400.0  # epochs of the digits: a minute or more


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


@pytest.fixture
def connect(nodes: Any) -> "Iterator[Callable[..., Any]]":
    made: list[Any] = []

    def make(**options: float) -> Any:
        from search.executors.ray_cluster import RayExecutor

        made.append(RayExecutor(Cluster(address=nodes.address, **options)))
        return made[-1]

    yield make
    for executor in made:
        executor.close()
        until = time.monotonic() + SECONDS
        while executor.free_slots < executor.num_slots and time.monotonic() < until:
            executor.events(timeout_seconds=0.1)


@pytest.fixture
def digits(tmp_path: Path) -> DataSet:
    return prepare(
        "digits", cache=tmp_path / "cache", data_dir=tmp_path, val_fraction=0.2, test_fraction=0.2, seed=0,
        image_size=None,
    )  # fmt: skip


def job(data: DataSet, epochs: float = 4.0) -> JobConfig:
    return job_config(
        {
            "data": data.fingerprint,
            "model": "lenet5",
            "optimizer": "adamw",
            "optimizer.lr": 0.001,
            "training.epochs": epochs,
            "training.batch_size": 64,
            "runtime.micro_batch": 64,
            "runtime.precision": "float32",
        }
    )


def order(data: DataSet, directory: Path, *, until: float = 2.0, epochs: float = 4.0) -> TrainOrder:
    return TrainOrder(config=job(data, epochs), data_root=data.root, directory=directory, until=until)


def wait_for(executor: Any, kind: type, heard: list[Event], *, number: int | None = None) -> Any:
    """Take events until there is one of a kind; return what it is."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        heard += executor.events(timeout_seconds=0.2)
        for event in heard:
            if isinstance(event.what, kind) and number in (None, event.job):
                return event.what
    raise AssertionError(f"no {kind.__name__} in {heard}")
