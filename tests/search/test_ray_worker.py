"""What a task of Ray reports of a machine that fails it."""

import errno
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from search_samples import trial_at

from search.executors.ray_worker import EVENT, work
from trainer.orders import TrainOrder


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
