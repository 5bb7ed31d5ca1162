"""A trial is what its records make of it."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_samples import METRIC, after, new_trial, ordered, reached, result, trial_at

from search import trials
from search.trials import OBJECTIVES, Record, State, Trial, readings, seconds_of_training
from trainer.config import JobConfig, flat, job_config
from trainer.lengths import effort
from trainer.results import Failed, Halved, JobEvent, Reached, Started, StepResult, Stopped, to_record
from trainer.settings import Scoring

STARTED = Started(epoch=0.0, pid=1, at=1.0, ready_seconds=0.5)
FAILED = Failed(reason="oom", message="no memory", traceback="", at=2.0)
RELEASED = {"kind": "released", "at": 3.0}


def test_a_log_without_records_tells_of_no_trial() -> None:
    assert trials.fold([]) is None


def test_a_new_trial_waits_at_epoch_0_and_is_owed_its_first_job() -> None:
    config = job_config({"optimizer": "adamw", "optimizer.lr": 0.003})

    trial = trials.fold([trials.created(number=4, uid="u", params={"optimizer": "adamw"}, config=flat(config), at=5.0)])

    assert trial == Trial(
        number=4, uid="u", params={"optimizer": "adamw"}, config=config, created_at=5.0, state=State.PAUSED
    )
    assert trial.is_owed


def test_a_log_that_does_not_begin_with_the_creation_is_our_mistake() -> None:
    with pytest.raises(AssertionError, match="begins with 'ordered'"):
        trials.fold([ordered(1.0)])


@pytest.mark.parametrize(
    ("happened", "state"),
    [
        ([ordered(3.0)], State.RUNNING),
        ([ordered(3.0), STARTED], State.RUNNING),
        ([ordered(3.0), STARTED, StepResult(epoch=0.5, images_per_second=9.0)], State.RUNNING),
        ([ordered(3.0), STARTED, result(1.0)], State.RUNNING),
        ([ordered(3.0), result(3.0), reached(3.0)], State.PAUSED),
        ([ordered(3.0), Stopped(epoch=0.4, at=1.0)], State.PAUSED),
        ([ordered(3.0), FAILED], State.PAUSED),
        ([ordered(3.0), RELEASED], State.PAUSED),
        ([ordered(3.0), trials.died(-9, at=1.0)], State.PAUSED),
        ([ordered(3.0), trials.ended(State.COMPLETE, at=1.0)], State.COMPLETE),
        ([trials.ended(State.PRUNED, at=1.0)], State.PRUNED),
        ([FAILED, trials.ended(State.FAILED, at=1.0)], State.FAILED),
    ],
)
def test_what_happens_to_a_trial_decides_its_state(happened: list[Record | JobEvent], state: State) -> None:
    assert after(new_trial(), *happened).state is state


@pytest.mark.parametrize(
    ("happened", "is_owed"),
    [
        ([], True),  # it was never sent anywhere
        ([ordered(3.0)], False),  # a worker has it
        ([ordered(3.0), RELEASED], True),
        ([ordered(3.0), trials.died(-9, at=1.0)], True),
        ([ordered(3.0), Stopped(epoch=1.5, at=1.0)], True),
        ([ordered(3.0), result(3.0), reached(3.0)], False),
        ([ordered(1.0), result(1.0), reached(1.0), ordered(3.0), RELEASED], True),
        ([ordered(3.0), RELEASED, trials.ended(State.PRUNED, at=1.0)], False),
    ],
)
def test_a_paused_trial_is_owed_what_it_was_sent_to_and_did_not_reach(
    happened: list[Record | JobEvent], is_owed: bool
) -> None:
    assert after(new_trial(), *happened).is_owed is is_owed


def test_only_complete_pruned_and_failed_trials_are_over() -> None:
    assert {state for state in State if state.is_over} == {State.COMPLETE, State.PRUNED, State.FAILED}


def test_results_that_a_checkpoint_sends_again_are_kept_once() -> None:
    first, second, third = result(1.0, 0.3), result(2.0, 0.4), result(3.0, 0.5)

    trial = after(new_trial(), ordered(3.0), first, second, RELEASED, ordered(3.0), first, second, third)

    assert trial.results == (first, second, third)


def test_reaching_a_rung_notes_the_rung_the_checkpoint_and_the_size_of_the_model() -> None:
    trial = after(new_trial(), ordered(1.0), result(1.0), reached(1.0), ordered(3.0), result(3.0), reached(3.0))

    assert (trial.reached, trial.epoch, trial.target, trial.num_parameters) == ((1.0, 3.0), 3.0, 3.0, 7)


def test_a_trial_whose_scores_stalled_counts_at_the_rung_that_it_was_sent_to() -> None:
    final = Reached(epoch=2.0, is_final=True, at=0.0, num_parameters=7, predictions="predictions.npz")

    trial = after(new_trial(), ordered(3.0), result(1.0, 0.5), result(2.0, 0.4), final)

    assert (trial.epoch, trial.reached) == (2.0, (3.0,))
    assert readings(trial, "val/accuracy") == {3.0: 0.4}
    assert trial.is_owed  # until its end is written down: its worker then says the same again


def test_memory_that_ran_out_changes_nothing_of_a_trial() -> None:
    before = after(new_trial(), ordered(3.0), STARTED)

    assert after(before, Halved(portion=16, at=1.0)) == before


def test_a_stopped_trial_has_a_checkpoint_where_it_was_stopped() -> None:
    trial = after(trial_at(0, {1.0: 0.5}, going_to=3.0), Stopped(epoch=1.75, at=1.0))

    assert (trial.epoch, trial.reached) == (1.75, (1.0,))


def test_a_trial_that_was_stopped_where_it_was_sent_to_has_not_arrived() -> None:
    trial = after(new_trial(), ordered(3.0), result(3.0), Stopped(epoch=3.0000001, at=1.0))

    assert (trial.epoch, trial.is_owed, trial.has_reached(3.0)) == (3.0, True, False)


def test_a_creation_that_two_drivers_wrote_down_counts_once() -> None:
    records = [to_record(event) for event in (result(1.0), reached(1.0))]
    begun = trials.created(number=0, uid="a", params={}, config=flat(new_trial().config), at=0.0)

    assert trials.fold([begun, ordered(1.0), begun, *records]) == trials.fold([begun, ordered(1.0), *records])


def test_deaths_are_counted_and_take_no_result_away() -> None:
    trial = after(new_trial(), ordered(3.0), result(1.0), *2 * [trials.died(-9, at=1.0)])

    assert (trial.deaths, len(trial.results)) == (2, 1)


def test_the_end_of_a_trial_says_when_and_why() -> None:
    record = trials.ended(State.FAILED, reason="oom", message="no memory", at=7.5)

    trial = after(new_trial(), record)

    assert (trial.ended_at, trial.reason, trial.message) == (7.5, "oom", "no memory")


def test_training_time_leaves_evaluation_out() -> None:
    trial = after(new_trial(), ordered(3.0), result(1.0, seconds=2.0), result(3.0, seconds=5.0))

    assert trial.train_seconds == 7.0


def test_before_the_first_result_no_time_is_estimated() -> None:
    assert new_trial().seconds_until(9.0) is None


def test_the_time_to_a_later_epoch_follows_from_the_epochs_so_far() -> None:
    trial = trial_at(0, {1.0: 0.5, 3.0: 0.6}, seconds=3.0)

    assert trial.seconds_until(9.0) == pytest.approx(6 * 6.0 / 3)


def test_the_last_evaluation_takes_as_many_times_as_it_has_more_views() -> None:
    trial = trial_at(0, {1.0: 0.5, 3.0: 0.6}, seconds=3.0)
    last = replace(trial.results[-1], eval_seconds=0.5)
    config = replace(
        trial.config, scoring=Scoring(tta="flip_shift"), training=replace(trial.config.training, epochs=9.0)
    )
    scored = replace(trial, config=config, results=(*trial.results[:-1], last))

    assert scored.seconds_until(8.0) == pytest.approx(5 * 2.0 + 5 * 0.5)
    assert scored.seconds_until(9.0) == pytest.approx(6 * 2.0 + 5 * 0.5 + 6 * 0.5)
    assert scored.answer_seconds == pytest.approx(6 * 0.5 / last.val_images)
    told = replace(scored, results=(*trial.results, replace(last, epoch=9.0)))
    assert told.answer_seconds == pytest.approx(0.5 / last.val_images)


def test_what_was_fitted_once_needs_no_more_time_than_its_scoring_to_any_later_epoch() -> None:
    config = flat(job_config({"model": "svm"}))
    fitted = replace(result(1.0, seconds=50.0), eval_seconds=0.25)
    trial = trials.fold([trials.created(number=0, uid="u", params={}, config=config, at=0.0)])
    assert trial is not None

    assert after(trial, ordered(1.0), fitted, reached(1.0)).seconds_until(9.0) == 0.25


def test_a_fit_counts_once_for_any_number_of_epochs_and_training_for_each() -> None:
    config = flat(job_config({"model": "svm"}))
    fitted = trials.fold([trials.created(number=0, uid="u", params={}, config=config, at=0.0)])
    assert fitted is not None

    assert seconds_of_training(after(fitted, ordered(1.0), result(1.0, seconds=50.0)), 9.0) == 50.0
    assert seconds_of_training(trial_at(0, {1.0: 0.5, 3.0: 0.6}, seconds=3.0), 9.0) == pytest.approx(9 * 6.0 / 3)


def test_the_time_to_a_rung_knows_that_images_grow() -> None:
    config = job_config({"training.epochs": 9.0, "training.start_size": 0.5, "training.full_size_at": 1.0})
    trial = replace(trial_at(0, {3.0: 0.5}, seconds=3.0), config=config)
    done, all_of_it = effort(config, 3.0), effort(config, 9.0)

    assert done / all_of_it < 0.25, "or the test shows nothing"
    assert trial.seconds_until(9.0) == pytest.approx(trial.train_seconds * (all_of_it - done) / done)
    assert seconds_of_training(trial, 9.0) == pytest.approx(trial.train_seconds * all_of_it / done)


@pytest.mark.parametrize(
    ("objective", "expected"), [("val/accuracy", 0.8), ("val/top5_accuracy", 0.8), ("val/loss", -0.4)]
)
def test_a_score_is_larger_for_what_is_better(objective: str, expected: float) -> None:
    assert trials.score(result(1.0, 0.8, loss=0.4), objective) == expected


def test_every_objective_is_a_metric_of_a_result() -> None:
    assert set(OBJECTIVES) <= set(result(1.0).metrics())


def test_readings_are_the_scores_at_the_rungs_alone() -> None:
    trial = after(
        new_trial(),
        ordered(1.0),
        result(1.0, 0.3),
        reached(1.0),
        ordered(3.0),
        result(2.0, 0.4),
        result(3.0, 0.5),
    )

    assert trials.readings(trial, METRIC) == {1.0: 0.3}


EVENTS = st.one_of(
    st.sampled_from([1.0, 2.0, 3.0]).map(lambda epoch: to_record(result(epoch, epoch / 10))),
    st.sampled_from([1.0, 3.0]).map(ordered),
    st.sampled_from([1.0, 3.0]).map(lambda epoch: to_record(reached(epoch))),
    st.sampled_from([RELEASED, trials.died(-9, at=1.0), to_record(STARTED), to_record(FAILED)]),
)


@settings(max_examples=50)
@given(records=st.lists(EVENTS, max_size=12), cut=st.integers(0, 12))
def test_reading_a_log_gives_what_was_seen_while_it_was_written(records: list[Record], cut: int) -> None:
    created = trials.created(number=0, uid="u", params={}, config=flat(JobConfig()), at=0.0)
    seen = trials.fold([created])
    for record in records[:cut]:
        assert seen is not None
        seen = trials.apply(seen, record)

    assert trials.fold([created, *records[:cut]]) == seen


@settings(max_examples=50)
@given(records=st.lists(EVENTS, max_size=20))
def test_the_results_of_a_trial_rise_in_their_steps(records: list[Record]) -> None:
    steps = [item.step for item in after(new_trial(), *records).results]

    assert steps == sorted(set(steps))


def test_a_record_of_a_later_version_is_read_without_its_news() -> None:
    record = to_record(result(1.0, 0.5)) | {"gpu_watts": 300}

    assert after(new_trial(), record).results == (result(1.0, 0.5),)


def test_a_result_whose_loss_is_nan_is_unsound() -> None:
    assert not result(1.0, 0.5, loss=math.nan).is_sound()
