"""Stores with an empty study database, which takes long to make: it is made once and copied."""

from pathlib import Path

import pytest
from search_samples import copy_database, open_study

from search.store import Store


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
