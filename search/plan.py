"""How this machine will train: made once for a study, by measurement, and kept with it."""

import math
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from search.alone import run_through
from search.crew import Crew
from search.errors import StudyError
from search.executors import Executor
from search.executors.opening import open_executor
from search.jobs import build_job, example_draws
from search.notices import Notice, Watch
from search.request import Request
from search.study import Study
from spaces import Value
from trainer.data import DataSet
from trainer.orders import MeasureOrder
from trainer.results import Failed, FeaturesMade, JobEvent, Measured

CLUSTER = "a cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The part of every job that the machine decides, and how many run at once."""

    device: str
    precision: str
    channels_last: bool
    micro_batches: Mapping[str, int]  # by model name
    images_per_second: Mapping[str, float]  # measured, by model name
    threads: int  # of one job
    workers: int
    place: str = ""  # whose workers these are: the machine's name, or CLUSTER
    processes: int = 1  # of one job, each with a GPU of its own

    def runtime(self, model: str) -> dict[str, Value]:
        """Return the settings below `runtime.` of a job with that model."""
        return {
            "runtime.device": self.device,
            "runtime.precision": self.precision,
            "runtime.channels_last": self.channels_last,
            "runtime.micro_batch": self.micro_batches[model],
            "runtime.threads": self.threads,
        }

    def shortest_training(self, *, images: int, epochs: float) -> float:
        """Return the seconds in which the fastest network goes through so many images so often; 0 if none was timed."""
        rates = [rate for rate in self.images_per_second.values() if rate > 0]
        return images * epochs / max(rates) if rates else 0.0

    def record(self) -> dict[str, Any]:
        """Return the plan as values that JSON can hold; `Plan(**record)` takes them back."""
        return asdict(self)


def plan_of(request: Request, study: Study, data: DataSet, crew: Crew, watch: Watch) -> Plan:
    """Return the plan of a study; it is measured where the study has none.

    Raises:
        StudyError: If a model of the space can't be trained here.
    """
    if request.cluster is None and request.workers and request.workers > num_cores():
        watch(Notice(kind="crowded", values={"workers": request.workers, "cores": num_cores()}))
    known = study.attributes.get("autoclf.plan")
    if known is None:
        known = _measured(request, study, data, crew, watch)
    plan = Plan(**known)
    if request.cluster is None and plan.place != place_of(request):
        plan = replace(plan, workers=workers_here(plan))
    needed = plan.shortest_training(images=data.num_train, epochs=request.space.budget.epochs)
    if request.timeout_seconds is not None and needed > request.timeout_seconds:
        watch(Notice(kind="short", values={"needed": needed, "limit": request.timeout_seconds}))
    return replace(plan, workers=request.workers or plan.workers)


def place_of(request: Request) -> str:
    """Return what names the workers of a request in a plan."""
    return socket.gethostname() if request.cluster is None else CLUSTER


def workers_here(plan: Plan) -> int:
    """Return how many jobs fill this machine, by a plan that was made elsewhere."""
    from trainer.devices import num_jobs  # which takes a second, and few need

    return num_jobs(plan.device, num_cores=num_cores(), threads=plan.threads, processes=plan.processes)


def _measured(request: Request, study: Study, data: DataSet, crew: Crew, watch: Watch) -> Mapping[str, Any]:
    """Measure this machine, and keep that with the study; another driver may have been quicker."""
    watch(Notice(kind="measuring"))
    executor = open_executor(request, num_slots=1)
    try:
        plan = make_plan(executor, request, watch, data_root=data.root, data=data.fingerprint)
    finally:
        executor.close()
    found = plan.record()
    watch(Notice(kind="measured", values=found))
    with crew.turn():
        known: Mapping[str, Any] | None = study.attributes.get("autoclf.plan")
        if known is not None:
            return known
        study.remember("autoclf.plan", found)
    return found


def make_plan(executor: Executor, request: Request, watch: Watch, *, data_root: Path, data: str) -> Plan:
    """Measure this machine on the models of the space.

    Raises:
        StudyError: If a model of the space can't be trained here.
    """
    space, cores = request.space, cores_of_jobs(request)
    order = MeasureOrder(
        configs=tuple(build_job(space, drawn, data=data, seed=0, runtime={}) for drawn in example_draws(space)),
        data_root=data_root,
        device=request.device,
        num_cores=cores,
        threads=_threads(request, cores),
        seconds=request.timeout_seconds,
    )

    def tell(event: JobEvent) -> None:
        if isinstance(event, FeaturesMade):
            watch(Notice(kind="features", values={"done": event.done, "total": event.total}))

    found = run_through(executor, order, tell)
    if not isinstance(found, Measured):
        message = found.message if isinstance(found, Failed) else "the process died"
        raise StudyError(f"This space can't be trained on this machine: {message}")
    workers = executor.num_slots if request.cluster else request.workers or found.workers
    processes = max(config.runtime.processes for config in order.configs)
    return Plan(**(asdict(found) | {"workers": workers, "place": place_of(request), "processes": processes}))


def cores_of_jobs(request: Request) -> int:
    """Return the cores that jobs share: those of this machine, or what one job gets of a cluster."""
    return num_cores() if request.cluster is None else max(1, math.floor(request.cluster.cpus_per_trial))


def _threads(request: Request, cores: int) -> int | None:
    """Return the threads of a job where they follow from what was asked for; None asks for the best."""
    if request.cluster is not None:
        return cores
    return max(1, cores // request.workers) if request.workers else None


def num_cores() -> int:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
