"""Promotion: who goes on, who waits, and what happens when time runs out."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_samples import METRIC, RUNGS, after, new_trial, ordered, reached, result, trial_at

from search import trials
from search.schedulers import Action, Finish, Promotion, Resume, Scheduler, Situation, Start, Stop, Wait
from search.schedulers.closing import MARGIN, MARGIN_SECONDS
from search.schedulers.promotion import estimate
from search.trials import State, Trial
from trainer.results import Stopped

PROMOTION = Promotion(rungs=RUNGS, eta=3, objective=METRIC)
FITS: Scheduler = PROMOTION  # the type checker proves it


def _decide(
    *items: Trial, max_trials: int = 100, seconds_left: float | None = None, has_free_slot: bool = True
) -> Action:
    return PROMOTION.decide(
        Situation(trials=items, max_trials=max_trials, seconds_left=seconds_left, has_free_slot=has_free_slot)
    )


def _play(qualities: Sequence[float], *, max_trials: int) -> tuple[list[Action], list[Trial]]:
    """Carry out decisions one at a time on curves without noise."""
    items: list[Trial] = []
    actions: list[Action] = []
    while not actions or actions[-1] != Finish():
        action = _decide(*items, max_trials=max_trials)
        actions.append(action)
        if isinstance(action, Start):
            items.append(new_trial(len(items)))
        number = action.number if isinstance(action, Resume) else len(items) - 1
        if isinstance(action, Start | Resume):
            until = action.until
            items[number] = after(items[number], ordered(until), result(until, qualities[number]), reached(until))
            if until == RUNGS[-1]:
                items[number] = after(items[number], trials.ended(State.COMPLETE, at=0.0))
    return actions, items


def test_the_sequence_on_curves_without_noise() -> None:
    qualities = (0.5, 0.1, 0.9, 0.3, 0.7, 0.2, 0.8, 0.4, 0.6)
    begin = Start(1.0)

    actions, _ = _play(qualities, max_trials=9)

    assert actions == [
        *(begin, begin, begin),
        Resume(2, 3.0),  # the best of three
        *(begin, begin, begin),
        Resume(4, 3.0),  # the second of six
        begin,
        Resume(6, 3.0),  # the second of seven, for the fourth is third now
        Resume(2, 9.0),  # the best of three at the next rung
        *(begin, begin),
        Finish(),
    ]


def test_a_search_too_small_for_a_promotion_still_trains_its_best_to_the_end() -> None:
    actions, items = _play((0.3, 0.6), max_trials=2)

    assert actions == [Start(1.0), Start(1.0), Resume(1, 3.0), Resume(1, 9.0), Finish()]
    assert items[1].state is State.COMPLETE


def test_of_equal_trials_the_earlier_one_goes_on() -> None:
    waiting = [trial_at(number, {1.0: 0.5}) for number in range(3)]

    assert _decide(*waiting) == Resume(0, 3.0)


def test_of_equal_scores_the_smaller_loss_goes_on() -> None:
    losses = (1.0, 0.9, 1.1)
    waiting = [
        after(new_trial(number), ordered(1.0), result(1.0, 0.5, loss=loss), reached(1.0))
        for number, loss in enumerate(losses)
    ]

    assert _decide(*waiting) == Resume(1, 3.0)


def test_a_higher_rung_goes_before_a_lower_one() -> None:
    high = [trial_at(number, {1.0: 0.8, 3.0: 0.8 + number / 100}) for number in range(3)]
    low = [trial_at(number, {1.0: 0.9}) for number in range(3, 9)]

    assert _decide(*high, *low) == Resume(2, 9.0)


def test_without_a_free_slot_it_waits() -> None:
    assert _decide(trial_at(0, {}, going_to=1.0), has_free_slot=False) == Wait()


def test_a_new_trial_begins_beside_those_that_run() -> None:
    assert _decide(trial_at(0, {}, going_to=1.0)) == Start(1.0)


@given(
    qualities=st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5]), min_size=1, max_size=30),
    seed=st.integers(0),
)
def test_nobody_beyond_the_best_third_goes_on_while_new_trials_may_begin(qualities: list[float], seed: int) -> None:
    rng = random.Random(seed)
    items = []
    for number, quality in enumerate(qualities):
        depth = rng.randint(1, 3)
        items.append(trial_at(number, dict.fromkeys(RUNGS[:depth], quality)))

    action = _decide(*items)

    if isinstance(action, Resume):
        rung = items[action.number].reached[-1]
        here = [item for item in items if rung in item.reached]
        better = [item for item in here if item.results[-1].val_accuracy > qualities[action.number]]
        assert len(better) < len(here) // 3
    else:
        assert action == Start(1.0)


def test_when_no_trial_may_begin_each_rung_sends_its_best_on() -> None:
    waiting = [trial_at(0, {1.0: 0.4}), trial_at(1, {1.0: 0.6})]

    assert _decide(*waiting, max_trials=2) == Resume(1, 3.0)


def test_the_last_promotions_wait_for_what_still_runs() -> None:
    waiting = [trial_at(0, {1.0: 0.4}), trial_at(1, {}, going_to=1.0)]

    assert _decide(*waiting, max_trials=2) == Wait()


def test_a_rung_whose_best_has_gone_on_sends_nobody_else() -> None:
    items = [trial_at(0, {1.0: 0.4}), trial_at(1, {1.0: 0.6, 3.0: 0.7, 9.0: 0.8}, ended=State.COMPLETE)]

    assert _decide(*items, max_trials=2) == Finish()


def test_a_search_that_may_begin_more_trials_goes_on_after_its_end() -> None:
    ended = [trial_at(0, {1.0: 0.4}, ended=State.PRUNED), trial_at(1, {1.0: 0.6}, ended=State.PRUNED)]

    assert _decide(*ended, max_trials=2) == Finish()
    assert _decide(*ended, max_trials=3) == Start(1.0)


def test_an_interrupted_trial_goes_first() -> None:
    best = [trial_at(number, {1.0: 0.9}) for number in range(3)]
    interrupted = after(trial_at(3, {1.0: 0.1}, going_to=3.0), Stopped(epoch=2.5, at=0.0))

    assert _decide(*best, interrupted) == Resume(3, 3.0)


def test_a_trial_that_was_written_down_and_never_started_goes_first() -> None:
    best = [trial_at(number, {1.0: 0.9}) for number in range(3)]

    assert _decide(*best, new_trial(3)) == Resume(3, 1.0)


def test_a_trial_whose_worker_died_before_its_first_result_goes_first() -> None:
    best = [trial_at(number, {1.0: 0.9}) for number in range(3)]
    orphan = after(trial_at(3, {}, going_to=1.0), trials.died(-9, at=0.0))

    assert _decide(*best, orphan) == Resume(3, 1.0)


def test_failed_trials_do_not_count() -> None:
    failed = trial_at(0, {1.0: 0.99}, ended=State.FAILED)
    others = [trial_at(1, {1.0: 0.5}), trial_at(2, {1.0: 0.6})]

    assert _decide(failed, *others) == Start(1.0)  # two are too few for a best third
    assert _decide(failed, *others, trial_at(3, {1.0: 0.4})) == Resume(2, 3.0)


# What a trial may score in the end


def test_without_trials_that_went_on_a_reading_is_its_own_estimate() -> None:
    items = [trial_at(0, {1.0: 0.2}), trial_at(1, {1.0: 0.4, 3.0: 0.4})]

    assert estimate(items, RUNGS, METRIC) == {0: 0.2, 1: 0.4}


def test_a_reading_is_carried_on_by_the_median_gain_from_rung_to_rung() -> None:
    gone_on = [
        trial_at(0, {1.0: 0.1, 3.0: 0.2}),  # gains 0.1
        trial_at(1, {1.0: 0.1, 3.0: 0.5, 9.0: 0.55}),  # gains 0.4 and 0.05
        trial_at(2, {1.0: 0.2, 3.0: 0.4}),  # gains 0.2
    ]

    estimates = estimate([*gone_on, trial_at(3, {1.0: 0.3})], RUNGS, METRIC)

    assert estimates == pytest.approx({0: 0.25, 1: 0.55, 2: 0.45, 3: 0.3 + 0.2 + 0.05})


def test_a_median_loss_counts_as_no_gain() -> None:
    items = [trial_at(0, {1.0: 0.5, 3.0: 0.2}), trial_at(1, {1.0: 0.4})]

    assert estimate(items, RUNGS, METRIC) == {0: 0.2, 1: 0.4}


def test_a_reading_at_the_last_rung_is_its_own_estimate() -> None:
    items = [trial_at(0, {1.0: 0.5, 3.0: 0.6, 9.0: 0.7}, ended=State.COMPLETE)]

    assert estimate(items, RUNGS, METRIC) == {0: 0.7}


def test_a_trial_that_ended_before_the_last_rung_gains_no_more() -> None:
    gone_on = [trial_at(n, {1.0: 0.2, 3.0: 0.4}) for n in range(2)]
    stalled = trial_at(2, {1.0: 0.3}, ended=State.COMPLETE)

    assert estimate([*gone_on, stalled], RUNGS, METRIC)[2] == 0.3


def test_failed_trials_and_those_without_a_reading_have_no_estimate() -> None:
    items = [trial_at(0, {1.0: 0.5}, ended=State.FAILED), trial_at(1, {}, going_to=1.0), new_trial(2)]

    assert estimate(items, RUNGS, METRIC) == {}


def test_a_failed_trial_gains_for_nobody() -> None:
    items = [trial_at(0, {1.0: 0.1, 3.0: 0.9}, ended=State.FAILED), trial_at(1, {1.0: 0.5})]

    assert estimate(items, RUNGS, METRIC) == {1: 0.5}


def test_a_smaller_loss_is_a_larger_estimate() -> None:
    low = after(new_trial(0), ordered(1.0), result(1.0, loss=0.3), reached(1.0))
    high = after(new_trial(1), ordered(1.0), result(1.0, loss=0.9), reached(1.0))

    assert estimate([low, high], RUNGS, "val/loss") == {0: -0.3, 1: -0.9}


# When time runs out: a stretch took 1 s an epoch, so the 8 epochs from the first rung to the last take 8 s

NEEDED = 8.0 * MARGIN + MARGIN_SECONDS
ENOUGH = NEEDED + 1.0
JUST = NEEDED - 0.01


def test_with_time_enough_new_trials_begin() -> None:
    assert _decide(trial_at(0, {1.0: 0.5}), seconds_left=ENOUGH) == Start(1.0)


def test_when_just_the_time_for_the_best_is_left_it_gets_its_slot() -> None:
    items = [trial_at(0, {1.0: 0.4}), trial_at(1, {1.0: 0.6})]

    assert _decide(*items, seconds_left=JUST) == Resume(1, 3.0)


def test_then_an_interrupted_trial_does_not_go_first() -> None:
    interrupted = after(trial_at(0, {1.0: 0.4}, going_to=3.0), Stopped(epoch=2.0, at=0.0))

    assert _decide(interrupted, trial_at(1, {1.0: 0.6}), seconds_left=JUST) == Resume(1, 3.0)


def test_a_best_trial_that_stopped_between_rungs_goes_to_the_next_one() -> None:
    best = after(trial_at(0, {1.0: 0.6}, going_to=3.0), Stopped(epoch=2.5, at=0.0))

    assert _decide(best, trial_at(1, {1.0: 0.4}), seconds_left=5.0) == Resume(0, 3.0)


def test_while_the_best_runs_no_new_one_begins() -> None:
    assert _decide(trial_at(0, {1.0: 0.6}, going_to=3.0), seconds_left=JUST) == Wait()


def test_beside_the_best_goes_on_what_may_come_to_its_end_too() -> None:
    best, other = trial_at(0, {1.0: 0.6}, going_to=3.0), trial_at(1, {1.0: 0.4})
    slow = trial_at(2, {1.0: 0.5}, seconds=30.0)

    assert _decide(best, other, slow, seconds_left=JUST) == Resume(1, 3.0)
    assert _decide(best, other, slow, seconds_left=JUST, has_free_slot=False) == Wait()


@pytest.mark.parametrize("going_to", [None, 3.0])
def test_a_leader_that_can_not_come_to_its_end_leaves_the_time_to_who_can(going_to: float | None) -> None:
    slow = trial_at(0, {1.0: 0.9}, seconds=100.0, going_to=going_to)
    quick, bad = trial_at(1, {1.0: 0.5}), trial_at(2, {1.0: 0.1})

    assert _decide(slow, quick, bad, seconds_left=ENOUGH) == Start(1.0)
    assert _decide(slow, quick, bad, seconds_left=JUST) == Resume(1, 3.0)
    stops = going_to is not None
    assert _decide(slow, quick, bad, seconds_left=JUST, has_free_slot=False) == (Stop(0) if stops else Wait())


def test_where_something_is_complete_no_leader_holds_others_up_in_vain() -> None:
    complete = trial_at(0, {1.0: 0.5, 3.0: 0.6, 9.0: 0.7}, ended=State.COMPLETE)
    slow, bad = trial_at(1, {1.0: 0.9}, seconds=100.0), trial_at(2, {1.0: 0.1})

    assert _decide(complete, slow, bad, seconds_left=JUST) == Start(1.0)


def test_the_worst_running_trial_makes_room_for_the_best() -> None:
    items = [
        trial_at(0, {1.0: 0.5}, going_to=3.0),
        trial_at(1, {1.0: 0.4}, going_to=3.0),
        trial_at(2, {1.0: 0.6}),
    ]

    assert _decide(*items, seconds_left=JUST, has_free_slot=False) == Stop(1)


def test_a_running_trial_without_a_reading_makes_room_first() -> None:
    items = [
        trial_at(0, {1.0: 0.1}, going_to=3.0),
        trial_at(1, {}, going_to=1.0),
        trial_at(2, {1.0: 0.6}),
    ]

    assert _decide(*items, seconds_left=JUST, has_free_slot=False) == Stop(1)


def test_a_complete_trial_that_nobody_can_beat_keeps_no_time_free() -> None:
    complete = trial_at(0, {1.0: 0.8, 3.0: 0.8, 9.0: 0.8}, ended=State.COMPLETE)

    assert _decide(complete, trial_at(1, {1.0: 0.5}), seconds_left=JUST) == Start(1.0)


def test_before_the_first_result_time_is_no_reason_to_wait() -> None:
    assert _decide(trial_at(0, {}, going_to=1.0), seconds_left=1.0) == Start(1.0)


def test_while_the_last_worker_leaves_the_best_waits_for_its_slot() -> None:
    assert _decide(trial_at(0, {1.0: 0.5}), seconds_left=JUST, has_free_slot=False) == Wait()


def test_a_trial_that_was_pruned_before_does_not_take_the_slot_from_the_best() -> None:
    pruned = trial_at(0, {1.0: 0.9}, ended=State.PRUNED)

    assert _decide(pruned, trial_at(1, {1.0: 0.6}), seconds_left=JUST) == Resume(1, 3.0)


# What would be cut off does not begin; a stretch that may seem to need a fifth more than there is gets its chance


@pytest.mark.parametrize(("seconds_left", "expected"), [(4.0, Start(1.0)), (3.4, Start(1.0)), (3.3, Finish())])
def test_a_trial_begins_if_the_first_stretches_of_others_would_have_fitted(
    seconds_left: float, expected: Action
) -> None:
    complete = trial_at(0, {1.0: 0.8, 3.0: 0.8, 9.0: 0.8}, ended=State.COMPLETE, seconds=4.0)
    failed = trial_at(1, {}, ended=State.FAILED)

    assert _decide(complete, failed, seconds_left=seconds_left) == expected


def test_a_promotion_that_would_be_cut_off_is_left_out_for_one_that_fits() -> None:
    complete = trial_at(0, {1.0: 0.9, 3.0: 0.9, 9.0: 0.9}, ended=State.COMPLETE)
    slow, quick = trial_at(1, {1.0: 0.6}, seconds=30.0), trial_at(2, {1.0: 0.5})
    others = [trial_at(number, {1.0: 0.1}) for number in range(3, 9)]

    assert _decide(complete, slow, quick, *others, max_trials=9, seconds_left=20.0) == Resume(2, 3.0)
    assert _decide(complete, slow, quick, *others, max_trials=9, seconds_left=200.0) == Resume(1, 3.0)


def test_what_runs_is_waited_for_though_nothing_else_fits() -> None:
    complete = trial_at(0, {1.0: 0.9, 3.0: 0.9, 9.0: 0.9}, ended=State.COMPLETE, seconds=9.0)
    running = trial_at(1, {1.0: 0.5}, seconds=9.0, going_to=3.0)

    assert _decide(complete, running, seconds_left=1.0) == Wait()


def test_the_best_goes_on_though_it_may_not_come_to_its_end() -> None:
    assert _decide(trial_at(0, {1.0: 0.6}), max_trials=1, seconds_left=2.0) == Resume(0, 3.0)
    assert _decide(trial_at(0, {1.0: 0.6}), max_trials=1, seconds_left=1.5) == Finish()
