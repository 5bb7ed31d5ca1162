"""The race of the finalists over further seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_samples import METRIC, NAME, Ground, after, open_study, ordered, reached, result, trial_at

from search.answers import Answers
from search.race import (
    FAILED,
    MOST_FINALISTS,
    MOST_ROUNDS,
    WORSE,
    Race,
    Standing,
    affordable,
    finalists,
)
from search.repeats import FINALIST, SEED, Repeats, finalist_of, seed_of
from search.schedulers import Finish, Resume, Situation, Start, Wait
from search.trials import State, Trial
from search.winner import remember_standing, remembered_standing, winner_of
from spaces import SearchSpace
from trainer.results import to_record

EPOCHS = 9.0
NUM_IMAGES = 1000
FIRST = trial_at(0, {1.0: 0.5, EPOCHS: 0.90}, ended=State.COMPLETE)
SECOND = trial_at(1, {1.0: 0.5, EPOCHS: 0.89}, ended=State.COMPLETE)
THIRD = trial_at(2, {1.0: 0.5, EPOCHS: 0.88}, ended=State.COMPLETE)
CUT = trial_at(3, {1.0: 0.99}, ended=State.PRUNED)


def answers(trial: Trial) -> Answers:
    """What a network of this accuracy answered: it errs on images of its own."""
    accuracy = trial.results[-1].val_accuracy
    labels = np.arange(NUM_IMAGES) % 2
    seed = 100 * trial.number + int(trial.params.get(SEED, 0))
    wrong = np.random.default_rng(seed).permutation(NUM_IMAGES)[: round((1 - accuracy) * NUM_IMAGES)]
    told = labels.copy()
    told[wrong] = 1 - told[wrong]
    return Answers(logits=4 * np.eye(2, dtype=np.float32)[told], labels=labels)


def race(found: Sequence[Trial] = (FIRST, SECOND, THIRD), *, seconds: float = 1e9, workers: int = 2) -> Race:
    return Race(
        finalists=found,
        epochs=EPOCHS,
        objective=METRIC,
        seconds=seconds,
        workers=workers,
        answers_of=answers,
        answers_of_repeat=answers,
    )


def repeat(number: int, of: int, seed: int, accuracy: float | None, *, ended: State | None = State.COMPLETE) -> Trial:
    """A repeat that came to an accuracy; one without runs."""
    readings = {} if accuracy is None else {EPOCHS: accuracy}
    going = EPOCHS if accuracy is None else None
    return trial_at(
        number,
        readings,
        going_to=going,
        ended=ended if accuracy is not None else None,
        params={FINALIST: of, SEED: seed},
    )


def situation(repeats: Sequence[Trial], *, left: float | None = None, free: bool = True) -> Situation:
    return Situation(trials=repeats, max_trials=99, seconds_left=left, has_free_slot=free)


def played(found: Race, accuracies: Mapping[int, Sequence[float]]) -> list[Trial]:
    """Let the race run with one worker; finalists score what is given, seed by seed."""
    repeats: list[Trial] = []
    while isinstance(found.decide(situation(repeats)), Start):
        drawn = found.draw(repeats)
        of, seed = int(drawn[FINALIST]), int(drawn[SEED])
        repeats.append(repeat(len(repeats), of, seed, accuracies[of][seed - 1]))
    return repeats


# Who takes part


def test_finalists_are_complete_and_not_worse_beyond_the_luck_of_the_images() -> None:
    far_behind = trial_at(4, {EPOCHS: 0.7}, ended=State.COMPLETE)

    found = finalists([FIRST, SECOND, THIRD, CUT, far_behind], METRIC, answers)

    assert found == (FIRST, SECOND, THIRD)


def test_there_are_few_finalists_the_best_first() -> None:
    many = [trial_at(n, {EPOCHS: 0.90 - 0.001 * n}, ended=State.COMPLETE) for n in reversed(range(9))]

    assert [trial.number for trial in finalists(many, METRIC, answers)] == list(range(MOST_FINALISTS))


def test_without_predictions_there_is_nobody_to_compare_with() -> None:
    assert finalists([FIRST, SECOND], METRIC, lambda trial: None) == (FIRST,)
    assert finalists([FIRST, SECOND], METRIC, lambda trial: answers(trial) if trial is FIRST else None) == (FIRST,)
    assert finalists([CUT], METRIC, answers) == ()


def test_those_take_part_who_can_be_repeated_in_the_time() -> None:
    each = FIRST.train_seconds

    assert affordable([FIRST, SECOND, THIRD], 3 * each) == (FIRST, SECOND, THIRD)
    assert affordable([FIRST, SECOND, THIRD], 2.9 * each) == (FIRST, SECOND)
    assert affordable([FIRST, SECOND, THIRD], 0.9 * each) == ()


# How it goes


def test_each_round_trains_who_is_left_with_one_more_seed() -> None:
    same = dict.fromkeys(range(3), [0.9] * MOST_ROUNDS)

    repeats = played(race(), same)

    assert {(finalist_of(r), seed_of(r)) for r in repeats} == {
        (n, s) for n in range(3) for s in range(1, MOST_ROUNDS + 1)
    }
    assert [seed_of(r) for r in repeats] == sorted(seed_of(r) for r in repeats)


def test_who_is_clearly_worse_leaves() -> None:
    found = race()

    repeats = played(found, {0: [0.9] * 9, 1: [0.9] * 9, 2: [0.7] * 9})
    standing = found.standing(repeats)

    assert [finalist_of(r) for r in repeats].count(2) == 1
    assert standing.left == {2: WORSE}
    assert len(standing.scores[0]) == len(standing.scores[1]) == 1 + MOST_ROUNDS
    assert standing.scores[2] == (0.88, 0.7)


def test_it_ends_when_one_is_left() -> None:
    found = race([FIRST, SECOND])

    repeats = played(found, {0: [0.95] * 9, 1: [0.6] * 9})

    assert len(repeats) == 2
    assert found.standing(repeats).racing == [0]


def test_the_mean_over_seeds_decides() -> None:
    found = race([FIRST, SECOND])

    repeats = played(found, {0: [0.88] * 9, 1: [0.90] * 9})

    assert found.standing(repeats).winner == 1
    assert fmean(found.standing(repeats).scores[1]) > fmean(found.standing(repeats).scores[0])


def test_whoever_fails_with_another_seed_is_out() -> None:
    found = race([FIRST, SECOND])
    failed = repeat(0, of=0, seed=1, accuracy=0.1, ended=State.FAILED)

    standing = found.standing([failed])

    assert standing.left == {0: FAILED}
    assert standing.winner == 1
    assert found.decide(situation([failed])) == Finish()


def test_where_all_fail_the_best_of_the_search_stays() -> None:
    failed = [repeat(n, of=n, seed=1, accuracy=0.1, ended=State.FAILED) for n in (0, 1)]

    assert race([FIRST, SECOND]).standing(failed).winner == 0


def test_a_round_that_is_not_whole_does_not_count() -> None:
    one_of_two = [repeat(0, of=1, seed=1, accuracy=0.99)]

    standing = race([FIRST, SECOND]).standing(one_of_two)

    assert standing.scores == {0: (0.90,), 1: (0.89,)}


def test_no_round_begins_that_the_share_of_training_does_not_pay() -> None:
    each = FIRST.train_seconds

    repeats = played(race([FIRST, SECOND], seconds=4.5 * each), {0: [0.9] * 9, 1: [0.9] * 9})

    assert [seed_of(r) for r in repeats] == [1, 1, 2, 2]


def test_it_begins_where_a_round_can_be_paid_or_has_been() -> None:
    each = FIRST.train_seconds
    done = [repeat(n, of=n, seed=1, accuracy=0.9) for n in (0, 1)]
    poor = race([FIRST, SECOND], seconds=1.9 * each)

    assert race([FIRST, SECOND], seconds=2 * each).may_begin([], None)
    assert not poor.may_begin([], None)
    assert poor.may_begin(done, None)
    assert not race([FIRST, SECOND]).may_begin([], 0.9 * each)
    assert not race([FIRST]).may_begin([], None)


def test_no_round_begins_that_the_clock_would_cut_off() -> None:
    each = FIRST.train_seconds
    found = race([FIRST, SECOND], workers=1)

    assert found.decide(situation([], left=2.3 * each)) == Start(EPOCHS)
    assert found.decide(situation([], left=2.1 * each)) == Finish(), "estimates err"
    assert found.decide(situation([], left=0.0)) == Finish()
    assert race([FIRST, SECOND]).decide(situation([], left=1.2 * each)) == Start(EPOCHS), "two workers halve it"
    slow = [replace(t, results=(replace(t.results[0], eval_seconds=each),)) for t in (FIRST, SECOND)]
    assert race(slow, workers=1).decide(situation([], left=2.3 * each)) == Finish(), "an evaluation takes time, too"


def test_a_round_that_has_begun_is_ended_whatever_it_costs() -> None:
    """A seed of which only some finalists have a score would be worth nothing."""
    each = FIRST.train_seconds
    slow = trial_at(0, {EPOCHS: 0.9}, ended=State.COMPLETE, seconds=3 * each, params={FINALIST: 0, SEED: 1})

    found = race([FIRST, SECOND], seconds=2 * each)

    assert found.draw([slow]) == {FINALIST: 1, SEED: 1}


def test_who_comes_to_a_race_that_is_over_repeats_no_more_than_is_paid_for() -> None:
    each = FIRST.train_seconds
    two = played(race([FIRST, SECOND], seconds=4 * each), {0: [0.9] * 9, 1: [0.9] * 9})
    three = race(seconds=5 * each)

    assert [seed_of(r) for r in two] == [1, 1, 2, 2]
    assert three.draw(two) == {FINALIST: 2, SEED: 1}
    assert three.decide(situation([*two, repeat(4, of=2, seed=1, accuracy=0.9)])) == Finish(), (
        "nothing is left to spend"
    )


def test_it_waits_for_a_slot_and_for_what_runs() -> None:
    running = [repeat(n, of=n, seed=s, accuracy=None) for n in (0, 1) for s in (1,)]
    found = race([FIRST, SECOND], seconds=2 * FIRST.train_seconds)

    assert found.decide(situation([], free=False)) == Wait()
    assert found.decide(situation(running)) == Wait()


def test_what_was_interrupted_goes_on_first() -> None:
    stopped = after(trial_at(0, {}, params={FINALIST: 1, SEED: 1}), ordered(EPOCHS), {"kind": "released", "at": 0.0})

    assert race([FIRST, SECOND]).decide(situation([stopped])) == Resume(0, EPOCHS)
    assert race([FIRST, THIRD]).decide(situation([stopped])) == Start(EPOCHS), "not what no longer takes part"


def test_what_a_clock_cut_off_is_begun_anew() -> None:
    cut = trial_at(0, {1.0: 0.4}, ended=State.PRUNED, params={FINALIST: 0, SEED: 1})

    assert race([FIRST, SECOND]).draw([cut]) == {FINALIST: 0, SEED: 1}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.floats(0.6, 0.99), min_size=MOST_ROUNDS, max_size=MOST_ROUNDS), min_size=2, max_size=4),
    st.floats(0, 30),
)
def test_whatever_comes_it_ends_with_a_winner_within_its_share(accuracies: list[list[float]], share: float) -> None:
    found = [trial_at(n, {EPOCHS: 0.9}, ended=State.COMPLETE) for n in range(len(accuracies))]
    running = race(found, seconds=share)

    repeats = played(running, dict(enumerate(accuracies)))

    standing = running.standing(repeats)
    assert sum(r.train_seconds for r in repeats) <= share + 1e-9
    assert standing.winner in standing.scores
    assert standing.winner not in standing.left
    assert len({len(standing.scores[n]) for n in standing.racing}) == 1, "who is left has as many seeds"


# What is kept


@pytest.fixture
def repeats(ground: Ground, small_space: SearchSpace) -> Repeats:
    return Repeats(study=NAME, space=small_space, store=ground.store, searched=[FIRST, SECOND])


def test_a_repeat_has_the_configuration_of_its_finalist_and_a_seed_of_its_own(repeats: Repeats) -> None:
    begun = [repeats.begin_trial({FINALIST: 1, SEED: seed}) for seed in (1, 2)]

    assert [item.config.seed for item in begun] == [SECOND.config.seed + 1, SECOND.config.seed + 2]
    assert {item.config.training for item in begun} == {SECOND.config.training}


def test_repeats_are_no_trials_of_the_study(repeats: Repeats, ground: Ground) -> None:
    repeats.begin_trial({FINALIST: 0, SEED: 1})

    assert ground.store.trials(NAME) == []


def test_another_driver_goes_on_with_them(repeats: Repeats, ground: Ground, small_space: SearchSpace) -> None:
    repeats.begin_trial({FINALIST: 0, SEED: 1})
    repeats.record(0, ordered(EPOCHS))
    repeats.begin_trial({FINALIST: 1, SEED: 1})
    for record in (ordered(EPOCHS), result(EPOCHS), reached(EPOCHS)):
        repeats.record(1, record if isinstance(record, dict) else to_record(record))

    again = Repeats(study=NAME, space=small_space, store=ground.store, searched=[FIRST, SECOND])
    again.recover()

    assert [item.state for item in again.trials] == [State.PAUSED, State.COMPLETE]
    assert again.trials[0].is_owed


def test_a_study_remembers_how_a_race_ended(ground: Ground) -> None:
    study = open_study(ground.store)
    standing = Standing(scores={3: (0.9, 0.8), 1: (0.85,)}, left={1: WORSE})
    assert remembered_standing(study) is None

    remember_standing(study, standing)

    assert remembered_standing(study) == standing


def test_a_race_decides_only_among_those_that_were_in_it() -> None:
    standing = Standing(scores={0: (0.90, 0.80), 1: (0.89, 0.89)}, left={})
    better = trial_at(2, {EPOCHS: 0.95}, ended=State.COMPLETE)

    assert winner_of([FIRST, SECOND], METRIC, None) == FIRST
    assert winner_of([FIRST, SECOND], METRIC, standing) == SECOND
    assert winner_of([FIRST, SECOND, better], METRIC, standing) == better
    assert winner_of([], METRIC, standing) is None


def test_of_equal_means_the_better_in_the_search_wins() -> None:
    assert Standing(scores={7: (0.9, 0.8), 1: (0.8, 0.9)}, left={}).winner == 7
