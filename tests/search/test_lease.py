"""One driver a study, whatever became of the one before."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from search_samples import Ground, open_study

from search.errors import StudyError
from search.lease import ATTRIBUTE, GRACE_SECONDS, Lease
from search.store import Store
from search.study import Study

HOUR = 3600.0
HOLD = """
import sys, time
from pathlib import Path
from search.lease import Lease
from search.storage import open_storage
from search.store import Store
from search.study import create_study
store = Store(Path(sys.argv[1]))
with Lease(create_study(open_storage(store.study_url), "study", "val/accuracy"), store.root):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def study(ground: Ground) -> Study:
    return ground.study()


def _lease(study: Study, store: Store) -> Lease:
    return Lease(study, store.root, watched_seconds=0.3)


def _beat(host: str, *, seconds_ago: float) -> dict[str, object]:
    return {"id": "other", "host": host, "pid": 77, "beat": time.time() - seconds_ago}


@contextmanager
def _holder(store: Store, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lease."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(store.root)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_while_a_study_is_driven_the_database_says_by_whom(study: Study, store: Store) -> None:
    with _lease(study, store):
        driver = study.attributes[ATTRIBUTE]

    assert (driver["host"], driver["pid"]) == (socket.gethostname(), os.getpid())
    assert abs(driver["beat"] - time.time()) < 60


def test_after_the_block_nobody_drives(study: Study, store: Store) -> None:
    with _lease(study, store):
        pass

    assert study.attributes[ATTRIBUTE] is None
    assert not [thread for thread in threading.enumerate() if thread.name == "lease"]


def test_a_second_driver_in_the_same_process_is_refused(study: Study, store: Store) -> None:
    with _lease(study, store), pytest.raises(StudyError, match="is being searched by another process"):
        _lease(study, store).__enter__()


def test_a_refused_driver_leaves_the_lease_with_its_holder(study: Study, store: Store) -> None:
    with _lease(study, store):
        holder = study.attributes[ATTRIBUTE]
        for _ in range(2):
            with pytest.raises(StudyError, match="another process on this machine"):
                _lease(study, store).__enter__()

        assert study.attributes[ATTRIBUTE]["id"] == holder["id"]


def test_a_lease_can_be_taken_again_after_it_ended(study: Study, store: Store) -> None:
    for _ in range(2):
        with _lease(study, store):
            pass


def test_a_search_that_fails_gives_its_lease_back(study: Study, store: Store) -> None:
    with pytest.raises(RuntimeError, match="boom"), _lease(study, store):
        raise RuntimeError("boom")

    with _lease(study, store):
        pass


def test_another_process_keeps_a_study_until_it_is_killed(stocked: Store, python_environment: dict[str, str]) -> None:
    study = open_study(stocked)
    with _holder(stocked, python_environment) as process:
        with pytest.raises(StudyError, match="is being searched by another process on this machine"):
            _lease(study, stocked).__enter__()

        process.send_signal(signal.SIGKILL)
        process.wait()

        with _lease(study, stocked):
            assert study.attributes[ATTRIBUTE]["pid"] == os.getpid()


def test_a_driver_on_another_machine_that_still_beats_is_respected(study: Study, store: Store) -> None:
    study.remember(ATTRIBUTE, _beat("elsewhere", seconds_ago=GRACE_SECONDS - 20))

    with pytest.raises(StudyError, match=r"is being searched on elsewhere \(process 77\)\. .*try again in 90 s"):
        _lease(study, store).__enter__()


def test_after_that_refusal_the_lock_of_this_machine_is_free(study: Study, store: Store) -> None:
    study.remember(ATTRIBUTE, _beat("elsewhere", seconds_ago=0))
    with pytest.raises(StudyError, match="elsewhere"):
        _lease(study, store).__enter__()

    study.remember(ATTRIBUTE, None)

    with _lease(study, store):
        pass


@pytest.mark.parametrize(
    ("host", "seconds_ago"),
    [("elsewhere", GRACE_SECONDS + 1), ("elsewhere", -HOUR), (socket.gethostname(), 0.0)],
    ids=["silent elsewhere", "silent where it is an hour later", "dead here"],
)
def test_a_driver_that_is_dead_is_followed(study: Study, store: Store, host: str, seconds_ago: float) -> None:
    study.remember(ATTRIBUTE, _beat(host, seconds_ago=seconds_ago))

    with _lease(study, store):
        assert study.attributes[ATTRIBUTE]["id"] != "other"


@pytest.mark.parametrize("seconds_ago", [HOUR, -HOUR], ids=["an hour earlier", "an hour later"])
def test_f8_a_driver_whose_clock_is_wrong_is_known_to_live_by_its_beats(
    study: Study, store: Store, seconds_ago: float
) -> None:
    study.remember(ATTRIBUTE, _beat("elsewhere", seconds_ago=seconds_ago))
    later = threading.Timer(0.1, study.remember, (ATTRIBUTE, _beat("elsewhere", seconds_ago=seconds_ago - 10)))
    later.start()

    with pytest.raises(StudyError, match="is being searched on elsewhere"):
        _lease(study, store).__enter__()
    later.join()


def test_the_heart_goes_on_beating(study: Study, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.lease.BEAT_SECONDS", 0.02)

    with _lease(study, store):
        first = study.attributes[ATTRIBUTE]["beat"]
        until = time.monotonic() + 10
        while study.attributes[ATTRIBUTE]["beat"] == first and time.monotonic() < until:
            time.sleep(0.02)

        assert study.attributes[ATTRIBUTE]["beat"] > first


def test_a_driver_that_was_followed_while_it_slept_does_not_take_the_study_back(
    study: Study, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.lease.BEAT_SECONDS", 0.05)

    with _lease(study, store):
        study.remember(ATTRIBUTE, _beat("elsewhere", seconds_ago=0))
        time.sleep(0.5)

        assert study.attributes[ATTRIBUTE]["id"] == "other"
