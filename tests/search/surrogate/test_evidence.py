"""What the model is told of trials."""

from dataclasses import replace

import numpy as np
import pytest
from search_samples import CRASHED, PARAMS, after, new_trial, ordered, reached, result, trial_at

from search import trials
from search.surrogate.encoding import Encoding
from search.surrogate.evidence import Reader
from search.surrogate.outlook import Surrogate
from search.trials import State
from spaces import SearchSpace
from trainer.config import job_config
from trainer.lengths import effort


@pytest.fixture
def reader(small_space: SearchSpace) -> Reader:
    return Reader(Encoding(small_space))


def test_each_rung_has_a_column_and_what_is_not_read_is_not_a_number(reader: Reader) -> None:
    items = [trial_at(0, {1.0: 0.3}, params=PARAMS), trial_at(1, {1.0: 0.4, 3.0: 0.6}, params=PARAMS)]

    found = reader.read(items)

    assert found.numbers.tolist() == [0, 1]
    assert np.array_equal(found.scores, [[0.3, np.nan, np.nan], [0.4, 0.6, np.nan]], equal_nan=True)
    assert found.best == 0.6
    assert found.points[:].shape == (2, reader.encoding.num_axes)


def test_trials_without_a_reading_are_left_out_and_those_that_run_are_pending(reader: Reader) -> None:
    waiting = new_trial(0, PARAMS)
    running = after(new_trial(1, PARAMS), ordered(1.0))
    read = trial_at(2, {1.0: 0.3}, going_to=3.0, params=PARAMS)

    found = reader.read([waiting, running, read])

    assert found.numbers.tolist() == [2]
    assert len(found.pending) == 1


def test_a_failed_trial_counts_as_the_worst_where_it_failed(reader: Reader) -> None:
    at_once = after(
        new_trial(0, PARAMS), ordered(1.0), trials.ended(State.FAILED, reason=f"crashed({CRASHED})", at=0.0)
    )
    later = trial_at(1, {1.0: 0.5}, ended=State.FAILED, params=PARAMS)
    sound = trial_at(2, {1.0: 0.4, 3.0: 0.6}, params=PARAMS)

    found = reader.read([at_once, later, sound])

    assert found.scores[:, 0].tolist() == [0.4, 0.5, 0.4]
    assert found.scores[1, 1] == 0.4
    assert found.has_failed.tolist() == [True, True, False]


def test_seconds_an_epoch_are_those_first_measured(reader: Reader) -> None:
    slow = trial_at(0, {1.0: 0.3}, seconds=8.0, params=PARAMS)
    fast = trial_at(1, {1.0: 0.3, 3.0: 0.4}, seconds=2.0, params=PARAMS)
    unknown = after(new_trial(2, PARAMS), trials.ended(State.FAILED, reason="oom", at=0.0))

    found = reader.read([slow, fast, unknown])

    assert found.rates[:2].tolist() == [8.0, 2.0]
    assert np.isnan(found.rates[2])
    assert np.isnan(found.read_at[2]).all(), "what it counts as was never read"


def test_of_images_that_grow_the_seconds_are_those_of_a_mean_epoch(reader: Reader) -> None:
    config = job_config({"training.epochs": 9.0, "training.start_size": 0.5, "training.full_size_at": 1.0})
    growing = replace(trial_at(0, {1.0: 0.3}, seconds=8.0, params=PARAMS), config=config)

    (rate,) = reader.read([growing]).rates

    assert rate == pytest.approx(8.0 / effort(config, 1.0) * effort(config, 9.0) / 9)
    assert rate > 16.0


def test_an_outlook_is_made_once_for_the_same_trials(small_space: SearchSpace) -> None:
    surrogate = Surrogate(Encoding(small_space))
    items = [trial_at(number, {1.0: 0.3 + number / 10}, params=PARAMS) for number in range(3)]

    assert surrogate.outlook([]) is None
    first = surrogate.outlook(items)
    assert surrogate.outlook(list(items)) is first
    assert surrogate.outlook([*items[:2], trial_at(2, {1.0: 0.9}, params=PARAMS)]) is not first


def test_more_is_expected_of_the_better_and_nothing_of_the_failed(small_space: SearchSpace) -> None:
    items = [
        trial_at(0, {1.0: 0.3}, params=PARAMS),
        trial_at(1, {1.0: 0.6}, params=PARAMS),
        trial_at(2, {1.0: 0.5}, ended=State.FAILED, params=PARAMS),
    ]
    outlook = Surrogate(Encoding(small_space)).outlook(items)
    assert outlook is not None

    expected = outlook.expected()

    assert set(expected) == {0, 1}
    assert expected[1] > expected[0]
    worths = outlook.of_trials([0, 1])
    assert worths[1] > worths[0] > 0


def test_of_many_at_the_same_rung_the_best_are_kept(reader: Reader) -> None:
    at_the_first = [trial_at(number, {1.0: 0.1 * number}, params=PARAMS) for number in range(4)]
    farther = [trial_at(4 + number, {1.0: 0.0, 3.0: 0.5 - number / 10}, params=PARAMS) for number in range(3)]

    found = reader.read([*at_the_first, *farther])

    assert found.best_rows(2).tolist() == [2, 3, 4, 5]
    assert found.best_rows(9).tolist() == list(range(7))
    assert found.best_rows(1, np.arange(7) < 3).tolist() == [2]
    assert found.best_rows(1, np.zeros(7, dtype=bool)).tolist() == []


def test_what_is_kept_from_look_to_look_changes_nothing(small_space: SearchSpace) -> None:
    """A reader that has followed a search tells the same as one that begins at its end."""
    encoding = Encoding(small_space)
    first = [trial_at(number, {1.0: 0.1 * number}, params=PARAMS) for number in range(5)]
    later = [*first[:2], trial_at(2, {1.0: 0.2, 3.0: 0.9}, params=PARAMS), *first[3:], new_trial(5, PARAMS)]
    follower = Reader(encoding)

    for items in (first, later, first[:3]):
        found, fresh = follower.read(items), Reader(encoding).read(items)
        for name in ("numbers", "places", "points", "scores", "read_at", "rates", "has_failed", "pending"):
            kept, new = getattr(found, name)[:], getattr(fresh, name)[:]
            assert np.array_equal(kept, new, equal_nan=name in {"scores", "read_at", "rates"}), name


def test_a_trial_that_was_sent_past_the_first_rungs_has_there_what_it_scored_on_its_way(reader: Reader) -> None:
    whole = after(
        new_trial(0, PARAMS), ordered(9.0), *map(result, (1.0, 2.0, 3.0, 9.0), (0.1, 0.2, 0.3, 0.9)), reached(9.0)
    )
    at_once = after(new_trial(1, PARAMS), ordered(9.0), result(9.0, 0.8), reached(9.0))

    found = reader.read([whole, at_once])

    assert found.scores.tolist() == [[0.1, 0.3, 0.9], [0.8, 0.8, 0.8]]


def test_a_trial_whose_scores_stalled_stays_where_it_is(reader: Reader) -> None:
    stalled = trial_at(0, {1.0: 0.5}, ended=State.COMPLETE, params=PARAMS)

    assert reader.read([stalled]).scores.tolist() == [[0.5, 0.5, 0.5]]
    assert Surrogate(reader.encoding).outlook([stalled, trial_at(1, {1.0: 0.2, 3.0: 0.9}, params=PARAMS)]) is not None


def test_what_a_failed_trial_once_scored_is_not_what_others_have_to_beat(reader: Reader) -> None:
    failed = trial_at(0, {1.0: 0.9}, ended=State.FAILED, params=PARAMS)
    sound = trial_at(1, {1.0: 0.4}, params=PARAMS)

    assert reader.read([failed, sound]).best == 0.4
    assert reader.read([failed]).best == 0.9
