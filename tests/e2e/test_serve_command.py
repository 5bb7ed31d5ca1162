"""`autoclf serve` with a real registry: the alias moves while requests are under way."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from search.promotion.package import GRAPH
from search.store import Store
from tests.command import Desk, free_port
from tests.serving.server.running import Server, load, picture, started, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
MISTAKE = 2
NAME = "served"


@contextmanager
def serving(desk: Desk, model: str, *options: str) -> Iterator[Server]:
    command = [sys.executable, "-m", "autoclf", "serve", model, "--port", str(free_port()), *options]
    with started(command, desk.root, desk.environment) as server:
        yield server


def version(server: Server) -> str:
    return str(server.ask("GET", "/readyz").json["version"])


def test_f33_the_alias_moves_forth_and_back_without_a_failed_request(promoted: Desk) -> None:
    registry = MlflowClient(tracking_uri=Store(promoted.store).tracking_uri)
    assert promoted.run("promote", "tiny", "--name", NAME, "--trial", "0").returncode == 0
    with serving(promoted, NAME, "--workers", "1") as server:
        with load(server, clients=2, pause=0.02) as came:
            done = promoted.run("promote", "tiny", "--name", NAME, "--trial", "1", "--force", "--why", "a change")
            assert done.returncode == 0, done.stderr
            until(lambda: version(server) == "2")
            assert (
                promoted.run("promote", "tiny", "--name", NAME, "--trial", "2", "--force", "--why", "x").returncode == 0
            )
            until(lambda: version(server) == "3")
            source = registry.get_model_version(NAME, "1").source
            (folder,) = (p.parent for p in promoted.store.rglob("MLmodel") if source.rpartition("/")[2] in p.parts)
            (folder / GRAPH).write_bytes(b"x")
            registry.set_registered_model_alias(NAME, "champion", "1")
            until(lambda: "Version 1 is refused, and version 3 goes on" in server.log.read_text())
            registry.set_registered_model_alias(NAME, "champion", "3")
            assert promoted.run("rollback", NAME).returncode == 0
            until(lambda: version(server) == "2")
        assert {status for status, _ in came} == {200}  # type: ignore[misc]
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(15) == 0


def test_it_serves_on_when_the_alias_is_gone(promoted: Desk) -> None:
    assert promoted.run("promote", "tiny", "--name", "orphan").returncode == 0
    with serving(promoted, "orphan@champion", "--workers", "1") as server:
        MlflowClient(tracking_uri=Store(promoted.store).tracking_uri).delete_registered_model_alias(
            "orphan", "champion"
        )
        until(lambda: "can't be looked up" in server.log.read_text())

        assert server.predict(picture(0)).status == 200


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nobody",), "There is no model 'nobody'"),
        (("tiny@nobody",), "'tiny' has the aliases champion"),
        (("tiny:1",), "is a trial, which has no package yet"),
        (("tiny", "--token-file", "nothing"), "The token can't be read from 'nothing'"),
        (("tiny", "--token-file", "short"), "is no token"),
        (("tiny", "--host", "no.such.host.invalid"), "is no address of this machine"),
        (("tiny", "--max-body", "huge"), "is no size"),
    ],
)
def test_mistakes_are_told_without_a_traceback(promoted: Desk, arguments: tuple[str, ...], told: str) -> None:
    (promoted.root / "short").write_text("secret\n")

    done = promoted.run("serve", *arguments)

    assert done.returncode == MISTAKE
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_told(promoted: Desk) -> None:
    with serving(promoted, "tiny@v1") as server:
        done = promoted.run("serve", "tiny", "--port", str(server.port))

    assert done.returncode == MISTAKE
    assert f"Port {server.port} of '127.0.0.1' can't be had" in done.stderr


def test_whoever_may_reach_it_is_said(promoted: Desk) -> None:
    with serving(promoted, "tiny@v1", "--host", "0.0.0.0", "--workers", "1") as server:
        assert server.predict(picture(0)).status == 200
        assert "--token-file lets only those who have a token" in server.log.read_text()


def test_a_store_in_another_place_is_used(promoted: Desk, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "autoclf", "serve", "tiny", "--port", "0", "--store", str(promoted.store)]
    with started(command, tmp_path, promoted.environment) as server:
        assert server.ask("GET", "/model").json["num_classes"] == 10
        os.kill(server.process.pid, signal.SIGINT)
        assert server.process.wait(15) == 0
