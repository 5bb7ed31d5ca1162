"""What follows when no more trials are trained."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from search_samples import DATA, NAME, PLAN, Ground, trial_at

from search.ending import LAST_SECONDS, MOST_OF_LIMIT, TEST_MARGIN, Ending
from search.ensemble import remembered_ensemble
from search.executors.scripted import Script, ScriptedExecutor, curve
from search.notices import Notice
from search.refit import MARGIN_SECONDS
from search.request import Request
from search.schedulers.closing import MARGIN
from search.schedulers.closing import MARGIN_SECONDS as CLOSING_SECONDS
from search.store import read_logs
from search.trials import State, Trial
from search.winner import remembered_standing
from spaces import Constraints
from trainer.config import JobConfig
from trainer.jobfiles import PREDICTIONS
from trainer.orders import Order, TrainOrder
from trainer.settings import Scoring

NUM_VAL = 400


def write_predictions(directory: Path, accuracy: float, *, seed: int) -> None:
    """Leave what a network of this accuracy answers; it errs on images of its own."""
    labels = np.arange(NUM_VAL) % 2
    wrong = np.random.default_rng(seed).permutation(NUM_VAL)[: round((1 - accuracy) * NUM_VAL)]
    told = labels.copy()
    told[wrong] = 1 - told[wrong]
    directory.mkdir(parents=True, exist_ok=True)
    np.savez(directory / PREDICTIONS, logits=4 * np.eye(2, dtype=np.float32)[told], labels=labels)


class Writing(ScriptedExecutor):
    """Scripted jobs that leave predictions."""

    limits: ClassVar[list[Mapping[str, float]]] = []  # of the orders so far

    def start(self, number: int, order: Order) -> None:
        assert isinstance(order, TrainOrder)
        self.limits.append(order.limits)
        write_predictions(order.directory, accuracy_of(order.config), seed=order.config.seed)
        super().start(number, order)


def accuracy_of(config: JobConfig) -> float:
    """A configuration is the better with other seeds, the smaller its rate is."""
    return 0.9 - config.optimizer.lr


def learns(_number: int, config: JobConfig) -> Script:
    return Script(results=curve([accuracy_of(config)] * 9))


def complete(number: int, accuracy: float, *, rate: float, store_of: Ground, seconds: float = 1.0) -> Trial:
    trial = trial_at(number, {1.0: 0.5, 3.0: 0.6, 9.0: accuracy}, ended=State.COMPLETE, seconds=seconds)
    write_predictions(store_of.store.job(NAME, number), accuracy, seed=number)
    return replace(trial, config=replace(trial.config, optimizer=replace(trial.config.optimizer, lr=rate)))


@pytest.fixture
def ending(ground: Ground, asked: Request) -> Ending:
    study = ground.study()
    return Ending(
        request=replace(asked, races=True, refits=True),
        store=ground.store,
        study=replace(study, name=NAME),
        data=replace(DATA, num_val=NUM_VAL),
        plan=PLAN,
        executor=Writing(learns, num_slots=2),
        watch=lambda notice: None,
        is_interrupted=lambda: False,
        deadline=None,
        seconds_behind=lambda trials: 0.0,
    )


@pytest.fixture
def finalists(ground: Ground) -> list[Trial]:
    """Two that are close, the luckier of which is the worse with other seeds; and many that paid for a race."""
    close = [
        complete(0, 0.90, rate=0.04, store_of=ground),
        complete(1, 0.89, rate=0.01, store_of=ground),
    ]
    return [*close, *(trial_at(n, {1.0: 0.2}, ended=State.PRUNED, seconds=2.0) for n in range(2, 30))]


def test_the_race_finds_who_was_lucky(ending: Ending, finalists: list[Trial]) -> None:
    standing = ending.race(finalists)

    assert standing is not None
    assert standing.winner == 1
    assert standing == remembered_standing(ending.study)
    assert len(read_logs(ending.store.race(NAME))) == 2 * standing.num_rounds


def test_a_race_is_told_by_its_finalists(ending: Ending, finalists: list[Trial]) -> None:
    told: list[Notice] = []

    replace(ending, watch=told.append).race(finalists)

    (begun,) = (notice for notice in told if notice.kind == "race")
    assert begun.values["finalists"] == [0, 1]
    repeated = [notice for notice in told if notice.kind == "repeated"]
    assert {notice.trial.number for notice in repeated if notice.trial} == {0, 1}
    assert all(notice.values["val/accuracy"] > 0.8 for notice in repeated)
    assert not [notice for notice in told if notice.kind in ("complete", "ordered", "started")], "they are no trials"


def test_without_wish_or_rivals_or_pay_there_is_no_race(ending: Ending, finalists: list[Trial], ground: Ground) -> None:
    told: list[Notice] = []
    ending = replace(ending, watch=told.append)

    assert replace(ending, request=replace(ending.request, races=False)).race(finalists) is None
    assert ending.race(finalists[:1]) is None
    assert told == []
    assert ending.race(finalists[:2]) is None
    assert [notice.kind for notice in told] == ["no_race"], "a quarter of two trials pays for no repeat"


def test_finalists_were_weighed_already(ending: Ending, finalists: list[Trial]) -> None:
    """With another seed a forest has other nodes: what is a little over a limit then is no other configuration."""
    limited = replace(ending.request.space, constraints=Constraints(parameters=1.0))

    standing = replace(ending, request=replace(ending.request, space=limited)).race(finalists)

    assert standing is not None
    assert isinstance(ending.executor, Writing)
    assert ending.executor.limits
    assert not any(ending.executor.limits)


def test_where_nothing_else_can_tell_each_finalist_races_once(ending: Ending, ground: Ground) -> None:
    perfect = [complete(number, 1.0, rate=0.01 * (number + 1), store_of=ground) for number in range(4)]

    standing = ending.race(perfect)

    assert standing is not None
    assert (standing.num_rounds, standing.winner) == (1, 0), "a round takes as long as all of the search has trained"


def test_an_interrupted_race_goes_on(ending: Ending, finalists: list[Trial]) -> None:
    assert replace(ending, is_interrupted=lambda: True).race(finalists) is None
    assert remembered_standing(ending.study) is None

    standing = replace(ending, executor=Writing(learns, num_slots=2)).race(finalists)

    assert standing is not None
    assert standing.winner == 1


def test_time_is_kept_free_for_what_is_not_uploaded_yet(ending: Ending, finalists: list[Trial]) -> None:
    limited = replace(ending, request=replace(ending.request, timeout_seconds=1e6), deadline=time.monotonic() + 1e6)
    kept = limited.kept_free(finalists)

    assert replace(limited, seconds_behind=lambda _: kept / 2).kept_free(finalists) == pytest.approx(kept), "beside it"
    assert replace(limited, seconds_behind=lambda _: kept + 9).kept_free(finalists) == kept + 9
    assert replace(ending, seconds_behind=lambda _: 9.0).kept_free(finalists) == 0, "there is no limit"


def test_time_is_kept_free_for_race_and_refit(ending: Ending, finalists: list[Trial]) -> None:
    def free(limit: float | None, **wishes: bool) -> float:
        request = replace(ending.request, timeout_seconds=limit, **wishes)
        deadline = None if limit is None else time.monotonic() + limit
        return replace(ending, request=request, deadline=deadline).kept_free(finalists)

    seconds = finalists[0].train_seconds / 9 * ending.request.space.budget.epochs
    both, refit = free(1e6), free(1e6, races=False)
    assert refit > MARGIN_SECONDS
    assert both - refit == pytest.approx(2 * seconds), "two rounds of two finalists, with two workers"
    assert free(1e6, races=False, refits=False) == LAST_SECONDS, "the test images take no time that could be measured"
    assert free(1e6, races=False, refits=False, reads_test=False) == 0.0
    assert free(None) == 0.0
    assert free(0.9 * seconds / MOST_OF_LIMIT, refits=False, reads_test=False) == 0.0, "one round would be too dear"


def test_time_is_kept_free_for_the_test_split(ending: Ending) -> None:
    request = replace(ending.request, races=False, refits=False, timeout_seconds=1e6)
    ending = replace(ending, request=request, data=replace(DATA, num_test=500), deadline=time.monotonic() + 1e6)
    trial = trial_at(0, {1.0: 0.5})
    last = replace(trial.results[0], eval_seconds=2.0, val_images=100)
    dear = replace(trial.config, scoring=Scoring(tta="flip_shift"))

    assert ending.kept_free([replace(trial, results=(last,))]) == pytest.approx(TEST_MARGIN * 10 + LAST_SECONDS)
    in_six_views = ending.kept_free([replace(trial, results=(last,), config=dear)])
    assert in_six_views == pytest.approx(TEST_MARGIN * 60 + LAST_SECONDS)


def test_while_nothing_is_complete_race_and_refit_give_way_to_what_may_become_so(ending: Ending) -> None:
    slow, quick = trial_at(0, {1.0: 0.5, 3.0: 0.6}, seconds=50.0), trial_at(1, {1.0: 0.4}, seconds=2.0)
    request = replace(ending.request, timeout_seconds=2000.0)

    def left(seconds: float, *items: Trial) -> float:
        near = replace(ending, request=request, deadline=time.monotonic() + seconds)
        return seconds - near.kept_free(items)

    assert left(1000.0, slow, quick) < 700, "time for all of it"
    needed = 8 * 2.0 * MARGIN + CLOSING_SECONDS
    assert left(300.0, slow, quick) == pytest.approx(needed, abs=1.0)
    done = trial_at(1, {1.0: 0.4, 3.0: 0.5, 9.0: 0.6}, seconds=2.0, ended=State.COMPLETE)
    assert left(20.0, slow, done) < 0


def test_trials_that_are_better_together_are_remembered_as_an_offer(ending: Ending, ground: Ground) -> None:
    trials = [complete(n, 0.80 - 0.001 * n, rate=0.01, store_of=ground) for n in range(5)]

    found = ending.ensemble(trials, trials[0])

    assert found is not None
    assert found == remembered_ensemble(ending.study)
    assert ending.ensemble(trials[:1], trials[0]) is None
    assert remembered_ensemble(ending.study) is None, "an offer that no longer stands is taken back"


def test_a_winner_that_was_cut_short_has_no_ensemble(ending: Ending, ground: Ground) -> None:
    pruned = replace(complete(0, 0.8, rate=0.01, store_of=ground), state=State.PRUNED)

    assert ending.ensemble([pruned], pruned) is None
