from collections.abc import Iterator

import optuna
import pytest


@pytest.fixture(autouse=True)
def as_loud_as_before() -> Iterator[None]:
    """Benchmarks tell Optuna how loud to be; other tests of this process want it as it was."""
    verbosity = optuna.logging.get_verbosity()
    yield
    optuna.logging.set_verbosity(verbosity)
