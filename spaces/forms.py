"""The form of a space file: which keys it may hold, and of which types; the editors' schema is made from it.

What one form can judge by itself is checked here; what takes several, in `conflicts` and `baselines`.
"""

import math
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    FiniteFloat,
    PlainValidator,
    RootModel,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from spaces.domains import Choice, Domain, Float, Integer, Value
from spaces.errors import shown, written
from spaces.space import BudgetSpec, Confidence, Constraints, DataSpec, Direction, Metric, Objective, Prior

NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$"
LONGEST_NAME = 64  # characters
DOMAIN_WORDS = ("float", "int", "choice")

# Pydantic puts the tag of a chosen form into the place of an error; no key that is allowed looks like one.
FLOAT, INT, CHOICE = "\0float", "\0int", "\0choice"
GROUP, VALUE, LIST, MAPPING = "\0group", "\0value", "\0list", "\0mapping"
DATA, OBJECTIVE = "\0data", "\0objective"

STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)


def is_name(text: str) -> bool:
    """Whether a space may be called so."""
    return bool(re.fullmatch(NAME_PATTERN, text)) and len(text) <= LONGEST_NAME


def _scalar(value: object) -> object:
    if value is None or isinstance(value, list | dict):
        raise ValueError(f"must be text, a number, true or false, got {shown(value)}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"must be a finite number, got {shown(value)}.")
    return value


def _setting(value: object) -> object:
    if isinstance(value, list):
        raise ValueError(
            f"a list is not a setting, got {shown(value)}. To search over it, write {{choice: [...]}}, "
            f"{{float: [low, high]}} or {{int: [low, high]}}."
        )
    if value is None:
        raise ValueError("has no value. Write one, or {} for an option without parameters of its own.")
    return _scalar(value)


def _setting_name(name: str) -> str:
    if name in DOMAIN_WORDS:
        raise ValueError(f"`{name}` tells what values a setting has: put the name of the setting above it.")
    return name


def _kind_of_setting(value: object) -> str | None:
    if not isinstance(value, dict):
        return VALUE
    words = [word for word in DOMAIN_WORDS if word in value]
    return {0: GROUP, 1: f"\0{words[0] if words else ''}"}.get(len(words))


def _by_type(tags: Mapping[type, str], *, expected: str) -> Discriminator:
    """Choose between forms by the type of what the file holds; `expected` is said of any other type."""
    return Discriminator(lambda value: tags.get(type(value)), custom_error_type="kind", custom_error_message=expected)


def _increasing(rungs: list[float]) -> list[float]:
    if any(after <= before for before, after in pairwise(rungs)):
        text = ", ".join(map(written, rungs))
        raise ValueError(f"must increase from each rung to the next, got [{text}].")
    return rungs


SCALAR_SCHEMA = WithJsonSchema({"type": ["string", "number", "boolean"]})
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=LONGEST_NAME)]
SettingName = Annotated[Name, AfterValidator(_setting_name)]
Scalar = Annotated[Value, PlainValidator(_scalar), SCALAR_SCHEMA]
SettingValue = Annotated[Value, PlainValidator(_setting), SCALAR_SCHEMA]
Fraction = Annotated[FiniteFloat, Field(gt=0, lt=1)]
Limit = Annotated[FiniteFloat, Field(gt=0)]
Rungs = Annotated[list[Annotated[FiniteFloat, Field(gt=0)]], Field(min_length=1), AfterValidator(_increasing)]


class DataForm(BaseModel):
    """Which images, and how they are divided."""

    model_config = STRICT

    source: str | None = Field(None, min_length=1, description="The name of a data set, or a folder of images.")
    image_size: int | None = Field(
        None, ge=1, le=4096, description="Pixels a side; absent: as they are, files of images 64."
    )
    val_fraction: Fraction = Field(0.1, description="Of the training images.")
    test_fraction: Fraction = Field(0.2, description="Of all images, where there is no test split yet.")
    seed: int = Field(0, ge=0, description="Of the division.")
    on_bad_image: Literal["fail", "skip"] = Field("fail", description="About files that cannot be used.")
    duplicates: Literal["keep", "exact", "near"] = Field("keep", description="Which copies are left out.")

    @model_validator(mode="after")
    def _leaves_training_images(self) -> Self:
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError(
                f"`val_fraction` and `test_fraction` must sum to less than 1, "
                f"got {written(self.val_fraction)} and {written(self.test_fraction)}."
            )
        return self

    def spec(self) -> DataSpec:
        """Return the value that the form declares."""
        return DataSpec(**self.model_dump())


class ObjectiveForm(BaseModel):
    """What makes a trial good."""

    model_config = STRICT

    metric: Metric = "val/accuracy"
    direction: Direction | None = Field(None, description="Follows from the metric; may be written out.")

    @field_validator("direction")
    @classmethod
    def _agrees(cls, direction: Direction | None, seen: ValidationInfo) -> Direction | None:
        metric = seen.data.get("metric")
        expected = Objective(metric=metric).direction if metric else direction
        if direction not in (None, expected):
            raise ValueError(f"must be {expected} for {metric}, got {shown(direction)}: leave it out.")
        return direction

    def spec(self) -> Objective:
        """Return the value that the form declares."""
        return Objective(metric=self.metric)


class BudgetForm(BaseModel):
    """How long trials train, and how many there are."""

    model_config = STRICT

    rungs: Rungs = Field(
        description="Epochs at which trials are compared, increasing; the last is a full training.",
        examples=[[1, 3, 9]],
    )
    eta: int = Field(3, ge=2, description="One of so many trials goes on from a rung.")
    trials: int = Field(30, ge=1, description="How many, unless the command says otherwise.")

    def spec(self) -> BudgetSpec:
        """Return the value that the form declares."""
        return BudgetSpec(rungs=tuple(self.rungs), eta=self.eta, trials=self.trials)


class ConstraintsForm(BaseModel):
    """What a model may cost at most."""

    model_config = STRICT

    parameters: Limit | None = Field(None, description="Numbers that training sets.")
    flops: Limit | None = Field(None, description="Floating-point operations of one answer.")
    latency_ms: Limit | None = Field(None, description="Milliseconds of one answer, on the device that trains.")
    size_mb: Limit | None = Field(None, description="Millions of bytes of the file of its weights.")

    def spec(self) -> Constraints:
        """Return the value that the form declares."""
        return Constraints(**self.model_dump())


class DomainForm(BaseModel):
    """What the values of a setting are, and which of them its author holds for good."""

    model_config = STRICT

    prior: Annotated[Value, PlainValidator(_scalar), SCALAR_SCHEMA] | None = Field(
        None, description="The value that seems best before anything was tried."
    )
    confidence: Confidence | None = Field(None, description="How sure that is; medium unless told.")

    @model_validator(mode="after")
    def _can_be_drawn(self) -> Self:
        domain = self.domain()
        if self.prior is None and self.confidence is not None:
            raise ValueError("`confidence` says how sure a `prior` is: give one.")
        if self.prior is not None and not domain.contains(self.prior):
            raise ValueError(f"its `prior` {shown(self.prior)} is none of its values: {domain}.")
        return self

    def domain(self) -> Domain:
        """Return the domain that the form declares."""
        raise NotImplementedError

    def guess(self) -> Prior | None:
        """Return what its author holds for good."""
        if self.prior is None:
            return None
        value = self.domain().fit(self.prior)
        assert value is not None, "it was checked"
        return Prior(value=value, confidence=self.confidence or "medium")


class FloatForm(DomainForm):
    """A number between two bounds."""

    bounds: list[float] = Field(alias="float", min_length=2, max_length=2, examples=[[0.1, 0.9]])
    log: bool = Field(False, description="Drawn evenly in its logarithm.")
    step: float | None = Field(None, description="Only the low bound plus whole multiples of it.")

    def domain(self) -> Float:
        """Return the domain that the form declares."""
        low, high = self.bounds
        return Float(low=low, high=high, log=self.log, step=self.step)


class IntForm(DomainForm):
    """A whole number between two bounds."""

    bounds: list[int] = Field(alias="int", min_length=2, max_length=2, examples=[[1, 8]])
    log: bool = Field(False, description="Drawn evenly in its logarithm.")
    step: int = Field(1, description="Only the low bound plus whole multiples of it.")

    def domain(self) -> Integer:
        """Return the domain that the form declares."""
        low, high = self.bounds
        return Integer(low=low, high=high, log=self.log, step=self.step)


class Group(RootModel[dict[SettingName, "Setting"]]):
    """Settings by name, or by dotted path; nesting joins names to paths."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        json_schema_extra={
            "additionalProperties": False,
            "propertyNames": {"not": {"enum": list(DOMAIN_WORDS)}},
        },
    )


class ChoiceForm(DomainForm):
    """One of several options: a list, or a mapping from each option to the settings that come with it."""

    listed: Annotated[
        Annotated[list[Scalar], Tag(LIST)] | Annotated[dict[Scalar, Group], Tag(MAPPING)],
        _by_type(
            {list: LIST, dict: MAPPING},
            expected="must be a list of options, or a mapping from options to their settings",
        ),
    ] = Field(alias="choice", examples=[["a", "b"]])

    def domain(self) -> Choice:
        """Return the domain that the form declares."""
        return Choice(options=tuple(self.listed))

    def groups(self) -> dict[Value, Group]:
        """Return the settings that come with each option; a plain list has none."""
        return self.listed if isinstance(self.listed, dict) else {}


Setting = Annotated[
    Annotated[SettingValue, Tag(VALUE)]
    | Annotated[FloatForm, Tag(FLOAT)]
    | Annotated[IntForm, Tag(INT)]
    | Annotated[ChoiceForm, Tag(CHOICE)]
    | Annotated[Group, Tag(GROUP)],
    Discriminator(
        _kind_of_setting,
        custom_error_type="kind",
        custom_error_message="must have exactly one of `float`, `int` and `choice`",
    ),
]
BaselineForm = Annotated[dict[str, Scalar], Field(min_length=1)]
Baselines = list[BaselineForm]


class SpaceForm(BaseModel):
    """A search space: data, objective, budget, and hyperparameters with their ranges."""

    model_config = STRICT

    name: Name | None = Field(None, description="Absent: the name of the file.")
    about: str = Field("", description="One or two sentences.")
    data: Annotated[
        Annotated[str, Field(min_length=1), Tag(VALUE)] | Annotated[DataForm, Tag(DATA)],
        _by_type(
            {str: VALUE, dict: DATA},
            expected="must be the name of a data set, a folder, or a mapping with `source`",
        ),
    ] = Field(default_factory=DataForm)
    objective: Annotated[
        Annotated[Metric, Tag(VALUE)] | Annotated[ObjectiveForm, Tag(OBJECTIVE)],
        _by_type(
            {str: VALUE, dict: OBJECTIVE},
            expected="must be the name of a metric, or a mapping with `metric`",
        ),
    ] = Field(default_factory=ObjectiveForm)
    budget: BudgetForm = Field(examples=[{"rungs": [1, 3, 9]}])
    constraints: ConstraintsForm = Field(
        default_factory=ConstraintsForm,
        description="What a model may cost at most.",
        examples=[{"latency_ms": 5, "parameters": 2000000}],
    )
    parameters: Group = Field(examples=[{"optimizer.lr": {"float": [0.01, 1.0], "log": True}}])
    baselines: Baselines = Field(
        default=[],
        description="Configurations to try first; keys are paths of settings.",
        examples=[[{"optimizer.lr": 0.1}]],
    )

    def data_spec(self) -> DataSpec:
        """Return which data the space names, if any."""
        return DataSpec(source=self.data) if isinstance(self.data, str) else self.data.spec()

    def objective_spec(self) -> Objective:
        """Return what the space optimises."""
        if isinstance(self.objective, ObjectiveForm):
            return self.objective.spec()
        return Objective(metric=self.objective)


Group.model_rebuild()
FORMS: dict[str | int, type[BaseModel]] = {  # by the last part of the place of an error within them
    FLOAT: FloatForm,
    INT: IntForm,
    CHOICE: ChoiceForm,
    DATA: DataForm,
    OBJECTIVE: ObjectiveForm,
    "budget": BudgetForm,
    "constraints": ConstraintsForm,
}
TAGS = frozenset({FLOAT, INT, CHOICE, GROUP, VALUE, LIST, MAPPING, DATA, OBJECTIVE, "[key]"})
