"""How many trials a search may have in a space of few configurations."""

from pathlib import Path

import pytest

from autoclf.commands.searching import _num_trials
from spaces import parse_space

FEW = "data: digits\nbudget: {rungs: [1]}\nparameters: {training: {batch_size: {choice: [32, 64, 128]}}}"


@pytest.mark.parametrize(("wanted", "num"), [(20, 3), (2, 2)])
def test_there_are_no_more_trials_than_configurations(wanted: int, num: int) -> None:
    assert _num_trials(parse_space(FEW, file=Path("few.yaml")), wanted) == num
