"""Where jobs run: processes on this machine, or tasks on a Ray cluster."""

from search.executors.base import Cluster, Event, Executor, Gone
from search.executors.local import LocalExecutor

__all__ = ["Cluster", "Event", "Executor", "Gone", "LocalExecutor"]
