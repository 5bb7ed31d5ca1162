"""The winner's one reading of the locked test split."""

from dataclasses import replace
from pathlib import Path

import pytest
from search_samples import Ground, learns, trial_at

from search.errors import StudyError
from search.executors import Gone
from search.executors.scripted import ScriptedExecutor
from search.finish import TestReading as Reading
from search.finish import doubt, known_reading, read_test_split
from search.race import Standing
from search.study import Study
from search.trials import State
from trainer import orders, results
from trainer.results import Evaluation, Failed, JobEvent

WINNER = trial_at(4, {9.0: 0.9}, ended=State.COMPLETE)
OTHER = trial_at(5, {9.0: 0.95}, ended=State.COMPLETE)
SCORES = Evaluation(loss=0.3, accuracy=0.88, top5_accuracy=0.99, num_images=360, balanced_accuracy=0.8, f1_macro=0.7)
ESTIMATES = {"accuracy": (0.88, 0.8, 0.9), "f1_macro": (0.7, 0.6, 0.8)}


class Desk:
    """Answers test orders, and remembers them."""

    def __init__(self, answer: JobEvent | Gone | None = None) -> None:
        self.orders: list[object] = []
        self._answer = answer or results.Tested(evaluation=SCORES, estimates=ESTIMATES, at=1.0)
        self.executor = ScriptedExecutor(learns, answer=self._reply)

    def _reply(self, order: object) -> JobEvent | Gone:
        self.orders.append(order)
        return self._answer


@pytest.fixture
def study(ground: Ground) -> Study:
    return ground.study()


def test_the_winner_is_scored_from_its_own_checkpoint(study: Study, ground: Ground) -> None:
    desk = Desk()

    reading = read_test_split(study, ground.store, WINNER, desk.executor, Path("data"))

    assert desk.orders == [
        orders.TestOrder(config=WINNER.config, data_root=Path("data"), directory=ground.store.job(study.name, 4))
    ]
    estimates = {name: list(bounds) for name, bounds in ESTIMATES.items()}
    assert reading == Reading(
        trial=4, accuracy=0.88, loss=0.3, top5_accuracy=0.99, num_images=360, readings=1, estimates=estimates
    )
    assert reading.metrics().items() >= {"test/f1_macro": 0.7, "test/f1_macro_low": 0.6, "test/accuracy": 0.88}.items()


def test_the_study_remembers_the_reading(study: Study, ground: Ground) -> None:
    assert known_reading(study, WINNER.number) is None

    reading = read_test_split(study, ground.store, WINNER, Desk().executor, Path("data"))

    assert known_reading(ground.study(), WINNER.number) == reading


def test_the_same_winner_is_not_scored_again(study: Study, ground: Ground) -> None:
    desk = Desk()

    first = read_test_split(study, ground.store, WINNER, desk.executor, Path("data"))
    second = read_test_split(study, ground.store, WINNER, desk.executor, Path("data"))

    assert first == second
    assert len(desk.orders) == 1


def test_a_new_winner_is_another_reading(study: Study, ground: Ground) -> None:
    desk = Desk()
    read_test_split(study, ground.store, WINNER, desk.executor, Path("data"))

    reading = read_test_split(study, ground.store, OTHER, desk.executor, Path("data"))

    assert (reading.trial, reading.readings) == (5, 2)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Failed(reason="error", message="no sound checkpoint", traceback="", at=0.0), "no sound checkpoint"),
        (Gone(-9), "the process died"),
    ],
)
def test_a_winner_that_can_not_be_scored_is_told_with_the_way_out(
    study: Study, ground: Ground, answer: JobEvent | Gone, why: str
) -> None:
    message = rf"Trial 4 could not be scored on the test split: {why}\. Try again with `autoclf resume "

    with pytest.raises(StudyError, match=message):
        read_test_split(study, ground.store, WINNER, Desk(answer).executor, Path("data"))

    assert known_reading(study, WINNER.number) is None


def test_a_winner_of_long_ago_is_not_scored_again(study: Study, ground: Ground) -> None:
    desk = Desk()
    for winner in (WINNER, OTHER):
        read_test_split(study, ground.store, winner, desk.executor, Path("data"))

    reading = read_test_split(study, ground.store, WINNER, desk.executor, Path("data"))

    assert len(desk.orders) == 2
    assert reading.trial == 4


# What there is to doubt

TRIALS = [WINNER, OTHER, trial_at(6, {})]
RACED = Standing(scores={4: (0.9, 0.86), 5: (0.95, 0.8)}, left={})


def _reading(accuracy: float) -> Reading:
    estimates = {"balanced_accuracy": (0.45, 0.4, 0.5)}
    return Reading(
        trial=4, accuracy=accuracy, loss=0.3, top5_accuracy=0.97, num_images=360, readings=1, estimates=estimates
    )


def test_optimism_is_what_validation_said_above_the_test_split() -> None:
    found = doubt(TRIALS, WINNER, "val/accuracy", None, _reading(0.85))

    assert found.judged == 2, "the third was never read"
    assert found.said == 0.9
    assert found.optimism == pytest.approx(0.05)
    assert set(found.metrics()) == {"validation/judged", "validation/accuracy", "validation/optimism"}


def test_after_a_race_the_mean_over_seeds_is_what_validation_said() -> None:
    assert doubt(TRIALS, WINNER, "val/accuracy", RACED, _reading(0.85)).said == pytest.approx(0.88)


@pytest.mark.parametrize(
    ("objective", "said", "tested"),
    [("val/accuracy", 0.9, 0.85), ("val/balanced_accuracy", 0.6, 0.45), ("val/top5_accuracy", 0.99, 0.97)],
)
def test_optimism_is_of_the_metric_that_the_winner_was_chosen_by(objective: str, said: float, tested: float) -> None:
    result = replace(WINNER.results[-1], val_accuracy=0.9, val_balanced_accuracy=0.6, val_top5_accuracy=0.99)
    winner = replace(WINNER, results=(result,))

    found = doubt([winner], winner, objective, None, _reading(0.85))

    assert found.optimism == pytest.approx(said - tested)
    assert found.metrics()[f"validation/{found.metric}"] == said


def test_a_loss_that_validation_put_too_low_is_optimistic() -> None:
    winner = replace(WINNER, results=(replace(WINNER.results[-1], val_loss=0.25),))
    raced = Standing(scores={4: (-0.25, -0.23)}, left={})

    assert doubt([winner], winner, "val/loss", None, _reading(0.85)).optimism == pytest.approx(0.05)
    assert doubt([winner], winner, "val/loss", raced, _reading(0.85)).said == pytest.approx(0.24)


def test_what_the_test_split_could_not_say_leaves_no_optimism() -> None:
    assert doubt(TRIALS, WINNER, "val/f1_macro", None, _reading(0.85)).optimism is None


def test_without_a_reading_there_is_no_optimism_to_tell() -> None:
    found = doubt(TRIALS, WINNER, "val/accuracy", RACED, None)

    assert found.optimism is None
    assert "validation/optimism" not in found.metrics()
