"""Stores with an empty study database, which takes long to make and so is copied, and a user's request."""

from pathlib import Path

import pytest
from search_samples import NAME, copy_database, open_study

from search.request import Request
from search.store import Store
from spaces import SearchSpace


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Store(tmp_path_factory.mktemp("template"))
    open_study(made, name="template").storage.engine.dispose()
    return made.root / "optuna.db"


@pytest.fixture
def stocked(store: Store, empty_database: Path) -> Store:
    """A store with an empty study database."""
    copy_database(empty_database, store)
    return store


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
