"""What the model's sampler draws of a space with few configurations, or with its best at the end of a range."""

from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from search_samples import METRIC

from search.engine import Engine
from search.executors.scripted import Script, ScriptedExecutor, curve
from search.jobs import build_job
from search.ledger import MemoryLedger
from search.strategies import make_strategy
from spaces import SearchSpace, parse_space
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
    space: SearchSpace = parse_space(text, file=Path("few.yaml"))
    assert space.objective.metric == METRIC
    ledger = MemoryLedger(space=space, build=partial(build_job, space, data="data", seed=0, runtime={}))
    executor = ScriptedExecutor(learns, num_slots=1)
    strategy = make_strategy(space, seed=0, sampler="gp", scheduler="freeze-thaw")
    Engine(
        book=ledger,
        sampler=strategy.sampler,
        scheduler=strategy.scheduler,
        executor=executor,
        data_root=Path(),
        max_trials=max_trials,
        deadline=None,
        is_interrupted=lambda: False,
        watch=lambda notice: None,
        clock=lambda: executor.now,
    ).run()
    return Counter(frozenset(trial.params.items()) for trial in ledger.trials)


def test_no_configuration_is_tried_twice_though_the_best_lies_at_the_end_of_a_range() -> None:
    assert drawn(TEXT, 40).most_common(1)[0][1] == 1


@pytest.mark.parametrize("max_trials", [16, 20])
def test_a_space_that_is_used_up_has_been_tried_whole(max_trials: int) -> None:
    found = drawn(FEW, max_trials)

    assert len(found) == 16
    assert sum(found.values()) == max_trials
