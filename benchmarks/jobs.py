"""Jobs as a search runs them, timed: what the benchmarks share."""

import contextlib
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import torch

from search.alone import run_alone
from search.executors.local import LocalExecutor
from search.plan import num_cores
from trainer.checkpoints import load_checkpoint
from trainer.config import JobConfig
from trainer.data import DataSet
from trainer.lengths import steps_in_epoch
from trainer.orders import MeasureOrder, TrainOrder
from trainer.results import JobEvent, Measured, Reached, Started, StepResult


def planned(config: JobConfig, data_set: DataSet) -> JobConfig:
    """Return the job as a search would run it on this machine."""
    order = MeasureOrder(
        configs=(config,), data_root=data_set.root, device="cpu", num_cores=num_cores(), threads=num_cores()
    )
    found = run_alone(LocalExecutor(1), order)
    assert isinstance(found, Measured), found
    (portion,) = found.micro_batches.values()
    runtime = replace(
        config.runtime,
        precision=found.precision,  # type: ignore[arg-type]
        channels_last=found.channels_last,
        micro_batch=portion,
    )
    return replace(config, runtime=runtime)


def our_rate(config: JobConfig, data_set: DataSet, steps: int) -> float:
    """Return the rate of training steps, augmentation included, of a job in a worker process."""
    return run_job(config, data_set, steps).images_per_second


@dataclass(frozen=True, slots=True)
class Run:
    """What a job of a few steps took."""

    images_per_second: float  # of training steps
    peak_mib: float  # of the worker's memory, but for files that it maps, such as the images


def run_job(config: JobConfig, data_set: DataSet, steps: int) -> Run:
    """Train for a few steps in a worker process, and watch its memory from here.

    The rate is that of the last stretch; of an only one, that of the steps after the first ones that were told, which
    also fill the memory.
    """
    until = steps / steps_in_epoch(config, data_set.num_train)
    peaks: list[int] = []
    told: list[StepResult] = []

    def watch(event: JobEvent) -> None:
        if isinstance(event, Started):
            threading.Thread(target=_watch_memory, args=(event.pid, peaks), daemon=True).start()
        if isinstance(event, StepResult):
            told.append(event)

    with tempfile.TemporaryDirectory() as place:
        order = TrainOrder(config=config, data_root=data_set.root, directory=Path(place), until=until)
        last = run_alone(LocalExecutor(1), order, watch)
        assert isinstance(last, Reached), last
        left = load_checkpoint(order.directory, fingerprint=config.fingerprint, device=torch.device("cpu"))
    assert left is not None
    rate = float(left["history"][-1]["images_per_second"])
    if until <= 1 and told:
        rate = _rate_after(told[0], until, rate)
    return Run(rate, max(peaks, default=0) / 2**20)


def _rate_after(first: StepResult, until: float, rate: float) -> float:
    """Return the rate from a first result to the end, out of those from the start to either; images are in epochs."""
    return (until - first.epoch) / (until / rate - first.epoch / first.images_per_second)


def _watch_memory(pid: int, peaks: list[int]) -> None:
    """Note the memory that a process has to itself, ten times a second, until it ends."""
    with contextlib.suppress(psutil.Error):
        while True:
            found = psutil.Process(pid).memory_info()
            peaks.append(found.rss - getattr(found, "shared", 0))  # "shared" is Linux's word; others count no files
            time.sleep(0.1)
