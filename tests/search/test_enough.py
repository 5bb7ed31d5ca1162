"""A target that is reached, patience that is at its end, and a score that cannot be better."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from search_samples import METRIC, RUNGS, Stage, after, new_trial, ordered, states, trial_at
from typer import BadParameter

from autoclf.options import patience
from search.executors.scripted import Script, curve
from search.race import MOST_FINALISTS
from search.schedulers import (
    ENOUGH_PERFECT,
    Action,
    Enough,
    Finish,
    Promotion,
    Resume,
    Situation,
    Start,
    UntilEnough,
    Wait,
)
from search.schedulers.enough import has_nothing_to_gain
from search.schedulers.enough import perfect as perfect_ones
from search.strategies import make_strategy
from search.trials import State, Trial
from trainer.config import JobConfig

PROMOTION = Promotion(rungs=RUNGS, eta=3, objective=METRIC)
FINISHED_AT = 100.0


def read(number: int, accuracy: float) -> Trial:
    """A trial that waits at the first rung; it came there after a hundred seconds."""
    trial = trial_at(number, {1.0: accuracy})
    return replace(trial, results=(replace(trial.results[0], finished_at=FINISHED_AT),))


def decide(enough: Enough, trials: Sequence[Trial], *, began: float = 0.0, now: float = FINISHED_AT) -> object:
    scheduler = UntilEnough(
        scheduler=PROMOTION, enough=enough, rungs=RUNGS, objective=METRIC, began=began, now=lambda: now
    )
    return scheduler.decide(Situation(trials=trials, max_trials=99, seconds_left=None, has_free_slot=True))


def test_a_trial_at_the_target_ends_the_search() -> None:
    complete = trial_at(0, {1.0: 0.5, 3.0: 0.6, 9.0: 0.9}, ended=State.COMPLETE)

    assert decide(Enough(target=0.9), [complete]) == Finish()
    assert decide(Enough(target=0.91), [complete]) == Start(1.0)


def test_a_trial_that_is_not_trained_to_the_end_does_not() -> None:
    assert decide(Enough(target=0.5), [read(0, 0.9)]) == Start(1.0)


@dataclass(frozen=True)
class Asked:
    """Says in what situation it was asked."""

    situations: list[Situation] = field(default_factory=list)

    def decide(self, situation: Situation) -> Action:
        self.situations.append(situation)
        return Finish()


@pytest.mark.parametrize("target", [None, 0.9])
def test_a_scheduler_is_told_that_a_target_ends_the_search(target: float | None) -> None:
    asked = Asked()
    scheduler = UntilEnough(scheduler=asked, enough=Enough(target=target), rungs=RUNGS, objective=METRIC, began=0.0)

    scheduler.decide(Situation(trials=(), max_trials=9, seconds_left=None, has_free_slot=True))

    assert [situation.ends_at_target for situation in asked.situations] == [target is not None]


def test_a_loss_is_at_the_target_when_it_is_small_enough() -> None:
    complete = trial_at(0, {9.0: 0.9}, ended=State.COMPLETE)  # with a loss of 1

    assert Enough(target=1.0).target_trial([complete], "val/loss") == complete
    assert Enough(target=0.9).target_trial([complete], "val/loss") is None


def test_after_so_many_worse_configurations_none_begins_and_the_best_is_trained_to_the_end() -> None:
    trials = [read(0, 0.9), read(1, 0.5)]

    assert decide(Enough(patience_trials=2), trials) == Start(1.0)
    assert decide(Enough(patience_trials=1), trials) == Resume(0, 3.0)
    assert decide(Enough(patience_trials=1), [*trials, read(2, 0.95)]) == Resume(2, 3.0), (
        "it was still the best of three"
    )


def test_configurations_of_an_earlier_run_try_no_patience() -> None:
    best, before, now = read(0, 0.9), read(1, 0.5), replace(read(1, 0.5), created_at=1000.0)
    enough = Enough(patience_trials=1)

    assert decide(enough, [best, before]) == Resume(0, 3.0)
    assert decide(enough, [best, before], began=1000.0, now=1000.0) == Start(1.0)
    assert decide(enough, [best, now], began=1000.0, now=1000.0) == Resume(0, 3.0)


def test_a_configuration_without_a_reading_tries_no_patience() -> None:
    assert decide(Enough(patience_trials=1), [read(0, 0.9), after(new_trial(1), ordered(1.0))]) == Start(1.0)


def test_what_the_best_reads_on_its_way_to_the_next_rung_is_no_better_one() -> None:
    best = read(0, 0.9)
    late = replace(best.results[0], epoch=2.0, finished_at=FINISHED_AT + 50)
    on_its_way = replace(after(best, ordered(3.0)), results=(*best.results, late))
    enough = Enough(patience_seconds=60.0)

    assert decide(enough, [on_its_way], now=FINISHED_AT + 59) == Start(1.0)
    assert decide(enough, [on_its_way], now=FINISHED_AT + 60) != Start(1.0)


def test_after_so_long_without_a_better_one_none_begins() -> None:
    trials, enough = [read(0, 0.9)], Enough(patience_seconds=60.0)

    assert decide(enough, trials, now=FINISHED_AT + 59) == Start(1.0)
    assert decide(enough, trials, now=FINISHED_AT + 60) == Resume(0, 3.0)


def test_time_that_a_study_lay_idle_tries_no_patience() -> None:
    trials, enough = [read(0, 0.9)], Enough(patience_seconds=60.0)

    assert decide(enough, trials, began=1000.0, now=1059.0) == Start(1.0)
    assert decide(enough, trials, began=1000.0, now=1060.0) == Resume(0, 3.0)


def test_without_a_reading_there_is_nothing_to_be_impatient_about() -> None:
    assert decide(Enough(patience_trials=1, patience_seconds=1.0), []) == Start(1.0)


def perfect(number: int) -> Trial:
    return trial_at(number, {1.0: 0.5, 3.0: 0.6, 9.0: 1.0}, ended=State.COMPLETE)


def test_it_ends_when_as_many_as_may_race_answer_all_images_rightly() -> None:
    assert ENOUGH_PERFECT == MOST_FINALISTS
    few = [perfect(number) for number in range(ENOUGH_PERFECT - 1)]
    almost = trial_at(len(few), {1.0: 0.5, 3.0: 0.6, 9.0: 0.999}, ended=State.COMPLETE)

    assert decide(Enough(), [*few, almost]) == Start(1.0)
    assert decide(Enough(), [*few, almost, perfect(len(few) + 1)]) == Finish()


@pytest.mark.parametrize(("accuracy", "may_begin"), [(0.999, True), (1.0, False)])
def test_when_so_many_do_on_their_way_none_begins(accuracy: float, may_begin: bool) -> None:
    asked = Asked()
    trials = [*(perfect(number) for number in range(ENOUGH_PERFECT - 1)), read(ENOUGH_PERFECT - 1, accuracy)]
    scheduler = UntilEnough(scheduler=asked, enough=Enough(), rungs=RUNGS, objective=METRIC, began=0.0)

    scheduler.decide(Situation(trials=trials, max_trials=99, seconds_left=None, has_free_slot=True))

    assert [situation.max_trials for situation in asked.situations] == ([99] if may_begin else [])


@pytest.mark.parametrize("scheduler", ["promotion", "hyperband", "freeze-thaw", "median"])
def test_whatever_the_scheduler_so_many_are_trained_to_the_end(stage: Stage, scheduler: str) -> None:
    def answers_all(_number: int, _config: JobConfig) -> Script:
        return Script(results=curve([1.0] * 9))

    scene = stage(max_trials=20, scripts=answers_all)
    scene.scheduler = make_strategy(scene.space, seed=0, sampler="random", scheduler=scheduler).scheduler

    assert scene.run()

    assert states(scene.trials)[State.COMPLETE] == ENOUGH_PERFECT
    assert len(scene.trials) < 20


def test_who_wants_all_trained_whole_gets_that(stage: Stage) -> None:
    scene = stage(
        max_trials=ENOUGH_PERFECT + 2,
        scripts=lambda _number, _config: Script(results=curve([1.0] * 9)),
        enough=Enough(is_content_with_perfect=False),
    )
    scene.scheduler = make_strategy(scene.space, seed=0, sampler="random", scheduler="none").scheduler

    assert scene.run()

    assert states(scene.trials) == {State.COMPLETE: ENOUGH_PERFECT + 2}


def test_who_answers_all_rightly_goes_on_while_there_is_time() -> None:
    trials = [read(number, 1.0) for number in range(ENOUGH_PERFECT)]
    scheduler = UntilEnough(scheduler=PROMOTION, enough=Enough(), rungs=RUNGS, objective=METRIC, began=0.0)
    late = Situation(trials=trials, max_trials=99, seconds_left=0.0, has_free_slot=True)

    assert scheduler.decide(replace(late, seconds_left=100.0)) == Resume(0, 3.0)
    assert scheduler.decide(replace(late, seconds_left=100.0, has_free_slot=False)) == Wait()
    assert scheduler.decide(late) == Finish()


def test_a_part_of_the_images_or_a_loss_or_a_trial_that_was_ended_says_nothing() -> None:
    trials = [perfect(number) for number in range(ENOUGH_PERFECT)]
    early = [
        replace(trial, results=(replace(trial.results[-1], epoch=0.9),), state=State.PAUSED, reached=(0.9,))
        for trial in trials
    ]
    ended = [replace(trial, state=State.PRUNED) for trial in trials]

    assert has_nothing_to_gain(trials, METRIC)
    assert Enough().has_nothing_to_gain(trials, METRIC)
    assert not Enough(is_content_with_perfect=False).has_nothing_to_gain(trials, METRIC)
    assert not has_nothing_to_gain(trials, "val/loss")
    assert not perfect_ones(early, METRIC)
    assert not perfect_ones(ended, METRIC)


def test_a_whole_search_ends_early_in_good_order(stage: Stage) -> None:
    scene = stage(max_trials=200, enough=Enough(patience_trials=5))

    assert scene.run()

    assert len(scene.trials) < 200
    assert all(trial.state.is_over for trial in scene.trials)
    assert any(trial.state is State.COMPLETE for trial in scene.trials)


@pytest.mark.parametrize(("text", "wanted"), [("20", 20), ("90s", 90.0), ("30m", 1800.0)])
def test_patience_is_a_number_of_configurations_or_a_time(text: str, wanted: float) -> None:
    assert patience(text) == wanted
    assert isinstance(patience(text), type(wanted))


@pytest.mark.parametrize("text", ["0", "-3", "soon", ""])
def test_other_patience_is_refused(text: str) -> None:
    with pytest.raises(BadParameter):
        patience(text)
