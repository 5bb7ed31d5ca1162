"""Which trial is the best of a search."""

import pytest
from search_samples import METRIC, after, new_trial, ordered, reached, result, trial_at

from search.book import best_of
from search.trials import NO_ROOM, State, Trial, ended


def test_the_best_is_a_complete_trial_where_there_is_one() -> None:
    items = [
        trial_at(0, {1.0: 0.9}),
        trial_at(1, {1.0: 0.5, 9.0: 0.6}, ended=State.COMPLETE),
        trial_at(2, {1.0: 0.5, 9.0: 0.7}, ended=State.COMPLETE),
    ]

    assert best_of(items, METRIC) == items[2]


def test_without_a_complete_one_the_best_is_among_those_that_went_farthest() -> None:
    items = [trial_at(0, {1.0: 0.9}), trial_at(1, {1.0: 0.2, 3.0: 0.3}), trial_at(2, {1.0: 0.2, 3.0: 0.4})]

    assert best_of(items, METRIC) == items[2]


def test_what_has_no_checkpoint_any_more_is_not_the_best() -> None:
    gone = after(trial_at(0, {1.0: 0.9}), ended(State.PRUNED, reason=NO_ROOM, at=1.0))
    items = [gone, trial_at(1, {1.0: 0.2})]

    assert best_of(items, METRIC) == items[1]
    assert best_of(items[:1], METRIC) is None


def test_of_what_was_cut_short_only_what_its_checkpoint_holds_counts() -> None:
    """What a trial read after its last checkpoint is of weights that are gone."""
    unsaved = after(trial_at(0, {1.0: 0.2}), ordered(9.0), result(2.0, 0.8), result(3.0, 0.9))
    killed = after(unsaved, ended(State.PRUNED, at=1.0))
    never_saved = after(new_trial(1), ordered(3.0), result(1.0, 0.9), ended(State.PRUNED, at=1.0))
    better = trial_at(2, {1.0: 0.3}, ended=State.PRUNED)

    assert best_of([killed, never_saved, better], METRIC) == better
    best = best_of([killed, never_saved], METRIC)
    assert best is not None
    assert (best.number, [r.val_accuracy for r in best.results]) == (0, [0.2])
    assert best_of([never_saved], METRIC) is None
    assert best_of([unsaved], METRIC) == unsaved, "it may still be saved"


def test_of_two_equal_trials_the_earlier_is_the_best() -> None:
    items = [trial_at(number, {1.0: 0.5}, ended=State.PRUNED) for number in range(2)]

    assert best_of(items, METRIC) == items[0]


def test_of_equal_scores_the_smaller_loss_is_the_best() -> None:
    items = [
        after(new_trial(number), ordered(1.0), result(1.0, 0.5, loss=loss), reached(1.0))
        for number, loss in enumerate((0.5, 0.4, 0.6))
    ]

    assert best_of(items, METRIC) == items[1]


@pytest.mark.parametrize(
    "items", [[], [new_trial(0)], [trial_at(0, {1.0: 0.9}, ended=State.FAILED)]], ids=["none", "new", "failed"]
)
def test_where_nothing_was_read_there_is_no_best(items: list[Trial]) -> None:
    assert best_of(items, METRIC) is None


def test_the_best_by_loss_has_the_smallest() -> None:
    items = [
        after(new_trial(number), ordered(1.0), result(1.0, loss=loss), reached(1.0))
        for number, loss in enumerate((0.5, 0.4, 0.6))
    ]

    assert best_of(items, "val/loss") == items[1]
