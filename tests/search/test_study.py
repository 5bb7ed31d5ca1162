"""The study as the driver writes it: everything may be told twice, and it belongs to one space, data set and seed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.exceptions import StorageInternalError
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from search_samples import METRIC, NAME, Ground, open_study

from search.errors import StudyError
from search.storage import open_storage
from search.store import Store
from search.study import Study, claim, load_study, study_names
from search.trials import State
from spaces import SearchSpace, Value, parse_space

PARAMS: Mapping[str, Value] = {"optimizer": "sgd", "optimizer.sgd.lr": 0.1}
DISTRIBUTIONS = {
    "optimizer": CategoricalDistribution(("sgd", "adamw")),
    "optimizer.sgd.lr": FloatDistribution(0.01, 1.0, log=True),
}
SPACE = """
budget: {rungs: [1, 3], eta: 3}
parameters:
  optimizer: {lr: {float: [0.01, 1.0], log: true}}
  training: {batch_size: 64}
baselines: [{optimizer.lr: 0.1}]
"""


@pytest.fixture
def study(ground: Ground) -> Study:
    return ground.study()


def _add(study: Study, uid: str = "u") -> int:
    return study.add_trial(PARAMS, DISTRIBUTIONS, uid=uid)


def _trial(study: Study, number: int) -> FrozenTrial:
    return study.trials()[number]


def test_a_trial_is_added_running_with_all_its_parameters(study: Study) -> None:
    number = _add(study)

    trial = _trial(study, number)
    assert (trial.number, trial.state, trial.params) == (0, TrialState.RUNNING, PARAMS)
    assert trial.distributions == DISTRIBUTIONS


def test_a_trial_whose_answer_is_lost_is_not_added_again(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    create = study.storage.create_new_trial
    answers = iter([StorageInternalError("The connection was lost."), None])

    def create_and_lose_the_answer(*args: Any) -> int:
        found = create(*args)
        if error := next(answers):
            raise error
        return found

    monkeypatch.setattr(study.storage, "create_new_trial", create_and_lose_the_answer)
    numbers = [_add(study, "a"), _add(study, "b")]

    assert numbers == [0, 1]
    assert [trial.user_attrs["autoclf.uid"] for trial in study.trials()] == ["a", "b"]


def test_a_value_that_is_reported_again_is_replaced(study: Study) -> None:
    number = _add(study)

    for value in (0.3, 0.4):
        study.report(number, step=100, value=value)
    study.report(number, step=300, value=0.5)

    assert _trial(study, number).intermediate_values == {100: 0.4, 300: 0.5}


@pytest.mark.parametrize(
    ("state", "value", "told", "kept"),
    [
        (State.COMPLETE, 0.75, TrialState.COMPLETE, 0.75),
        (State.PRUNED, 0.75, TrialState.PRUNED, 0.5),  # what it read last
        (State.FAILED, None, TrialState.FAIL, None),
        (State.FAILED, 0.75, TrialState.FAIL, None),
    ],
)
def test_a_trial_ends_as_told(
    study: Study, state: State, value: float | None, told: TrialState, kept: float | None
) -> None:
    number = _add(study)
    study.report(number, step=100, value=0.5)

    study.tell(number, state, value)

    assert (_trial(study, number).state, _trial(study, number).value) == (told, kept)


def test_a_trial_that_has_ended_stays_as_it_is(study: Study) -> None:
    number = _add(study)
    study.tell(number, State.COMPLETE, 0.75)
    ended = _trial(study, number)

    study.tell(number, State.COMPLETE, 0.75)
    study.tell(number, State.FAILED, None)
    study.report(number, step=100, value=0.1)
    study.describe(number, "autoclf.reason", "late")

    assert _trial(study, number) == ended


def test_what_is_said_of_a_trial_is_kept_with_it(study: Study) -> None:
    number = _add(study)

    study.describe(number, "autoclf.epochs", 3.0)

    assert _trial(study, number).user_attrs == {"autoclf.uid": "u", "autoclf.epochs": 3.0}


def test_what_is_remembered_is_there_for_the_next_driver(ground: Ground) -> None:
    ground.study().remember("plan", {"workers": 2, "rates": [1.5, None]})

    assert ground.study().attributes["plan"] == {"workers": 2, "rates": [1.5, None]}


@pytest.mark.parametrize(
    ("objective", "direction"),
    [
        ("val/accuracy", StudyDirection.MAXIMIZE),
        ("val/top5_accuracy", StudyDirection.MAXIMIZE),
        ("val/loss", StudyDirection.MINIMIZE),
    ],
)
def test_the_objective_gives_the_direction(ground: Ground, objective: str, direction: StudyDirection) -> None:
    assert ground.study(objective).study.direction is direction


def test_an_existing_study_is_opened_by_its_name(stocked: Store) -> None:
    _add(open_study(stocked))

    loaded = load_study(open_storage(stocked.study_url), NAME)

    assert len(loaded.trials()) == 1
    assert loaded.objective == METRIC


def test_an_unknown_study_is_answered_with_the_nearest_and_all_others(stocked: Store) -> None:
    open_study(stocked)

    with pytest.raises(
        StudyError, match=r"No study is called 'studi'\. Did you mean 'study'\? Known: study, template\."
    ):
        load_study(open_storage(stocked.study_url), "studi")


def test_an_empty_store_holds_no_study(store: Store) -> None:
    with pytest.raises(StudyError, match=r"No study is called 'x'\. The store holds no study yet\."):
        load_study(open_storage(store.study_url), "x")


def test_studies_of_one_database_are_listed_and_kept_apart(stocked: Store) -> None:
    first, second = open_study(stocked, name="b"), open_study(stocked, name="a")
    _add(first, "same")

    assert _add(second, "same") == 0
    assert study_names(open_storage(stocked.study_url)) == ["a", "b", "template"]


# To whom a study belongs


def _space(text: str = SPACE, name: str = "my") -> SearchSpace:
    return parse_space(text, file=Path(f"{name}.yaml"))


def _claim(study: Study, space: SearchSpace, *, data: str = "d1", seed: int = 0) -> None:
    claim(study, space=space, space_text="text", data=data, seed=seed)


def _refusal(study: Study, space: SearchSpace, *, data: str = "d1", seed: int = 0) -> str:
    with pytest.raises(StudyError) as caught:
        _claim(study, space, data=data, seed=seed)
    return str(caught.value)


def test_a_study_remembers_what_it_was_made_with(study: Study) -> None:
    _claim(study, _space(), seed=4)

    known = study.attributes
    assert known["autoclf.space"] == _space().fingerprint
    assert known["autoclf.space_text"] == "text"
    assert (known["autoclf.data"], known["autoclf.seed"], known["autoclf.objective"]) == ("d1", 4, METRIC)


def test_the_same_again_is_welcome(study: Study) -> None:
    _claim(study, _space())
    known = study.attributes

    _claim(study, _space(name="other"))  # the name decides nothing

    assert study.attributes == known


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        ("[0.01, 1.0]", "[0.01, 2.0]", "optimizer.lr was 0.01 … 1 (log), is 0.01 … 2 (log)"),
        (", log: true", "", "optimizer.lr was 0.01 … 1 (log), is 0.01 … 1"),
        ("batch_size: 64", "batch_size: 32", "training.batch_size was 64, is 32"),
        ("batch_size: 64", "ema: 0.9", "training.batch_size was 64, is absent; training.ema was absent, is 0.9"),
        ("[1, 3]", "[1, 9]", "budget.rungs was [1.0, 3.0], is [1.0, 9.0]"),
        ("budget:", "objective: val/loss\nbudget:", "objective was val/accuracy, is val/loss"),
    ],
)
def test_another_space_is_refused_with_what_differs(study: Study, old: str, new: str, difference: str) -> None:
    _claim(study, _space())

    refusal = _refusal(study, _space(SPACE.replace(old, new)))

    assert refusal == (
        f"Study '{study.name}' was made with another space ({difference}). "
        f"Resume it with `autoclf resume {study.name}`, or start anew: --study {study.name}-2"
    )


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("eta: 3", "eta: 2", r"\beta was 3, is 2\b"),
        ("optimizer.lr: 0.1", "optimizer.lr: 0.2", "baseline"),
        ("budget:", "data: {val_fraction: 0.3}\nbudget:", "val_fraction"),
    ],
)
def test_whatever_differs_in_the_space_is_named(study: Study, old: str, new: str, named: str) -> None:
    _claim(study, _space())

    assert re.search(named, _refusal(study, _space(SPACE.replace(old, new))))


def test_other_data_are_refused(study: Study) -> None:
    _claim(study, _space())

    refusal = _refusal(study, _space(), data="d2")

    assert "was made with another data: the images, labels or splits are not the same." in refusal


def test_another_seed_is_refused_with_both(study: Study) -> None:
    _claim(study, _space(), seed=1)

    assert "was made with another seed (it was 1, is 2)." in _refusal(study, _space(), seed=2)


def test_everything_that_is_another_is_named(study: Study) -> None:
    _claim(study, _space(), seed=1)

    refusal = _refusal(study, _space(SPACE.replace("64", "32")), data="d2", seed=2)

    assert "was made with another space and another data and another seed (training.batch_size" in refusal


def test_a_refusal_changes_nothing(study: Study) -> None:
    _claim(study, _space())
    known = study.attributes

    _refusal(study, _space(), seed=2)

    assert study.attributes == known


class Crash(BaseException):
    """The process dies."""


@dataclass
class Faltering:
    """An Optuna study that takes a number of values; at the next one the process dies."""

    whole: optuna.Study
    num_left: int

    @property
    def user_attrs(self) -> dict[str, object]:
        return self.whole.user_attrs

    def set_user_attr(self, name: str, value: object) -> None:
        if not self.num_left:
            raise Crash
        self.num_left -= 1
        self.whole.set_user_attr(name, value)


@pytest.mark.parametrize("num_written", range(6))
def test_a_claim_that_a_crash_cut_short_is_made_again(study: Study, ground: Ground, num_written: int) -> None:
    other = ground.study(beside="-other")
    _claim(other, _space(), seed=3)
    faltering = replace(study, study=cast("optuna.Study", Faltering(study.study, num_written)))
    with pytest.raises(Crash):
        _claim(faltering, _space(), seed=3)

    _claim(study, _space(), seed=3)

    assert study.attributes == other.attributes
