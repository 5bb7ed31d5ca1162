"""What earlier studies found best, tried first in a new one."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from search_samples import DATA, PARAMS, Ground, open_study, trial_at

from search import eventlog, trials
from search.errors import StudyError
from search.store import Store
from search.study import Study
from search.trials import State
from search.warm_start import (
    AUTO,
    PROFILE,
    Past,
    begin_warm,
    distance,
    most_similar,
    past_studies,
    profile_of,
    remembered_baselines,
    warm_baselines,
)
from spaces import Baseline, SearchSpace, Value
from trainer.config import flat, job_config
from trainer.data import DataSet
from trainer.results import to_record

PHOTOS = replace(DATA, image_shape=(256, 256, 3), num_train=200_000, mean=(0.5,) * 3, std=(0.2,) * 3)
SGD: Mapping[str, Value] = {"optimizer": "sgd", "optimizer.lr": 0.1, "training.batch_size": 32}
ADAMW: Mapping[str, Value] = {"optimizer": "adamw", "optimizer.lr": 0.002, "training.batch_size": 64}


def past(name: str, *settings: Mapping[str, Value], data: DataSet | None = DATA) -> Past:
    profile = None if data is None else profile_of(data)
    return Past(name=name, profile=profile, best=tuple(job_config(item) for item in settings))


def finished(study: Study, store: Store, found: Mapping[float, Mapping[str, Value]], data: DataSet = DATA) -> None:
    """Leave an earlier study with trials of these accuracies."""
    study.remember("autoclf.objective", "val/accuracy")
    study.remember(PROFILE, profile_of(data))
    for number, (accuracy, settings) in enumerate(found.items()):
        trial = trial_at(number, {9.0: accuracy}, ended=State.COMPLETE)
        path = store.log(study.name, number)
        path.parent.mkdir(parents=True)
        config = flat(job_config(settings))
        eventlog.append(path, trials.created(number=number, uid=str(number), params={}, config=config, at=0.0))
        for result in trial.results:
            eventlog.append(path, to_record(result))
        eventlog.append(path, trials.ended(State.COMPLETE, at=1.0))


# Of images


def test_images_that_are_alike_are_near() -> None:
    near, far = replace(DATA, num_train=900, mean=(0.52,)), PHOTOS
    mine = profile_of(DATA)

    assert distance(mine, mine) == 0
    assert distance(mine, profile_of(near)) < 0.2 < 3.0 < distance(mine, profile_of(far))
    assert distance(mine, profile_of(far)) == distance(profile_of(far), mine)


def test_the_most_similar_come_first_and_what_has_nothing_in_common_is_left_out() -> None:
    like, very_like = replace(DATA, num_train=8000), replace(DATA, num_train=810)
    known = [past("photos", SGD, data=PHOTOS), past("like", SGD, data=like), past("very", SGD, data=very_like)]

    assert [item.name for item in most_similar([*known, past("old", SGD, data=None)], DATA)] == ["very", "like"]


# Of configurations


def test_the_best_of_each_study_goes_before_the_seconds(small_space: SearchSpace) -> None:
    space = replace(small_space, baselines=())
    second = {**SGD, "optimizer.lr": 0.05}

    found = warm_baselines(space, [past("one", SGD, second), past("other", ADAMW)])

    assert [baseline["optimizer"] for baseline in found] == ["sgd", "adamw", "sgd"]
    assert [baseline.get("optimizer.sgd.lr") for baseline in found] == [0.1, None, 0.05]
    assert found[1]["optimizer.adamw.lr"] == 0.002


def test_what_a_space_does_not_have_is_left_to_the_sampler(small_space: SearchSpace) -> None:
    space = replace(small_space, baselines=())
    foreign = {**SGD, "training.batch_size": 48, "optimizer.lr": 77.0}

    (found,) = warm_baselines(space, [past("one", foreign)])

    assert "training.batch_size" not in found
    assert "optimizer.sgd.lr" not in found
    assert found["optimizer"] == "sgd"


def test_what_is_tried_anyway_or_twice_is_left_out(small_space: SearchSpace) -> None:
    space = replace(small_space, baselines=())
    (known,) = warm_baselines(space, [past("one", SGD)])

    assert warm_baselines(space, [past("one", SGD), past("two", SGD)]) == (known,)
    assert warm_baselines(replace(space, baselines=(known,)), [past("one", SGD)]) == ()


# Of studies


def test_the_best_complete_trials_of_a_named_study_are_tried(stocked: Store, small_space: SearchSpace) -> None:
    finished(open_study(stocked, "before"), stocked, {0.7: ADAMW, 0.9: SGD, 0.5: {**SGD, "optimizer.lr": 0.9}})
    study = open_study(stocked, "now")

    baselines, learnt_from = begin_warm(study, stocked, small_space, DATA, ["before"])

    assert learnt_from == ("before",)
    assert [baseline["optimizer"] for baseline in baselines] == ["sgd", "adamw"]
    assert remembered_baselines(study) == baselines


def test_auto_takes_similar_studies_and_not_itself(stocked: Store, small_space: SearchSpace) -> None:
    finished(open_study(stocked, "photos"), stocked, {0.9: ADAMW}, PHOTOS)
    finished(open_study(stocked, "letters"), stocked, {0.9: SGD})
    open_study(stocked, "empty")
    study = open_study(stocked, "now")

    assert {item.name for item in past_studies(stocked, study, [AUTO])} == {"photos", "letters"}
    assert begin_warm(study, stocked, small_space, DATA, [AUTO])[1] == ("letters",)


def test_a_study_with_settings_that_this_version_does_not_know_is_passed_over(
    stocked: Store, small_space: SearchSpace
) -> None:
    finished(open_study(stocked, "letters"), stocked, {0.9: SGD})
    old = open_study(stocked, "old")
    finished(old, stocked, {0.9: SGD})
    path = stocked.log("old", 1)
    path.parent.mkdir()
    eventlog.append(path, trials.created(number=1, uid="1", params={}, config={"optimizer.gone": 1.0}, at=0.0))

    assert {item.name for item in past_studies(stocked, open_study(stocked, "now"), [AUTO])} == {"letters"}


def test_what_was_decided_stays_when_the_study_goes_on(stocked: Store, small_space: SearchSpace) -> None:
    finished(open_study(stocked, "before"), stocked, {0.9: SGD})
    study = open_study(stocked, "now")
    first, _ = begin_warm(study, stocked, small_space, DATA, ["before"])
    finished(open_study(stocked, "later"), stocked, {0.99: ADAMW})

    assert begin_warm(study, stocked, small_space, DATA, [AUTO]) == (first, ())
    assert begin_warm(study, stocked, small_space, DATA, []) == (first, ())


def test_a_study_that_has_begun_is_not_warmed(ground: Ground, small_space: SearchSpace) -> None:
    book = ground.book(small_space)
    book.begin_trial(PARAMS)

    with pytest.raises(StudyError, match="has begun without --warm-start"):
        begin_warm(book.study, ground.store, small_space, DATA, [AUTO])


def test_a_study_that_is_not_there_or_has_nothing_is_told(stocked: Store, small_space: SearchSpace) -> None:
    open_study(stocked, "empty")
    study = open_study(stocked, "now")

    with pytest.raises(StudyError, match=r"No study is called 'befor'"):
        begin_warm(study, stocked, small_space, DATA, ["befor"])
    with pytest.raises(StudyError, match="'empty' has no trial that was trained to the end"):
        begin_warm(study, stocked, small_space, DATA, ["empty"])


def test_baselines_are_as_they_were_when_they_are_read_again(stocked: Store, small_space: SearchSpace) -> None:
    finished(open_study(stocked, "before"), stocked, {0.9: SGD})

    baselines, _ = begin_warm(open_study(stocked, "now"), stocked, small_space, DATA, ["before"])

    assert all(isinstance(baseline, Baseline) for baseline in baselines)
    assert remembered_baselines(open_study(stocked, "now")) == baselines
