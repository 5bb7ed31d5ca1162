"""Fixtures: directories in which the real command runs."""

from pathlib import Path

import pytest

from search.tracking.environment import set_switches
from tests.command import SLOWER, Desk, make_desk


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tracking database with its tables made: that takes six seconds, a copy none."""
    set_switches()
    from search.tracking.mlflow_runs import open_client

    root = tmp_path_factory.mktemp("template")
    path = root / "mlflow.db"
    client = open_client(f"sqlite:///{path}", lock=root / "lock")
    client.search_experiments()
    return path


@pytest.fixture
def desk(tmp_path: Path, template: Path) -> Desk:
    """A directory with a tiny space and an empty store."""
    return make_desk(tmp_path, template=template)


@pytest.fixture
def slow_desk(tmp_path: Path, template: Path) -> Desk:
    """A directory with a space whose jobs take seconds: long enough to be killed."""
    return make_desk(tmp_path, template=template, space=SLOWER)


@pytest.fixture(scope="session")
def promoted(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Desk:
    """A desk with a model `tiny@champion`; tests that change it use names of their own."""
    found = make_desk(tmp_path_factory.mktemp("promoted"), template=template)
    for command in (
        ("search", "--space", "tiny.yaml", "--trials", "3", "--no-race", "--scheduler", "none"),
        ("promote", "tiny"),
    ):
        done = found.run(*command)
        assert done.returncode == 0, done.stderr
    return found
