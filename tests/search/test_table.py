"""Trials as arrays, beside what plain loops over the trials say."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from search_samples import METRIC, RUNGS, after, new_trial, ordered, reached, result, trial_at

from search import trials
from search.schedulers import Promotion, Resume, Situation
from search.schedulers.promotion import estimate, ranking
from search.table import Table, table_of
from search.trials import State, Trial, merit, readings, result_at

TENTHS = st.integers(0, 10).map(lambda n: n / 10)
NOBODY: Sequence[Trial] = ()


@st.composite
def some_trials(draw: st.DrawFn) -> list[Trial]:
    """Trials that stand anywhere: between rungs, at one, under way, or at an end."""
    found = []
    for number in range(draw(st.integers(0, 14))):
        scores = draw(st.lists(TENTHS, max_size=len(RUNGS)))
        trial = trial_at(number, dict(zip(RUNGS, scores, strict=False)), seconds=draw(st.floats(0.1, 9)))
        match draw(st.sampled_from(["waits", "waits", "waits", "runs", "owed", "over"])):
            case "runs":
                trial = after(trial, ordered(9.0))
            case "owed":
                trial = after(trial, ordered(9.0), trials.died(-9, at=0.0))
            case "over":
                trial = after(trial, trials.ended(draw(st.sampled_from([s for s in State if s.is_over])), at=0.0))
        found.append(trial)
    return found


def plain_estimate(items: Sequence[Trial]) -> dict[int, float]:
    """What each trial may score at the last rung, by plain loops."""
    known = [(trial, readings(trial, METRIC)) for trial in items if not trial.is_hopeless]
    gains = []
    for lower, upper in pairwise(RUNGS):
        gained = [scores[upper] - scores[lower] for _, scores in known if upper in scores and lower in scores]
        gains.append(max(0.0, median(gained)) if gained else 0.0)
    found = {}
    for trial, scores in known:
        if scores:
            to_come = [] if trial.state is State.COMPLETE else gains[RUNGS.index(max(scores)) :]
            found[trial.number] = scores[max(scores)] + sum(to_come)
    return found


def plain_promotion(items: Sequence[Trial], eta: int) -> Resume | None:
    """Who goes on, by plain loops."""
    for rung, following in reversed(list(pairwise(RUNGS))):
        known = {t.number: result_at(t, rung) for t in items if not t.is_hopeless}
        merits = {number: merit(found, METRIC) for number, found in known.items() if found is not None}
        best = sorted(merits, key=lambda n: (merits[n], -n), reverse=True)[: len(merits) // eta]
        for number in best:
            trial = items[number]
            if trial.state is State.PAUSED and trial.reached[-1] == rung and not trial.is_owed:
                return Resume(number, following)
    return None


@given(some_trials())
def test_estimates_are_those_of_plain_loops(items: list[Trial]) -> None:
    found = estimate(items, RUNGS, METRIC)

    expected = plain_estimate(items)
    assert found.keys() == expected.keys()
    assert all(np.isclose(found[number], expected[number], rtol=0, atol=1e-12) for number in found)


@given(some_trials(), st.integers(2, 4))
def test_who_goes_on_is_who_does_by_plain_loops(items: list[Trial], eta: int) -> None:
    situation = Situation(trials=items, max_trials=0, seconds_left=None, has_free_slot=True)
    found = Promotion(rungs=RUNGS, eta=eta, objective=METRIC).decide(situation)

    expected = plain_promotion(items, eta)
    is_owed = any(trial.is_owed for trial in items)
    if expected is not None and not is_owed:
        assert found == expected


@given(some_trials(), some_trials(), st.data())
def test_a_table_that_follows_is_as_one_that_is_new(before: list[Trial], now: list[Trial], data: st.DataObject) -> None:
    kept = data.draw(st.lists(st.booleans(), min_size=len(now), max_size=len(now)))
    mixed = [
        before[n] if keep and n < len(before) else trial for n, (keep, trial) in enumerate(zip(kept, now, strict=True))
    ]
    table, fresh = Table(RUNGS, METRIC), Table(RUNGS, METRIC)
    table.follow(before)

    table.follow(mixed)
    fresh.follow(mixed)

    assert_same(table, fresh)


def assert_same(one: Table, other: Table) -> None:
    for name in ("numbers", "scores", "sureness", "paces", "waits", "is_running", "is_owed", "is_complete"):
        assert np.array_equal(
            getattr(one, name), getattr(other, name), equal_nan=name in ("scores", "sureness", "paces")
        )


def test_a_table_grows_beyond_what_it_was_made_for() -> None:
    items = [trial_at(number, {1.0: number / 1000}) for number in range(200)]

    table = table_of(items, RUNGS, METRIC)

    assert table.numbers.tolist() == list(range(200))
    assert table.scores[:, 0].tolist() == [number / 1000 for number in range(200)]
    assert np.isnan(table.scores[:, 1:]).all()
    assert table_of(NOBODY, RUNGS, METRIC).numbers.tolist() == []


def test_scores_at_a_rung_are_those_of_the_trials_that_reached_it() -> None:
    items = [trial_at(0, {1.0: 0.2, 3.0: 0.3}), trial_at(1, {1.0: 0.4}), trial_at(2, {}, going_to=1.0)]

    table = table_of(items, RUNGS, METRIC)

    assert np.array_equal(table.scores[:, 0], [0.2, 0.4, np.nan], equal_nan=True)
    assert ranking(table, 0).tolist() == [1, 0]
    assert ranking(table, 1).tolist() == [0]
    assert ranking(table, 0, np.array([True, False, True])).tolist() == [0]


def test_a_rung_that_brought_no_result_of_its_own_is_read_at_the_last_one() -> None:
    trial = after(trial_at(0, {0.25: 0.4}), ordered(0.5), reached(0.5))

    assert table_of([trial], (0.25, 0.5), METRIC).scores.tolist() == [[0.4, 0.4]]


def test_of_equal_scores_the_smaller_loss_and_then_the_earlier_trial_is_first() -> None:
    items = [
        after(new_trial(number), ordered(1.0), result(1.0, 0.5, loss=loss), reached(1.0))
        for number, loss in enumerate((0.6, 0.4, 0.6))
    ]

    assert ranking(table_of(items, RUNGS, METRIC), 0).tolist() == [1, 0, 2]
