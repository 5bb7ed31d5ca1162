"""Where jobs run: processes on this machine."""

from search.executors.base import Event, Executor, Gone
from search.executors.local import LocalExecutor

__all__ = ["Event", "Executor", "Gone", "LocalExecutor"]
