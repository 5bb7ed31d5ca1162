"""What a space file loads into: frozen values that can be printed, counted, compared and hashed."""

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Literal, assert_never

from spaces.domains import Choice, Domain, Float, Integer, Value

Conditions = tuple[tuple[str, Value], ...]  # (name of a choice, the option that must be chosen), outermost first
Metric = Literal["val/accuracy", "val/top5_accuracy", "val/balanced_accuracy", "val/f1_macro", "val/loss"]
Direction = Literal["maximize", "minimize"]
Confidence = Literal["low", "medium", "high"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What the author of a space holds for good before anything was tried."""

    value: Value
    confidence: Confidence = "medium"


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """A hyperparameter of the search; it is drawn only where its conditions hold."""

    name: str  # unique in the space, such as `optimizer.sgd.lr`
    path: str  # the job's setting, such as `optimizer.lr`
    domain: Domain
    when: Conditions = ()
    prior: Prior | None = None

    def is_active(self, drawn_by_name: Mapping[str, Value]) -> bool:
        """Whether every choice that this parameter hangs on has been drawn as it needs."""
        return _hold(self.when, drawn_by_name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """A setting of the job that the search leaves alone."""

    path: str
    value: Value
    when: Conditions = ()

    def is_active(self, drawn_by_name: Mapping[str, Value]) -> bool:
        """Whether every choice that this constant hangs on has been drawn as it needs."""
        return _hold(self.when, drawn_by_name)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSpec:
    """Which images, and how they are divided."""

    source: str | None = None  # name of a data set or a folder; absent: the user gives it
    image_size: int | None = None  # pixels a side; absent: as they are
    val_fraction: float = 0.1  # of the training images
    test_fraction: float = 0.2  # of all images, where the source has no test split of its own
    seed: int = 0
    on_bad_image: Literal["fail", "skip"] = "fail"  # what to do about files that cannot be used
    duplicates: Literal["keep", "exact", "near"] = "keep"  # which copies are left out


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What makes a trial good."""

    metric: Metric = "val/accuracy"

    @property
    def direction(self) -> Direction:
        """Whether more or less of the metric is better."""
        return "minimize" if self.metric == "val/loss" else "maximize"


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSpec:
    """How long trials train, and how many there are."""

    rungs: tuple[float, ...]  # epochs, increasing; trials are compared there
    eta: int = 3  # one of so many goes on from a rung
    trials: int = 30  # unless the user says otherwise

    @property
    def epochs(self) -> float:
        """The length of a full training."""
        return self.rungs[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """What a model may cost at most; absent: as much as it likes."""

    parameters: float | None = None
    flops: float | None = None  # floating-point operations of one answer
    latency_ms: float | None = None  # milliseconds of one answer, on the device that trains
    size_mb: float | None = None  # millions of bytes of the file of its weights

    def limits(self) -> dict[str, float]:
        """Return those that are set, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True, eq=False)
class Baseline(Mapping[str, Value]):
    """A configuration to try first: values by parameter name; parameters that it leaves out are sampled."""

    pairs: tuple[tuple[str, Value], ...]

    def __getitem__(self, name: str) -> Value:
        for known, value in self.pairs:
            if known == name:
                return value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __hash__(self) -> int:
        return hash(frozenset(self.pairs))


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """A declared search, complete but for the data where `data.source` is absent."""

    name: str
    about: str
    data: DataSpec
    objective: Objective
    budget: BudgetSpec
    params: tuple[Param, ...]  # a choice stands before the parameters of its options
    constants: tuple[Constant, ...]
    baselines: tuple[Baseline, ...]  # tried first, in this order
    file: Path
    constraints: Constraints = Constraints()

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits over everything that decides the search.

        The name, the description, the file, the number of trials and the order of the parameters do not.
        """
        text = json.dumps(_decisive(self), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def active(self, drawn_by_name: Mapping[str, Value]) -> tuple[Param, ...]:
        """Return the parameters whose conditions hold, in the order of declaration."""
        return tuple(param for param in self.params if param.is_active(drawn_by_name))

    def settings(self, drawn_by_name: Mapping[str, Value]) -> dict[str, Value]:
        """Return the job's settings by path: what is fixed, and what was drawn.

        Raises:
            KeyError: If an active parameter was not drawn.
        """
        fixed = {item.path: item.value for item in self.constants if item.is_active(drawn_by_name)}
        return fixed | {param.path: drawn_by_name[param.name] for param in self.active(drawn_by_name)}

    def paths(self) -> tuple[str, ...]:
        """Return every setting of a job that this space can set, each once."""
        of_params = (param.path for param in self.params)
        of_constants = (constant.path for constant in self.constants)
        return tuple(dict.fromkeys((*of_params, *of_constants)))

    def num_configurations(self) -> int | float:
        """Return how many different configurations there are; infinite where a range has no step."""
        if any(param.domain.size == math.inf for param in self.params):
            return math.inf
        by_conditions: dict[Conditions, list[Param]] = defaultdict(list)
        for param in self.params:
            by_conditions[param.when].append(param)
        return _count((), by_conditions)


def _hold(when: Conditions, drawn_by_name: Mapping[str, Value]) -> bool:
    return all(name in drawn_by_name and drawn_by_name[name] == option for name, option in when)


def _count(when: Conditions, by_conditions: Mapping[Conditions, list[Param]]) -> int:
    """Count the configurations of what hangs on exactly these conditions, and below."""
    total = 1
    for param in by_conditions.get(when, ()):
        if isinstance(param.domain, Choice):
            total *= sum(_count((*when, (param.name, option)), by_conditions) for option in param.domain.options)
        else:
            total *= int(param.domain.size)
    return total


def _decisive(space: SearchSpace) -> dict[str, object]:
    """Return what decides a search, ready for JSON."""
    priors = sorted((p.name, json.dumps(p.prior.value), p.prior.confidence) for p in space.params if p.prior)
    given: dict[str, object] = {"priors": priors, "constraints": space.constraints.limits()}
    return {
        "data": astuple(space.data),
        "metric": space.objective.metric,
        "rungs": [float(rung) for rung in space.budget.rungs],
        "eta": space.budget.eta,
        "params": sorted((p.name, p.path, json.dumps(_described(p.domain)), p.when) for p in space.params),
        "constants": sorted((c.path, json.dumps(c.when), json.dumps(c.value)) for c in space.constants),
        "baselines": [sorted(baseline.pairs) for baseline in space.baselines],
    } | {name: value for name, value in given.items() if value}  # without, a space is what it was before there were any


def _described(domain: Domain) -> dict[str, object]:
    match domain:
        case Float(low=low, high=high, log=log, step=step):
            return {"float": [float(low), float(high)], "log": log, "step": step and float(step)}
        case Integer(low=low, high=high, log=log, step=step):
            return {"int": [low, high], "log": log, "step": step}
        case Choice(options=options):
            return {"choice": options}
        case _:
            assert_never(domain)
