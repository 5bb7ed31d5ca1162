"""What earlier studies found best, tried first in a new one.

Source: Feurer et al., 2015, "Initializing Bayesian hyperparameter optimization via meta-learning", AAAI: begin with the
best configurations of the most similar data sets. Ours are told apart by number, size, colours and classes of images.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from search.errors import StudyError
from search.store import Store
from search.study import Study, StudyStorage, load_study, study_names
from search.trials import State, Trial, merit
from spaces import Baseline, SearchSpace, Value
from trainer.config import JobConfig, flat
from trainer.data import DataSet
from trainer.errors import ConfigError

AUTO = "auto"
PROFILE, ATTRIBUTE = "autoclf.data_profile", "autoclf.warm_baselines"
MOST_STUDIES = 3  # that `auto` learns from
BEST_OF_EACH = 2
FARTHEST = 3.0  # of two sets of images that still have something in common: each feature counts about 1 by itself

Profile = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """An earlier study of the store."""

    name: str
    profile: Profile | None  # of its images; None where an earlier version made it
    best: tuple[JobConfig, ...]  # of its complete trials, best first


def profile_of(data: DataSet) -> dict[str, float]:
    """Return what is compared of two sets of images, each on a scale on which a difference of 1 is a large one."""
    height, width, channels = data.image_shape
    return {
        "images": math.log10(data.num_train),
        "classes": math.log10(len(data.class_names)),
        "pixels": math.log2(height * width) / 4,  # 1: four times as many a side
        "channels": 1.0 if channels == 1 else 0.0,
        "brightness": 2 * sum(data.mean) / len(data.mean),
        "contrast": 4 * sum(data.std) / len(data.std),
    }


def distance(one: Profile, other: Profile) -> float:
    """Return how different two sets of images are: 0 where nothing tells them apart."""
    return math.sqrt(sum((one[name] - other[name]) ** 2 for name in one))


def check_past(store: Store, storage: StudyStorage, names: Sequence[str]) -> None:
    """Check that something can be learnt from studies that are named.

    Raises:
        StudyError: If one is not there, or none of its trials was trained to the end.
    """
    for name in set(names) - {AUTO}:
        _past(store, storage, name, must_be_there=True)


def past_studies(store: Store, study: Study, names: Sequence[str]) -> list[Past]:
    """Return the earlier studies by name, or all but this one for `auto`.

    Raises:
        StudyError: If one is not there, or none of its trials was trained to the end.
    """
    if list(names) != [AUTO]:
        return [_past(store, study.storage, name, must_be_there=True) for name in names]
    others = (name for name in study_names(study.storage) if name != study.name)
    found = []
    for name in others:
        with suppress(ConfigError):  # a setting of it is none of this version: nothing can be learnt from it
            found.append(_past(store, study.storage, name, must_be_there=False))
    return [past for past in found if past.best]


def most_similar(past: Sequence[Past], data: DataSet) -> list[Past]:
    """Return the studies whose images are most like these, the most similar first."""
    mine = profile_of(data)
    near = [(distance(mine, item.profile), item) for item in past if item.profile is not None]
    near.sort(key=lambda pair: (pair[0], pair[1].name))
    return [item for apart, item in near if apart <= FARTHEST][:MOST_STUDIES]


def warm_baselines(space: SearchSpace, past: Sequence[Past]) -> tuple[Baseline, ...]:
    """Return what earlier studies found best, as far as this space has it: the best of each first, then the seconds.

    A value that a space does not have is left out and will be sampled; a configuration of which nothing is left, or
    that the space tries anyway, is left out altogether.
    """
    found: list[Baseline] = []
    known = [dict(baseline) for baseline in space.baselines]
    for place in range(BEST_OF_EACH):
        for item in past:
            if place < len(item.best):
                drawn = _fitting(space, item.best[place])
                if drawn and drawn not in known:
                    known.append(drawn)
                    found.append(Baseline(tuple(drawn.items())))
    return tuple(found)


def begin_warm(
    study: Study, store: Store, space: SearchSpace, data: DataSet, names: Sequence[str]
) -> tuple[tuple[Baseline, ...], tuple[str, ...]]:
    """Return what a study tries first of what others found best, and the studies that this was learnt from now.

    It is decided when the study begins, and remembered.

    Args:
        study: That begins, or goes on.
        store: Of the earlier studies.
        space: Of this one.
        data: Of this one.
        names: Of earlier studies, or `auto` alone.

    Raises:
        StudyError: If a study is not there, or this one has begun without.
    """
    known = remembered_baselines(study)
    if known is not None or not names:
        return known or (), ()
    if study.trials():
        raise StudyError(
            f"Study {study.name!r} has begun without --warm-start: leave that out, or begin another with "
            f"--study {study.name}-2."
        )
    past = past_studies(store, study, names)
    used = most_similar(past, data) if list(names) == [AUTO] else past
    baselines = warm_baselines(space, used)
    remember_baselines(study, baselines)
    return baselines, tuple(item.name for item in used)


def remembered_baselines(study: Study) -> tuple[Baseline, ...] | None:
    """Return what a study was begun with; None if that was not decided yet."""
    records = study.attributes.get(ATTRIBUTE)
    return None if records is None else tuple(Baseline(tuple(record.items())) for record in records)


def remember_baselines(study: Study, baselines: Sequence[Baseline]) -> None:
    """Keep what a study is begun with: the same is tried when it is resumed."""
    study.remember(ATTRIBUTE, [dict(baseline) for baseline in baselines])


def _past(store: Store, storage: StudyStorage, name: str, *, must_be_there: bool) -> Past:
    known: Mapping[str, Any] = load_study(storage, name).attributes
    objective = known.get("autoclf.objective")
    complete = [trial for trial in store.trials(name) if trial.state is State.COMPLETE and trial.results]
    if must_be_there and (objective is None or not complete):
        raise StudyError(f"Study {name!r} has no trial that was trained to the end: nothing can be learnt from it.")
    best: list[Trial] = []
    if objective is not None:
        best = sorted(complete, key=lambda trial: (merit(trial.results[-1], objective), -trial.number), reverse=True)
    return Past(name=name, profile=known.get(PROFILE), best=tuple(trial.config for trial in best[:BEST_OF_EACH]))


def _fitting(space: SearchSpace, config: JobConfig) -> dict[str, Value]:
    """Return the parameters of a space that take their values from a job, by name."""
    settings = flat(config)
    drawn: dict[str, Value] = {}
    for param in space.params:
        value = param.domain.fit(settings[param.path]) if param.path in settings and param.is_active(drawn) else None
        if value is not None:
            drawn[param.name] = value
    return drawn
