"""What the model's sampler draws of a space with few configurations, or with its best at the end of a range."""

from collections import Counter
from pathlib import Path

import pytest
from search_samples import trials_of

from search.executors.scripted import Script, curve
from spaces import parse_space
from trainer.config import JobConfig

TEXT = """
name: few
data: digits
objective: val/accuracy
budget: {rungs: [1, 3, 9]}
parameters:
  optimizer: {choice: {sgd: {lr: {float: [0.01, 1.0], log: true}}}}
  augment: {crop_padding: {int: [0, 3]}}
  training: {batch_size: {choice: [32, 64]}}
"""
FEW = TEXT.replace("{float: [0.01, 1.0], log: true}", "{choice: [0.01, 0.1]}")


def learns(_number: int, config: JobConfig) -> Script:
    """The larger the rate, the better."""
    return Script(results=curve([0.5 + 0.4 * config.optimizer.lr] * 9))


def drawn(text: str, max_trials: int) -> Counter[frozenset[tuple[str, object]]]:
    """How often a search has tried each configuration."""
    space = parse_space(text, file=Path("few.yaml"))
    trials = trials_of(space, sampler="gp", scheduler="freeze-thaw", max_trials=max_trials, scripts=learns)
    return Counter(frozenset(trial.params.items()) for trial in trials)


def test_no_configuration_is_tried_twice_though_the_best_lies_at_the_end_of_a_range() -> None:
    assert drawn(TEXT, 40).most_common(1)[0][1] == 1


@pytest.mark.parametrize("max_trials", [16, 20])
def test_a_space_that_is_used_up_has_been_tried_whole(max_trials: int) -> None:
    found = drawn(FEW, max_trials)

    assert len(found) == 16
    assert sum(found.values()) == max_trials
