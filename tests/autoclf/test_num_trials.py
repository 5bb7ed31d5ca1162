"""How many trials a search may have in a space of few configurations."""

from pathlib import Path

import pytest

from autoclf.commands.searching import _num_trials
from spaces import parse_space

FEW = "data: digits\nbudget: {rungs: [1]}\nparameters: {training: {batch_size: {choice: [32, 64, 128]}}}"


@pytest.mark.parametrize(("sampler", "wanted", "num"), [("gp", 20, 3), ("gp", 2, 2), ("random", 20, 20)])
def test_a_sampler_that_draws_nothing_twice_needs_no_more_trials_than_configurations(
    sampler: str, wanted: int, num: int
) -> None:
    assert _num_trials(parse_space(FEW, file=Path("few.yaml")), wanted, sampler) == num
