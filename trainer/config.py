"""What decides one training job: frozen, checked values, with no torch behind them.

A job is written flat as dotted paths: a section's own path names its variant (`optimizer: "muon"`), a path
below it sets one field (`optimizer.lr: 0.2`). Equal configs give equal results on one machine.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from types import MappingProxyType
from typing import Any, get_args

from trainer.errors import ConfigError, did_you_mean
from trainer.settings import (
    LOSSES,
    MODELS,
    OPTIMIZERS,
    SCHEDULES,
    AnyLoss,
    Augment,
    Classical,
    Cosine,
    CrossEntropy,
    FastNet,
    Model,
    Optimizer,
    Plateau,
    Published,
    Range,
    Runtime,
    Schedule,
    Scoring,
    Section,
    Sgd,
    Training,
    Transfer,
)

Value = str | int | float | bool | None


VARIANTS: Mapping[str, Mapping[str, type[Section]]] = MappingProxyType(
    {"model": MODELS, "optimizer": OPTIMIZERS, "schedule": SCHEDULES, "loss": LOSSES}
)
ADDED_VARIANTS = ("loss",)  # after the first configurations had their fingerprints
PLAIN: Mapping[str, type[Section]] = MappingProxyType(
    {"augment": Augment, "transfer": Transfer, "training": Training, "scoring": Scoring, "runtime": Runtime}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobConfig:
    """One training job, complete.

    Raises:
        ConfigError: From `job_config`, which is how one is made from settings; it lists every fault at once.
    """

    data: str = ""  # fingerprint of the prepared data set
    seed: int = 0
    model: Model = field(default_factory=FastNet)
    optimizer: Optimizer = field(default_factory=Sgd)
    schedule: Schedule = field(default_factory=Cosine)
    loss: AnyLoss = field(default_factory=CrossEntropy)
    augment: Augment = field(default_factory=Augment)
    transfer: Transfer = field(default_factory=Transfer)
    training: Training = field(default_factory=Training)
    scoring: Scoring = field(default_factory=Scoring)
    runtime: Runtime = field(default_factory=Runtime)

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that two jobs share exactly when they are equal.

        Settings at their defaults do not count, so that a version with more settings still knows the checkpoints of
        the one before; a default, once published, never changes.
        """
        defaults = flat(JobConfig(**{section: type(getattr(self, section))() for section in VARIANTS}))
        defaults |= {path: value for path, value in flat(JobConfig()).items() if path in ADDED_VARIANTS}
        always = VARIANTS.keys() - ADDED_VARIANTS
        decisive = {path: value for path, value in flat(self).items() if path in always or value != defaults[path]}
        text = json.dumps(decisive, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _plain(value: Value, kind: object) -> Value:
    """Return a value in the one way it is written: 3 for a float is 3.0, and -0.0 is 0.0."""
    return float(value) + 0.0 if kind is float and isinstance(value, int | float) else value


def variant_name(section: str, chosen: Section) -> str:
    """Return the name under which a variant is chosen in its section, such as `adamw`."""
    return next(name for name, kind in VARIANTS[section].items() if kind is type(chosen))


def model_name(model: Model) -> str:
    """Return the name by which a network is known: its variant's, or that of its library, such as `timm:resnet18`."""
    variant = variant_name("model", model)
    return f"{variant}:{model.name}" if isinstance(model, Published) else variant


def flat(config: JobConfig) -> dict[str, Value]:
    """Return the settings as dotted paths, in the order of declaration; `job_config` takes them back."""
    found: dict[str, Value] = {"data": config.data, "seed": config.seed}
    for section in (*VARIANTS, *PLAIN):
        chosen = getattr(config, section)
        if section in VARIANTS:
            found[section] = variant_name(section, chosen)
        found |= {f"{section}.{item.name}": _plain(getattr(chosen, item.name), item.type) for item in fields(chosen)}
    return found


def job_config(values: Mapping[str, Value]) -> JobConfig:
    """Build a job from flat settings; what is not set keeps its default.

    Raises:
        ConfigError: For unknown paths and variants, wrong types and values out of range, all in one message.
    """
    faults: list[str] = []
    kinds = {section: _variant(section, values, faults) for section in VARIANTS} | dict(PLAIN)
    known = {f"{section}.{item.name}" for section, kind in kinds.items() for item in fields(kind)}
    settings: dict[str, dict[str, Value]] = {section: {} for section in kinds}
    for path, value in values.items():
        if path in VARIANTS or path in ("data", "seed"):
            continue
        if path not in known:
            faults.append(f"This job has no setting {path!r}.{_where_else(path, kinds, known)}")
            continue
        section, _, name = path.partition(".")
        item = next(item for item in fields(kinds[section]) if item.name == name)
        found = list(_faults_of(path, item, value))
        faults.extend(found)
        settings[section][name] = value if found else _plain(value, item.type)
    data, seed = values.get("data", ""), values.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        faults.append(f"`seed` must be a whole number from 0, got {seed!r}.")
    if not isinstance(data, str):
        faults.append(f"`data` must be the fingerprint of a data set, got {data!r}.")
    if faults:
        raise ConfigError("\n".join(faults))
    assert isinstance(seed, int)
    sections: dict[str, Any] = {}
    for section, kind in kinds.items():
        build: Callable[..., Section] = kind  # the values were checked above
        sections[section] = build(**settings[section])
    return _checked(JobConfig(data=str(data), seed=seed, **sections))


def _checked(config: JobConfig) -> JobConfig:
    """Return a job whose settings go together.

    Raises:
        ConfigError: If they don't.
    """
    if config.training.images == "train+val" and scores_decide(config):
        raise ConfigError(
            "`training.images: train+val` leaves no images to score, which `training.patience`, "
            "`training.keep: best` and `schedule: plateau` go by."
        )
    return config


def scores_decide(config: JobConfig) -> bool:
    """Say whether the course of a job hangs on validation scores."""
    return bool(config.training.patience) or config.training.keep == "best" or isinstance(config.schedule, Plateau)


def scoring_at(config: JobConfig, *, is_last: bool) -> Scoring:
    """Return how images are shown when a job is scored, after its last step or before it.

    Six views cost an eighth of the training, and one is enough to compare jobs before their last step; but not where
    any epoch may prove to be the end, or the best.
    """
    training = config.training
    may_end_here = is_last or training.patience > 0 or training.keep == "best" or isinstance(config.model, Classical)
    return config.scoring if may_end_here or config.scoring.tta != "flip_shift" else Scoring()


def all_settings() -> Iterator[str]:
    """Yield every path that some job has."""
    for section, variants in VARIANTS.items():
        yield section
        for kind in variants.values():
            yield from (f"{section}.{item.name}" for item in fields(kind))
    for section, kind in PLAIN.items():
        yield from (f"{section}.{item.name}" for item in fields(kind))


def _variant(section: str, values: Mapping[str, Value], faults: list[str]) -> type[Section]:
    """Return the class that `values` choose in a section, or the default one after noting the fault."""
    variants = VARIANTS[section]
    default = next(item for item in fields(JobConfig) if item.name == section).default_factory
    assert default is not MISSING, "every section is declared with a default_factory"
    name = values.get(section, variant_name(section, default()))
    if isinstance(name, str) and name in variants:
        return variants[name]
    faults.append(f"No {section} is called {name!r}.{did_you_mean(str(name), variants)} Known: {', '.join(variants)}.")
    return type(default())


def _where_else(path: str, kinds: Mapping[str, type[Section]], known: set[str]) -> str:
    """Say to which variant a setting belongs, or which known one is nearest."""
    section, _, name = path.partition(".")
    owners = [v for v, kind in VARIANTS.get(section, {}).items() if name in (item.name for item in fields(kind))]
    if owners:
        chosen = next(v for v, kind in VARIANTS[section].items() if kind is kinds[section])
        return f" It belongs to {section} {' and '.join(owners)}, and this job has {chosen}."
    return did_you_mean(path, known)


def _faults_of(path: str, item: "Field[Any]", value: Value) -> Iterator[str]:
    """Yield what is wrong with a value for a field: its type, its range or its name."""
    if options := get_args(item.type):
        if value not in options:
            near = did_you_mean(str(value), options)
            yield f"`{path}` must be one of {', '.join(options)}, got {value!r}.{near}"
    elif item.type is bool:
        if not isinstance(value, bool):
            yield f"`{path}` must be true or false, got {value!r}."
    elif item.type is str:
        if not isinstance(value, str):
            yield f"`{path}` must be text, got {value!r}."
    else:
        yield from _number_faults(path, item, value)


def _number_faults(path: str, item: "Field[Any]", value: Value) -> Iterator[str]:
    allowed: Range = item.metadata["range"]
    kind = "a whole number" if item.type is int else "a number"
    if isinstance(value, bool) or not isinstance(value, int if item.type is int else int | float):
        yield f"`{path}` must be {kind}, got {value!r}."
    elif value not in allowed:
        yield f"`{path}` must be {allowed}, got {value!r}."
