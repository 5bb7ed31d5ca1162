"""Samplers draw no configuration twice: of few ones, with the best at the end of a range, with priors that insist."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from search_samples import after, trial_at, trials_of

from search.executors.scripted import Script, curve
from search.samplers import Once
from search.samplers.once import Tried
from search.strategies import SAMPLERS, make_strategy
from search.trials import Trial
from spaces import Value, parse_space
from trainer.config import JobConfig
from trainer.results import Footprint

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
INSISTING = FEW.replace("[32, 64]}", "[32, 64], prior: 64, confidence: high}")
RANGES = """
name: ranges
data: digits
objective: val/accuracy
budget: {rungs: [1, 3, 9]}
parameters: {augment: {crop_padding: {int: [0, 3]}, cutout: {int: [0, 12], step: 4}}}
"""


def learns(_number: int, config: JobConfig) -> Script:
    """The larger the rate, the better."""
    return Script(results=curve([0.5 + 0.4 * config.optimizer.lr] * 9))


def drawn(text: str, max_trials: int, sampler: str = "gp", scheduler: str = "freeze-thaw") -> Counter[object]:
    """How often a search has tried each configuration."""
    space = parse_space(text, file=Path("few.yaml"))
    trials = trials_of(space, sampler=sampler, scheduler=scheduler, max_trials=max_trials, scripts=learns)
    return Counter(frozenset(trial.params.items()) for trial in trials)


def test_no_configuration_is_tried_twice_though_the_best_lies_at_the_end_of_a_range() -> None:
    assert drawn(TEXT, 40).most_common(1)[0][1] == 1


@pytest.mark.parametrize("max_trials", [16, 20])
@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_a_space_that_is_used_up_has_been_tried_whole(sampler: str, max_trials: int) -> None:
    found = drawn(RANGES if sampler == "cmaes" else FEW, max_trials, sampler, "promotion")

    assert len(found) == 16
    assert sum(found.values()) == max_trials


@pytest.mark.parametrize("sampler", ["gp", "random"])
def test_priors_do_not_ask_for_what_was_tried(sampler: str) -> None:
    assert len(drawn(INSISTING, 16, sampler)) == 16


def test_what_is_new_is_next_to_what_was_drawn() -> None:
    space, drawn = parse_space(RANGES, file=Path("ranges.yaml")), {"augment.crop_padding": 2, "augment.cutout": 8}

    class Stubborn:
        """Draws the same, whatever was tried."""

        def draw(self, _trials: Sequence[Trial]) -> dict[str, Value]:
            return dict(drawn)

    found = Once(sampler=Stubborn(), space=space, seed=0).draw([trial_at(0, {1: 0.5}, params=drawn)])

    steps = [abs(found["augment.crop_padding"] - 2), abs(found["augment.cutout"] - 8) // 4]
    assert sorted(steps) == [0, 1]


def test_numbers_that_differ_by_rounding_alone_are_the_same_configuration() -> None:
    tried = [trial_at(0, {1: 0.5}, params={"optimizer.lr": 0.2})]

    assert Tried().has(tried, {"optimizer.lr": 0.19999999999999998})
    assert not Tried().has(tried, {"optimizer.lr": 0.2000001})


def test_what_is_moved_within_limits_was_not_tried_either() -> None:
    """Few configurations are within the limit: they are tried one after the other, not one again and others beyond."""
    text = RANGES.replace("int: [0, 3]", "int: [0, 15]").replace("int: [0, 12], step: 4", "int: [0, 15]")
    space = parse_space(text + "constraints: {parameters: 1000}\n", file=Path("limited.yaml"))
    trials = []
    for number in range(40):
        drawn = make_strategy(space, seed=0, sampler="random", scheduler="promotion").sampler.draw(trials)
        costs = Footprint(
            parameters=200 * (1 + int(drawn["augment.crop_padding"])), flops=1, latency_ms=1.0, size_mb=1.0
        )
        trials.append(after(trial_at(number, {1: 0.5}, params=drawn), costs))

    late = [trial.params["augment.crop_padding"] for trial in trials[15:]]
    assert sum(int(value) <= 4 for value in late) >= 0.8 * len(late)
    assert len({frozenset(trial.params.items()) for trial in trials}) == len(trials)


def test_the_same_trials_are_drawn_for_once() -> None:
    asked: list[int] = []

    class Counting:
        """Notes how often it is asked."""

        def draw(self, trials: Sequence[Trial]) -> dict[str, Value]:
            asked.append(len(trials))
            return {"augment.crop_padding": len(trials), "augment.cutout": 0}

    sampler = Once(sampler=Counting(), space=parse_space(RANGES, file=Path("ranges.yaml")), seed=0)
    trial = trial_at(0, {1: 0.5}, params={"augment.crop_padding": 3, "augment.cutout": 4})

    first, again = sampler.draw([]), sampler.draw([])
    first["augment.crop_padding"] = 7
    assert again == {"augment.crop_padding": 0, "augment.cutout": 0}
    assert sampler.draw([]) == again
    sampler.draw([trial])
    sampler.draw([replace(trial, epoch=2.0)])
    assert asked == [0, 1, 1]
