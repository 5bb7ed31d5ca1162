"""The benchmark of decisions, on a search that is small."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import scale


@pytest.mark.parametrize("scheduler", ["freeze-thaw", "promotion"])
def test_every_decision_of_a_search_is_counted(
    scheduler: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["scale", "--trials", "20", "--slots", "4", "--space", "digits", "--scheduler", scheduler]
    monkeypatch.setattr(sys, "argv", words)

    scale.main()

    found = re.fullmatch(
        r"(\d+) trials on 4 slots, mixed \+ (\S+): (\d+) decisions, ([\d.]+) ms in the median, .* MiB\n",
        capsys.readouterr().out,
    )
    assert found is not None
    assert found[1] == "20"
    assert found[2] == scheduler
    assert int(found[3]) >= 20, "each trial was begun by one"
    assert float(found[4]) > 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_decisions_among_many_trials_are_fast_and_memory_stays_small() -> None:
    words = [sys.executable, "-m", "benchmarks.scale", "--trials", "2000", "--slots", "256"]

    told = subprocess.run(words, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2]).stdout

    found = re.search(r"([\d.]+) ms at the 95th percentile, .* ([\d,]+) MiB", told)
    assert found is not None, told
    assert float(found[1]) < 50
    assert int(found[2].replace(",", "")) < 500
