import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.trainer.short_jobs import ROOT

PASS_TWO_POINTS = "from trainer.crashpoints import crash_point as c; c('one'); print('past'); c('two')"


def passing(wanted: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"PYTHONPATH": str(ROOT), "AUTOCLF_CRASH_AT": wanted}
    return subprocess.run(
        [sys.executable, "-c", PASS_TWO_POINTS], env=environment, capture_output=True, text=True, check=False
    )


def test_a_process_dies_at_the_point_that_is_wanted_and_only_once(tmp_path: Path) -> None:
    marker = tmp_path / "died"

    first, second = passing(f"two:{marker}"), passing(f"two:{marker}")

    assert (first.returncode, second.returncode) == (-signal.SIGKILL, 0)
    assert second.stdout == "past\n"
    assert marker.exists()


def test_a_process_passes_points_that_nobody_wants(tmp_path: Path) -> None:
    assert passing(f"three:{tmp_path / 'died'}").returncode == 0
    assert passing("").returncode == 0
    assert list(tmp_path.iterdir()) == []
