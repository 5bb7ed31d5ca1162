"""Jobs in real processes: one after the other in the same one, and those that hang, fail or are stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from search.alone import run_alone
from search.executors import Event, Gone
from search.executors.local import LocalExecutor
from search.executors.silence import Silence
from trainer.config import JobConfig, Value, job_config
from trainer.data import DataSet, prepare
from trainer.jobfiles import PREDICTIONS
from trainer.orders import TrainOrder
from trainer.results import EpochResult, Failed, JobEvent, Reached, Started, Stopped


def order_on_a_disk_that_is_gone(place: Path) -> TrainOrder:
    """An order whose data never come: opening a pipe that nobody writes to waits for ever."""
    (place / "data").mkdir()
    os.mkfifo(place / "data" / "meta.json")
    return TrainOrder(config=JobConfig(), data_root=place / "data", directory=place / "job", until=1.0)


def wait_for_events(executor: LocalExecutor, *, seconds: float) -> list[Event]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := executor.events(timeout_seconds=0.1):
            return list(found)
    return []


@pytest.mark.slow
def test_a_worker_that_hangs_is_killed_and_its_slot_is_free(tmp_path: Path) -> None:
    executor = LocalExecutor(1, patience_seconds=2.0)
    executor.start(3, order_on_a_disk_that_is_gone(tmp_path))

    found = wait_for_events(executor, seconds=60)

    assert found == [Event(3, Gone(-signal.SIGKILL, has_hung=True))]
    assert executor.free_slots == 1


def test_a_process_that_computes_is_not_silent() -> None:
    silence = Silence(os.getpid())
    silence.broken()
    until = time.process_time() + 0.7
    while time.process_time() < until:
        pass

    assert silence.seconds() < 0.1


def test_a_process_that_waits_is_silent_until_it_speaks() -> None:
    silence = Silence(os.getpid())
    silence.broken()
    time.sleep(0.3)

    assert 0.3 <= silence.seconds() < 5
    silence.broken()
    assert silence.seconds() < 0.2


def test_the_little_that_sleeping_threads_do_does_not_add_up_to_work() -> None:
    """As Ray's: 0.5 % of a processor, ten minutes long."""
    clock, used = 0.0, 0.0
    silence = Silence(os.getpid())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("search.executors.silence.time.monotonic", lambda: clock)
        patch.setattr(Silence, "_work_so_far", lambda _: used)
        silence.broken()
        for _ in range(120):
            clock, used = clock + 5.0, used + 0.025
            found = silence.seconds()
        used += 0.2
        assert silence.seconds() == 0.0

    assert found == 600.0


def test_a_process_that_is_stopped_is_not_silent() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as sleeper:
        silence = Silence(sleeper.pid)
        sleeper.send_signal(signal.SIGSTOP)
        os.waitpid(sleeper.pid, os.WUNTRACED)
        time.sleep(0.3)
        seconds = silence.seconds()
        sleeper.kill()

    assert seconds < 0.2


SMALL: dict[str, Value] = {"runtime.threads": 1, "runtime.precision": "float32", "training.epochs": 2.0}
OTHER: dict[str, Value] = SMALL | {"model": "cnn", "optimizer": "adamw", "augment.mixup": 0.4, "training.ema": 0.9}


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    place = tmp_path_factory.mktemp("digits")
    return prepare("digits", cache=place, data_dir=place, val_fraction=0.2, seed=0)


@pytest.fixture
def executor() -> Iterator[LocalExecutor]:
    made = LocalExecutor(1)
    yield made
    made.close()


def order_of(digits: DataSet, directory: Path, settings: dict[str, Value]) -> TrainOrder:
    config = replace(job_config(settings), data=digits.fingerprint)
    return TrainOrder(config=config, data_root=digits.root, directory=directory, until=2.0)


def carried_out(executor: LocalExecutor, order: TrainOrder) -> list[JobEvent]:
    found: list[JobEvent] = []
    run_alone(executor, order, found.append)
    return found


def pid_of(found: list[JobEvent]) -> int:
    (started,) = (event for event in found if isinstance(event, Started))
    return started.pid


def timeless(found: list[JobEvent]) -> list[EpochResult]:
    return [
        replace(event, images_per_second=0.0, epoch_seconds=0.0, eval_seconds=0.0, finished_at=0.0)
        for event in found
        if isinstance(event, EpochResult)
    ]


def logits_in(directory: Path) -> NDArray[np.float32]:
    with np.load(directory / PREDICTIONS) as file:
        found: NDArray[np.float32] = file["logits"]
        return found


def test_a_process_takes_one_job_after_the_other_and_each_comes_out_as_in_a_process_of_its_own(
    digits: DataSet, executor: LocalExecutor, tmp_path: Path
) -> None:
    first = carried_out(executor, order_of(digits, tmp_path / "first", OTHER))
    second = carried_out(executor, order_of(digits, tmp_path / "second", SMALL))
    fresh = LocalExecutor(1)
    alone = carried_out(fresh, order_of(digits, tmp_path / "alone", SMALL))
    fresh.close()

    assert isinstance(second[-1], Reached)
    assert pid_of(first) == pid_of(second) != pid_of(alone)
    assert timeless(second) == timeless(alone)
    assert np.array_equal(logits_in(tmp_path / "second"), logits_in(tmp_path / "alone"))


def test_after_a_failure_another_process_takes_the_next_job(
    digits: DataSet, executor: LocalExecutor, tmp_path: Path
) -> None:
    first = carried_out(executor, order_of(digits, tmp_path / "first", SMALL))
    (tmp_path / "second").write_text("a file where a directory should be")
    failed = carried_out(executor, order_of(digits, tmp_path / "second", SMALL))
    third = carried_out(executor, order_of(digits, tmp_path / "third", SMALL))

    assert isinstance(failed[-1], Failed)
    assert isinstance(third[-1], Reached)
    assert pid_of(third) != pid_of(first)


def test_a_process_that_dies_between_two_jobs_harms_neither(
    digits: DataSet, executor: LocalExecutor, tmp_path: Path
) -> None:
    first = carried_out(executor, order_of(digits, tmp_path / "first", SMALL))
    os.kill(pid_of(first), signal.SIGKILL)
    assert wait_for_events(executor, seconds=1) == []
    second = carried_out(executor, order_of(digits, tmp_path / "second", SMALL))

    assert isinstance(second[-1], Reached)
    assert executor.free_slots == 1


def test_a_wish_to_stop_concerns_one_job_alone(digits: DataSet, executor: LocalExecutor, tmp_path: Path) -> None:
    long = replace(order_of(digits, tmp_path / "long", SMALL | {"training.epochs": 1000.0}), until=1000.0)
    last = run_alone(executor, long, should_stop=lambda: True)
    executor.stop(3)  # which there is not
    after = carried_out(executor, order_of(digits, tmp_path / "after", SMALL))

    assert isinstance(last, Stopped)
    assert isinstance(after[-1], Reached)


def test_a_process_that_waits_for_a_job_does_not_hang(digits: DataSet, tmp_path: Path) -> None:
    executor = LocalExecutor(1, patience_seconds=2.0)  # more than a job at work is silent for
    first = carried_out(executor, order_of(digits, tmp_path / "first", SMALL))
    time.sleep(3.0)
    second = carried_out(executor, order_of(digits, tmp_path / "second", SMALL))
    executor.close()

    assert pid_of(first) == pid_of(second)


def work_twice(pipe: Connection) -> None:
    """What a process of the next test does, which imports this module."""
    from search.executors import worker

    worker.MOST_ORDERS = 2
    worker.work(pipe)


def test_a_process_takes_so_many_jobs_and_no_more(
    digits: DataSet, executor: LocalExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.executors.local._work", work_twice)
    found = [carried_out(executor, order_of(digits, tmp_path / str(number), SMALL)) for number in range(4)]

    first, second, third, fourth = map(pid_of, found)
    assert first == second != third == fourth
    assert all(isinstance(events[-1], Reached) for events in found)
