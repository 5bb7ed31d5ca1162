"""What the engine asks of whatever runs jobs; it has never seen a process, a GPU or a node."""

import queue
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar

from trainer.orders import Order
from trainer.results import JobEvent

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Gone:
    """A worker has ended and its slot is free; after a last event that is as it should be."""

    code: int  # as `Process.exitcode` gives it: negative for the signal that killed it
    has_hung: bool = False  # it neither spoke nor computed for long, and was killed for that
    is_innocent: bool = False  # its machine is gone, which says nothing against the job


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a job."""

    job: int  # as it was started
    what: JobEvent | Gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A Ray cluster, and what a job gets of it."""

    address: str | None = None  # as `ray.init` takes it; None for one of this machine's own
    cpus_per_trial: float = 1.0
    gpus_per_trial: float = 0.0


def arrived(events: "queue.Queue[Item]", *, timeout_seconds: float) -> list[Item]:
    """Return all that is in a queue, waiting up to the time for the first of it."""
    found: list[Item] = []
    with suppress(queue.Empty):
        found.append(events.get(timeout=timeout_seconds))
        while True:
            found.append(events.get_nowait())
    return found


class Executor(Protocol):
    """Runs jobs somewhere and delivers what they report, in order per job, `Gone` last."""

    @property
    def num_slots(self) -> int:
        """Return how many jobs run at once."""
        ...

    @property
    def free_slots(self) -> int:
        """Return how many more jobs may be started now."""
        ...

    def start(self, job: int, order: Order) -> None:
        """Begin a job on a free slot; `job` is one of the caller's numbers that is not in use."""
        ...

    def events(self, *, timeout_seconds: float) -> Sequence[Event]:
        """Return what happened, waiting up to the time for something to happen."""
        ...

    def stop(self, job: int) -> None:
        """Ask a job to leave a checkpoint and end; a job that is gone already is no fault."""
        ...

    def close(self) -> None:
        """End every worker at once, without asking."""
        ...
