"""F33 to F35: the model is changed, stopped and lost while requests are under way."""

import os
import re
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import gettempdir

import pytest

from search.promotion.package import GRAPH
from serving.server.pointer import InService, point_at
from tests.command import is_alive, wait_until_gone
from tests.serving.packages import make_package
from tests.serving.server.running import Server, load, picture, serving, until

DARK = picture(0)
SLOW, STUCK = 9, 7  # first numbers of images that take half a second, and for ever
LOOPS = {SLOW: 1_500_000, STUCK: 1 << 50}
ANSWER_SECONDS = 1.0


def pointer_of(server: Server) -> Path:
    """Return the file that says what is in service."""
    (place,) = Path(gettempdir()).glob(f"autoclf-serve-*/in-service-{server.process.pid}.json")
    return place


def test_f33_a_new_model_takes_over_without_a_failed_request_and_a_bad_one_is_refused(tmp_path: Path) -> None:
    first = make_package(tmp_path / "first")
    second = make_package(tmp_path / "second", class_names=("night", "day", "dusk"), weights=(-6.0, 6.0, 0.0))
    bad = make_package(tmp_path / "bad")
    (bad / GRAPH).write_bytes((bad / GRAPH).read_bytes()[:-5])
    with serving(first, tmp_path, num_workers=2) as server:
        pointer = pointer_of(server)
        with load(server) as came:
            until(lambda: len(came) > 50)
            point_at(pointer, InService(str(bad), "pets@champion", "2"))
            until(lambda: server.log.read_text().count("stays in service") == 2)
            point_at(pointer, InService(str(second), "pets@champion", "3"))
            until(lambda: came[-50:].count((200, "night")) == 50)
        assert set(came) == {(200, "dark"), (200, "night")}
        until(lambda: server.ask("GET", "/model").json["version"] == "3")
        figures = server.ask("GET", "/metrics").content.decode()
        assert "autoclf_models_refused_total 2.0" in figures
        assert 'autoclf_model{model="pets@champion",version="3"} 1.0' in figures


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_f34_a_stop_under_load_answers_what_is_under_way(tmp_path: Path, number: int) -> None:
    with serving(make_package(tmp_path / "package", slow=LOOPS), tmp_path) as server:
        workers = [worker.pid for worker in server.workers()]
        with ThreadPoolExecutor(3) as pool:
            under_way = [pool.submit(server.predict, picture(0, first=SLOW)) for _ in range(3)]
            time.sleep(0.3)
            began = time.monotonic()
            server.process.send_signal(number)
            assert [reply.result().status for reply in under_way] == [200, 200, 200]
        assert server.process.wait(15) == 0
        assert time.monotonic() - began < 10
        assert not any(is_alive(pid) for pid in workers)
        with pytest.raises(OSError, match="refused"):
            server.predict(DARK)
        assert not list(Path(gettempdir()).glob(f"autoclf-serve-*/in-service-{server.process.pid}.json"))


def test_f35_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    with serving(make_package(tmp_path / "package"), tmp_path, num_workers=2) as server:
        (victim, other) = server.workers()
        os.kill(victim.pid, signal.SIGKILL)

        until(lambda: len(server.workers()) == 2 and victim.pid not in {w.pid for w in server.workers()})
        server.wait_until_ready()
        assert other.pid in {worker.pid for worker in server.workers()}
        assert server.predict(DARK).status == 200


def test_f35_a_model_that_hangs_is_told_and_its_worker_replaced(tmp_path: Path) -> None:
    package = make_package(tmp_path / "package", slow=LOOPS)
    with serving(package, tmp_path, answer_seconds=ANSWER_SECONDS) as server:
        (worker,) = server.workers()
        stuck = server.predict(picture(0, first=STUCK))
        ready, alive = server.ask("GET", "/readyz"), server.ask("GET", "/healthz")

        assert (stuck.status, stuck.code) == (504, "slow_model")
        assert (ready.status, ready.json["status"]) == (503, "stuck")
        assert alive.status == 200
        assert wait_until_gone(worker.pid, seconds=10)
        server.wait_until_ready()
        assert server.predict(DARK).status == 200
        assert "this worker is replaced" in server.log.read_text()


def test_f35_a_full_queue_is_told_with_when_to_come_again(tmp_path: Path) -> None:
    package = make_package(tmp_path / "package", slow=LOOPS)
    with serving(package, tmp_path, capacity=4, largest_batch=1) as server, ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(server.predict, picture(0, first=SLOW)) for _ in range(12)]
        until(lambda: server.ask("GET", "/readyz").status == 503)
        alive = server.ask("GET", "/healthz")
        replies = [each.result() for each in asked]

    statuses = Counter(reply.status for reply in replies)
    assert alive.status == 200
    assert statuses.keys() == {200, 503}
    assert statuses[200] >= 4
    assert all(int(reply.headers["retry-after"]) >= 1 for reply in replies if reply.status == 503)
    assert {reply.code for reply in replies if reply.status == 503} == {"queue_full"}


def test_a_server_that_is_killed_leaves_no_workers(tmp_path: Path) -> None:
    with serving(make_package(tmp_path / "package"), tmp_path, num_workers=2) as server:
        workers = [worker.pid for worker in server.workers()]
        server.process.kill()

        assert all(wait_until_gone(pid, seconds=10) for pid in workers)


def test_a_model_that_is_not_sound_is_not_served(tmp_path: Path) -> None:
    package = make_package(tmp_path / "package")
    (package / GRAPH).write_bytes(b"x")

    with pytest.raises(AssertionError, match="is not what it was"), serving(package, tmp_path):
        pass


def test_87_a_token_is_asked_for_what_is_not_open(tmp_path: Path) -> None:
    token = "s3cret-and-long-enough"
    with serving(make_package(tmp_path / "package"), tmp_path, token=token) as server:
        for given in (None, "Bearer wrong", "Bearer ", f"Basic {token}", f"Bearer {token}x", "Bearer " + "x" * 9000):
            headers = {} if given is None else {"Authorization": given}
            reply = server.predict(DARK, headers=headers)
            assert (reply.status, reply.code) == (401, "unauthorized")
            assert reply.headers["www-authenticate"] == "Bearer"
        assert server.ask("GET", "/metrics").status == 401
        assert server.predict(DARK, headers={"Authorization": f"Bearer {token}"}).status == 200
        assert server.ask("GET", "/metrics", headers={"Authorization": f"bearer {token}"}).status == 200
        assert [server.ask("GET", path).status for path in ("/", "/healthz", "/readyz", "/model")] == [200] * 4
        assert not re.search(token, server.log.read_text())
