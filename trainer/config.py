"""What decides one training job: frozen, checked values, with no torch behind them.

A job is written flat as dotted paths: a section's own path names its variant (`optimizer: "muon"`), a path
below it sets one field (`optimizer.lr: 0.2`). Equal configs give equal results on one machine.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal, get_args

from trainer.errors import ConfigError, did_you_mean

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Range:
    """The numbers that a field may hold; an absent bound is open to infinity."""

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, value: float) -> bool:
        try:
            value = float(value)
        except OverflowError:  # a whole number beyond the floats
            return False
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return above and below and math.isfinite(value)

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"{'above' if self.low_open else 'at least'} {self.low:g}"
        return f"in {'(' if self.low_open else '['}{self.low:g}, {self.high:g}{')' if self.high_open else ']'}"


POSITIVE = Range(0, low_open=True)
NOT_NEGATIVE = Range(0)
FRACTION = Range(0, 1)
BELOW_ONE = Range(0, 1, high_open=True)


def number(default: float, allowed: Range) -> Any:
    """Declare a numeric field with the range that its value must lie in."""
    return field(default=default, metadata={"range": allowed})


# Models


@dataclass(frozen=True, slots=True, kw_only=True)
class FastNet:
    """The net of the speed records on CIFAR-10: whitened first layer, three blocks, 2 M parameters."""

    width: float = number(1.0, Range(0.1, 8))  # times 64, 256, 256 channels
    depth: int = number(2, Range(1, 4))  # filter layers a block


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNet9:
    """A ResNet of 8 filter layers, known from the DAWNBench entries."""

    width: int = number(64, Range(4, 512))  # channels of the first layer


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNet18:
    """ResNet-18 with the 3 x 3 stem for small images."""

    width: int = number(64, Range(4, 512))  # channels of the first stage


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvNext:
    """timm's ConvNeXt with a stem for small images."""

    size: Literal["atto", "femto", "pico", "nano", "tiny"] = "atto"
    patch: int = number(2, Range(1, 16))  # pixels; stride of the stem


@dataclass(frozen=True, slots=True, kw_only=True)
class Vit:
    """timm's vision transformer with patches for small images."""

    dim: int = number(192, Range(16, 1024))  # a multiple of 64: that many heads of 64 each
    depth: int = number(6, Range(1, 24))
    patch: int = number(4, Range(1, 32))  # pixels
    drop_path: float = number(0.0, BELOW_ONE)


# Optimizers; `lr` is the peak rate of one step at the job's batch size


@dataclass(frozen=True, slots=True, kw_only=True)
class Sgd:
    """SGD with Nesterov momentum."""

    lr: float = number(0.1, POSITIVE)
    momentum: float = number(0.9, BELOW_ONE)
    weight_decay: float = number(5e-4, NOT_NEGATIVE)  # coupled: added to the gradient


@dataclass(frozen=True, slots=True, kw_only=True)
class Adam:
    """Adam; its weight decay is coupled (an L2 penalty)."""

    lr: float = number(1e-3, POSITIVE)
    beta1: float = number(0.9, BELOW_ONE)
    beta2: float = number(0.999, BELOW_ONE)
    weight_decay: float = number(0.0, NOT_NEGATIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdamW:
    """Adam with decoupled weight decay."""

    lr: float = number(1e-3, POSITIVE)
    beta1: float = number(0.9, BELOW_ONE)
    beta2: float = number(0.999, BELOW_ONE)
    weight_decay: float = number(0.05, NOT_NEGATIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Muon:
    """Muon for the filters and hidden matrices, SGD with Nesterov momentum for the rest."""

    lr: float = number(0.24, POSITIVE)  # of the filters, each kept at norm 1 per row
    momentum: float = number(0.6, BELOW_ONE)
    sgd_lr: float = number(0.05, POSITIVE)  # of biases and norms
    head_lr: float = number(0.67, POSITIVE)  # of the last layer
    sgd_momentum: float = number(0.85, BELOW_ONE)
    weight_decay: float = number(2e-3, NOT_NEGATIVE)  # of the SGD part, times its rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Lion:
    """Lion: the sign of an interpolated momentum."""

    lr: float = number(3e-4, POSITIVE)
    beta1: float = number(0.9, BELOW_ONE)
    beta2: float = number(0.99, BELOW_ONE)
    weight_decay: float = number(0.1, NOT_NEGATIVE)


# Schedules; all are functions of the share of training that is done


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosine:
    """Linear warm-up, then half a cosine to `floor`."""

    warmup: float = number(0.05, BELOW_ONE)  # share of training
    floor: float = number(0.0, FRACTION)  # share of the peak


@dataclass(frozen=True, slots=True, kw_only=True)
class OneCycle:
    """Cosine up from `start` to the peak, cosine down to nothing."""

    peak_at: float = number(0.3, Range(0, 1, low_open=True, high_open=True))  # share of training
    start: float = number(0.04, FRACTION)  # share of the peak


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """Linear warm-up, then a straight line to `floor`."""

    warmup: float = number(0.0, BELOW_ONE)
    floor: float = number(0.0, FRACTION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Times `gamma` at `first` and again at each equal share of what is left."""

    first: float = number(0.5, Range(0, 1, low_open=True, high_open=True))  # share of training
    drops: int = number(2, Range(1, 10))
    gamma: float = number(0.1, Range(0, 1, low_open=True))
    warmup: float = number(0.0, BELOW_ONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wsd:
    """Warm-up, stable, decay: constant until the last `decay` share, then a straight line to nothing."""

    warmup: float = number(0.05, BELOW_ONE)
    decay: float = number(0.3, Range(0, 1, low_open=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class CosineRestarts:
    """`cycles` equal cosines, each from the peak to `floor`."""

    cycles: int = number(2, Range(1, 20))
    warmup: float = number(0.05, BELOW_ONE)
    floor: float = number(0.0, FRACTION)


# What every job has


@dataclass(frozen=True, slots=True, kw_only=True)
class Augment:
    """Strengths of the augmentations of training images; 0 or `none` leaves one out."""

    crop_padding: int = number(0, Range(0, 64))  # pixels; reflected, then cropped back
    flip: Literal["none", "random", "alternating"] = "none"  # left to right
    cutout: int = number(0, Range(0, 512))  # pixels; side of the grey square
    color_jitter: float = number(0.0, FRACTION)  # brightness, contrast and saturation by 1 ± this
    rotation: float = number(0.0, Range(0, 180))  # degrees to either side
    mixup: float = number(0.0, Range(0, 10))  # alpha of Beta(alpha, alpha)
    cutmix: float = number(0.0, Range(0, 10))  # alpha of Beta(alpha, alpha)
    randaugment_ops: int = number(0, Range(0, 8))  # operations an image
    randaugment_magnitude: float = number(5.0, Range(0, 10))


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How long and in what portions."""

    epochs: float = number(10.0, Range(0, 10_000, low_open=True))  # at which the schedule ends; may be fractional
    batch_size: int = number(128, Range(1, 65_536))  # images a step
    label_smoothing: float = number(0.0, BELOW_ONE)
    grad_clip: float = number(0.0, NOT_NEGATIVE)  # largest norm of the gradient; 0 leaves it alone
    ema: float = number(0.0, BELOW_ONE)  # decay a step of the averaged weights that are scored; 0 scores the weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """How the arithmetic is done; part of the job because sums in another order round differently."""

    device: str = "cpu"  # as torch names it: cpu, cuda, cuda:1, mps
    precision: Literal["float32", "bfloat16", "float16"] = "float32"  # of autocast; weights stay float32
    channels_last: bool = True
    micro_batch: int = number(65_536, Range(1, 65_536))  # images a forward pass; gradients add up to a batch
    threads: int = number(1, Range(1, 4096))  # of the processor, on CPU


Model = FastNet | ResNet9 | ResNet18 | ConvNext | Vit
Optimizer = Sgd | Adam | AdamW | Muon | Lion
Schedule = Cosine | OneCycle | Linear | Step | Wsd | CosineRestarts
Section = Model | Optimizer | Schedule | Augment | Training | Runtime

VARIANTS: Mapping[str, Mapping[str, type[Section]]] = MappingProxyType(
    {
        "model": {
            "fastnet": FastNet,
            "resnet9": ResNet9,
            "resnet18": ResNet18,
            "convnext": ConvNext,
            "vit": Vit,
        },
        "optimizer": {"sgd": Sgd, "adam": Adam, "adamw": AdamW, "muon": Muon, "lion": Lion},
        "schedule": {
            "cosine": Cosine,
            "onecycle": OneCycle,
            "linear": Linear,
            "step": Step,
            "wsd": Wsd,
            "cosine_restarts": CosineRestarts,
        },
    }
)
PLAIN: Mapping[str, type[Section]] = MappingProxyType({"augment": Augment, "training": Training, "runtime": Runtime})


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
    augment: Augment = field(default_factory=Augment)
    training: Training = field(default_factory=Training)
    runtime: Runtime = field(default_factory=Runtime)

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that two jobs share exactly when they are equal."""
        text = json.dumps(flat(self), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _plain(value: Value, kind: object) -> Value:
    """Return a value in the one way it is written: 3 for a float is 3.0, and -0.0 is 0.0."""
    return float(value) + 0.0 if kind is float and isinstance(value, int | float) else value


def variant_name(section: str, chosen: Section) -> str:
    """Return the name under which a variant is chosen in its section, such as `adamw`."""
    return next(name for name, kind in VARIANTS[section].items() if kind is type(chosen))


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
    return JobConfig(data=str(data), seed=seed, **sections)


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
