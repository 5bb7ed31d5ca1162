"""One job as a search of one configuration: it is tracked, resumed and promoted like any trial.

A single job is written down as a space without ranges, so that nothing downstream has to know of it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import yaml

from search.errors import StudyError
from search.resume import remembered_request
from search.store import Store
from spaces import Choice, DataSpec, Objective, SearchSpace, Value, read_settings, read_text
from trainer.config import VARIANTS, JobConfig, flat, job_config, variant_name
from trainer.errors import did_you_mean

OF_IMAGES = "data."
ON_TRAINING_IMAGES = ("training.images", "train")  # which the form of a space leaves to the search
OTHER_THAN_TRAINING = ("data", "seed")  # settings of a job that its space has no say in


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """A job to be run by itself."""

    name: str  # of what it was taken from
    settings: Mapping[str, Value]  # flat, all but `data` and `seed`
    data: DataSpec
    objective: Objective
    source: str | None  # of the images, where known
    seed: int
    data_dir: Path | None = None  # where data sets lay


def from_space(space: SearchSpace) -> Single:
    """Take what a space tries first: its first baseline; what that leaves open gets the job's default."""
    drawn: dict[str, Value] = dict(space.baselines[0]) if space.baselines else {}
    for param in space.params:
        is_open = param.is_active(drawn) and param.name not in drawn
        if is_open and param.path in VARIANTS and isinstance(param.domain, Choice):
            default = variant_name(param.path, getattr(JobConfig(), param.path))
            drawn[param.name] = default if param.domain.contains(default) else param.domain.options[0]
    fixed = {item.path: item.value for item in space.constants if item.is_active(drawn)}
    chosen = {param.path: drawn[param.name] for param in space.active(drawn) if param.name in drawn}
    return Single(
        name=space.name,
        settings={"training.epochs": space.budget.epochs, **fixed, **chosen},
        data=space.data,
        objective=space.objective,
        source=space.data.source,
        seed=0,
    )


def from_trial(name: str, *, store: Path, storage: str | None) -> Single:
    """Take the configuration of a trial, the machine's part of it included, named as `STUDY:NUMBER`.

    Raises:
        StudyError: If the name has another form, or there is no such trial.
    """
    study, _, number = name.rpartition(":")
    if not study or not number.isdecimal():
        raise StudyError(f"A trial is named STUDY:NUMBER, such as digits:3; got {name!r}.")
    request = remembered_request(study, store=store, storage=storage, cache=Path())
    trials = {str(trial.number): trial for trial in Store(store).trials(study)}
    if str(int(number)) not in trials:
        raise StudyError(f"Study {study!r} has no trial {number}; it has {len(trials)}, counted from 0.")
    config = trials[str(int(number))].config
    return Single(
        name=f"{study}-{number}",
        settings={p: v for p, v in flat(config).items() if p not in OTHER_THAN_TRAINING and v is not None},
        data=request.space.data,
        objective=request.space.objective,
        source=request.source,
        seed=config.seed,
        data_dir=request.data_dir,
    )


def from_file(path: Path) -> Single:
    """Take the settings in a YAML file, such as the `config.yaml` that each trial logs.

    Raises:
        SpaceError: If it can't be read, or holds more than settings.
        ConfigError: If its seed is none.
    """
    written = read_settings(read_text(path), name=str(path))
    settings, data = _parted(written, DataSpec())
    return Single(
        name=path.stem,
        settings={name: value for name, value in settings.items() if name not in OTHER_THAN_TRAINING},
        data=data,
        objective=Objective(),
        source=None,
        seed=job_config({"seed": written.get("seed", 0)}).seed,
    )


def changed(single: Single, changes: Mapping[str, Value]) -> Single:
    """Replace some settings; another variant of a section, such as another optimizer, forgets those of the one before.

    Raises:
        StudyError: For what is not the job's to say.
    """
    for path in OTHER_THAN_TRAINING:
        if path in changes:
            raise StudyError(f"`{path}` is no setting of a job here: use --{path}.")
    before = single.settings
    other = {section for section in VARIANTS if section in changes and changes[section] != before.get(section)}
    kept = {path: value for path, value in before.items() if path.partition(".")[0] not in other}
    settings, data = _parted({**kept, **changes}, single.data)
    return replace(single, settings=settings, data=data)


def _parted(settings: Mapping[str, Value], data: DataSpec) -> tuple[dict[str, Value], DataSpec]:
    """Take what is said of the images out of the settings; the form of a space judges it later.

    Raises:
        StudyError: If there is no such thing to say of images.
    """
    known = [item.name for item in fields(DataSpec) if item.name != "source"]
    said = {path.removeprefix(OF_IMAGES): value for path, value in settings.items() if path.startswith(OF_IMAGES)}
    for name in said:
        if name not in known:
            raise StudyError(f"Images have no setting {OF_IMAGES + name!r}.{did_you_mean(name, known)}")
    return {path: value for path, value in settings.items() if not path.startswith(OF_IMAGES)}, replace(data, **said)  # type: ignore[arg-type]


def space_text(single: Single, *, name: str) -> str:
    """Return the space that holds this job and no other, as YAML.

    Raises:
        ConfigError: If the settings do not make a job; it lists every fault.
    """
    config = job_config(single.settings)
    parameters: dict[str, object] = {}
    for path, value in single.settings.items():
        section = path.partition(".")[0]
        is_said_by_default = path == "training.epochs" or (path, value) == ON_TRAINING_IMAGES
        if section not in VARIANTS and not is_said_by_default:
            parameters[path] = value
    for section in VARIANTS:
        below = {
            path.removeprefix(f"{section}."): value
            for path, value in single.settings.items()
            if path.startswith(f"{section}.")
        }
        parameters[section] = {"choice": {variant_name(section, getattr(config, section)): below}}
    space = {
        "name": name,
        "about": f"One job, taken from {single.name}.",
        "data": {key: value for key, value in asdict(single.data).items() if value is not None},
        "objective": single.objective.metric,
        "budget": {"rungs": [config.training.epochs], "trials": 1},
        "parameters": parameters,
    }
    return yaml.safe_dump(space, sort_keys=False, allow_unicode=True)


def study_name(single: Single) -> str:
    """Return a name that the same job on the same images always gets, and another one never does."""
    decisive = [dict(single.settings), asdict(single.data), single.source, single.seed]
    digest = hashlib.blake2b(json.dumps(decisive, sort_keys=True).encode(), digest_size=4).hexdigest()
    return f"{single.name[:50]}-train-{digest}"


def without_runtime(single: Single) -> Single:
    """Leave to this machine what another one, or another device of it, has decided."""
    kept = {path: value for path, value in single.settings.items() if not path.startswith("runtime.")}
    return replace(single, settings=kept)
