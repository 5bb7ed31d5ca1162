"""Jobs in real processes that hang or are stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from search.executors import Event, Gone
from search.executors.local import LocalExecutor
from search.executors.silence import Silence
from trainer.config import JobConfig
from trainer.orders import TrainOrder


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


def test_a_process_that_is_stopped_is_not_silent() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as sleeper:
        silence = Silence(sleeper.pid)
        sleeper.send_signal(signal.SIGSTOP)
        os.waitpid(sleeper.pid, os.WUNTRACED)
        time.sleep(0.3)
        seconds = silence.seconds()
        sleeper.kill()

    assert seconds < 0.2
