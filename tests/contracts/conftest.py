"""Small images, prepared once, and one thread."""

import pytest
import torch

from tests.trainer.short_jobs import Splits, open_splits, prepare_stripes


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Use one thread of the processor: tests that run side by side would wait for each other's."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Splits:
    return open_splits(prepare_stripes(tmp_path_factory.mktemp("data")))
