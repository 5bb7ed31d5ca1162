"""What a task of Ray reports of a machine that fails it."""

import errno
import json
import queue
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from search_samples import trial_at

from search.executors.ray_worker import EVENT, FILE, work
from trainer.jobfiles import CHECKPOINT
from trainer.orders import TrainOrder
from trainer.results import StepResult


@pytest.fixture
def depot(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a driver has to give, without Ray behind it: nothing."""
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(get=lambda answer: answer))
    return SimpleNamespace(files=SimpleNamespace(remote=lambda _folder: []))


def _order(tmp_path: Path) -> TrainOrder:
    return TrainOrder(config=trial_at(0, {}).config, directory=tmp_path / "job", data_root=tmp_path, until=1.0)


def test_a_full_disk_fails_the_trial_and_says_so(depot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("search.executors.ray_worker.fetch", fail)

    ((kind, _, content),) = work(_order(tmp_path), 0, "token", depot, 60.0)

    assert kind == EVENT
    told = json.loads(content)
    assert (told["kind"], told["reason"]) == ("Failed", "disk_full")
    assert "No space left on device" in told["message"]
    assert list(tmp_path.glob("autoclf-*/jobs/*")) == []


def test_a_driver_that_is_gone_says_nothing_against_the_trial(
    depot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ConnectionError("the driver is gone")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("search.executors.ray_worker.fetch", fail)

    with pytest.raises(ConnectionError):
        list(work(_order(tmp_path), 0, "token", depot, 60.0))


def test_a_checkpoint_goes_out_though_the_job_never_stops_to_tell_how_fast_it_is(
    depot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("search.executors.ray_worker.SECONDS_BETWEEN_LOOKS", 0.2)

    def begin(order: TrainOrder, _should_stop: object) -> Any:
        (order.directory / CHECKPOINT).write_bytes(b"of a long epoch")
        reports: queue.SimpleQueue[StepResult | None] = queue.SimpleQueue()

        def report() -> None:
            for step in range(20):
                reports.put(StepResult(epoch=step / 100, images_per_second=1.0))
                time.sleep(0.05)
            reports.put(None)

        threading.Thread(target=report, daemon=True).start()
        return reports

    monkeypatch.setattr("search.executors.ray_worker._begin", begin)

    sent = [(kind, name) for kind, name, _ in work(_order(tmp_path), 0, "token", depot, 60.0)]

    place = sent.index((FILE, CHECKPOINT))
    assert 2 < place < 15, "in the midst of an epoch"
    assert sent.count((FILE, CHECKPOINT)) == 1
