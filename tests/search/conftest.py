"""Stores with study databases, which take long to make: they are shared or copied; and a user's request."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from optuna.storages import RDBStorage
from search_samples import NAME, Ground, Scene, Stage, open_study

from search.request import Request
from search.storage import open_storage
from search.store import Store
from spaces import SearchSpace
from tests.desks import template
from tests.postgres import Server, postgres

__all__ = ["template"]


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> RDBStorage:
    """A study database that many tests share, each with a study of its own."""
    return open_storage(f"sqlite:///{tmp_path_factory.mktemp('database')}/optuna.db")


@pytest.fixture
def ground(store: Store, database: RDBStorage) -> Ground:
    return Ground(store, database)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database to copy: to make its tables takes long."""
    made = Store(tmp_path_factory.mktemp("template"))
    open_study(made, name="template").storage.engine.dispose()
    return made.root / "optuna.db"


@pytest.fixture
def stocked(store: Store, empty_database: Path) -> Store:
    """A store with a database of its own."""
    shutil.copy(empty_database, store.root / "optuna.db")
    return store


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server that many tests share."""
    with postgres() as found:
        yield found


@pytest.fixture
def engine(server: Server) -> Iterator[sa.Engine]:
    """The engine of its study database."""
    found = open_storage(server.url()).engine
    yield found
    found.dispose()


@pytest.fixture
def asked(small_space: SearchSpace, tmp_path: Path) -> Request:
    """A search of the small space, as a user asks for it."""
    return Request(
        space=small_space,
        space_text="budget: ...",
        study=NAME,
        source="digits",
        max_trials=4,
        timeout_seconds=None,
        store=tmp_path,
        storage=None,
        tracking_uri=None,
        workers=None,
        device="auto",
        seed=5,
        data_dir=tmp_path,
        cache=tmp_path,
    )


@pytest.fixture
def stage(ground: Ground, small_space: SearchSpace) -> Stage:
    """A scene in a store of its own."""

    def make(**options: object) -> Scene:
        return Scene(ground=ground, **{"space": small_space, **options})  # type: ignore[arg-type]

    return make
