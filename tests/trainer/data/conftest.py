"""Where the real data lies."""

import os
from pathlib import Path

import pytest

from tests.trainer.data.data_samples import ROOT


@pytest.fixture
def real_data() -> Path:
    folder = Path(os.environ.get("AUTOCLF_DATA_DIR", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"There is no real data in {folder}; AUTOCLF_DATA_DIR names another place.")
    return folder
