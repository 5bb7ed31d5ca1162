import json
import math
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainer.short_jobs import run_python
from trainer.config import PLAIN, VARIANTS, JobConfig, Value, all_settings, flat, job_config, variant_name
from trainer.errors import ConfigError
from trainer.settings import POSITIVE, AdamW, Augment, Range, ResNet9, Runtime, Training

CHOICES = [(section, name) for section, variants in VARIANTS.items() for name in variants]
KINDS = [kind for variants in VARIANTS.values() for kind in variants.values()] + list(PLAIN.values())


def faults_of(values: Mapping[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        job_config(values)
    return str(caught.value).splitlines()


def values_of(section: str, kind: type) -> st.SearchStrategy[dict[str, Value]]:
    """Draw some settings of a variant, each anywhere within its range."""
    return st.fixed_dictionaries({}, optional={f"{section}.{item.name}": any_value(item) for item in fields(kind)})


def any_value(item: Any) -> st.SearchStrategy[Value]:
    if options := get_args(item.type):
        return st.sampled_from(options)
    if item.type is bool:
        return st.booleans()
    if item.type is str:
        return st.text(max_size=5)
    allowed: Range = item.metadata["range"]
    high = 1e9 if math.isinf(allowed.high) else allowed.high
    if item.type is int:
        return st.integers(int(allowed.low), int(high))
    decimals = st.floats(allowed.low, high, exclude_min=allowed.low_open, exclude_max=allowed.high_open)
    whole = [number for number in (0, 1, 2, 7) if number in allowed]
    return decimals | st.sampled_from(whole) if whole else decimals


@st.composite
def settings_of_a_job(draw: st.DrawFn) -> dict[str, Value]:
    found: dict[str, Value] = {"seed": draw(st.integers(0, 2**40)), "data": draw(st.text(max_size=4))}
    for section, variants in VARIANTS.items():
        name = draw(st.sampled_from(list(variants)))
        found |= {section: name} | draw(values_of(section, variants[name]))
    for section, kind in PLAIN.items():
        found |= draw(values_of(section, kind))
    if found["schedule"] == "plateau" or found.get("training.patience") or found.get("training.keep") == "best":
        found.pop("training.images", None)  # they go by validation scores, of which a job on all images has none
    return found


@given(values=settings_of_a_job())
@settings(deadline=None, max_examples=25)
def test_a_job_survives_the_way_through_flat_settings_and_json(values: dict[str, Value]) -> None:
    config = job_config(values)

    again = job_config(json.loads(json.dumps(flat(config))))

    assert again == config
    assert again.fingerprint == config.fingerprint


@given(values=settings_of_a_job())
@settings(deadline=None, max_examples=25)
def test_flat_settings_hold_what_was_set(values: dict[str, Value]) -> None:
    assert flat(job_config(values)).items() >= values.items()


@pytest.mark.parametrize(("section", "name"), CHOICES)
def test_every_variant_comes_back_from_its_defaults(section: str, name: str) -> None:
    config = job_config({section: name})

    chosen = getattr(config, section)
    assert chosen == VARIANTS[section][name]()
    assert variant_name(section, chosen) == name
    assert job_config(flat(config)) == config


def test_a_job_of_nothing_is_the_default_job() -> None:
    assert job_config({}) == JobConfig()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_default_lies_in_its_range(kind: type) -> None:
    for item in fields(kind):
        if "range" in item.metadata:
            assert item.default in item.metadata["range"], item.name


def test_a_whole_number_is_taken_for_a_setting_that_may_be_fractional() -> None:
    config = job_config({"training.epochs": 3})

    assert type(config.training.epochs) is float
    assert config == job_config({"training.epochs": 3.0})
    assert config.fingerprint == job_config({"training.epochs": 3.0}).fingerprint


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        pytest.param(
            {"model": "resnet_9"},
            "No model is called 'resnet_9'. Did you mean 'resnet9'? Known: fastnet, resnet9, resnet18, resnet34, "
            "resnet50, wide_resnet, lenet5, cnn, convnext, vit, timm, torchvision, logistic_regression, svm, "
            "random_forest.",
            id="a variant with a near name",
        ),
        pytest.param(
            {"optimizer": "zzz"},
            "No optimizer is called 'zzz'. Known: sgd, adam, adamw, muon, lion, timm.",
            id="a variant like no other",
        ),
        pytest.param(
            {"schedule": 3},
            "No schedule is called 3. Known: cosine, onecycle, linear, step, wsd, cosine_restarts, constant, "
            "multistep, exponential, polynomial, plateau.",
            id="a number for a variant",
        ),
        pytest.param(
            {"augment.cutmx": 1.0},
            "This job has no setting 'augment.cutmx'. Did you mean 'augment.cutmix'?",
            id="an unknown setting with a near name",
        ),
        pytest.param({"zzz": 1}, "This job has no setting 'zzz'.", id="an unknown setting like no other"),
        pytest.param(
            {"augment": "strong"},
            "This job has no setting 'augment'. Did you mean 'augment.grey'?",
            id="a plain section",
        ),
        pytest.param(
            {"optimizer": "sgd", "optimizer.beta1": 0.9},
            "This job has no setting 'optimizer.beta1'. "
            "It belongs to optimizer adam and adamw and lion, and this job has sgd.",
            id="a setting of other variants",
        ),
        pytest.param(
            {"augment.flip": "randm"},
            "`augment.flip` must be one of none, random, alternating, got 'randm'. Did you mean 'random'?",
            id="an unknown option with a near name",
        ),
        pytest.param(
            {"augment.flip": True},
            "`augment.flip` must be one of none, random, alternating, got True.",
            id="no text for an option",
        ),
        pytest.param(
            {"runtime.channels_last": 1},
            "`runtime.channels_last` must be true or false, got 1.",
            id="a number for a switch",
        ),
        pytest.param({"runtime.device": 0}, "`runtime.device` must be text, got 0.", id="a number for text"),
        pytest.param({"optimizer.lr": "0.1"}, "`optimizer.lr` must be a number, got '0.1'.", id="text for a number"),
        pytest.param({"optimizer.lr": None}, "`optimizer.lr` must be a number, got None.", id="nothing"),
        pytest.param({"optimizer.lr": True}, "`optimizer.lr` must be a number, got True.", id="a switch for a number"),
        pytest.param(
            {"training.batch_size": True},
            "`training.batch_size` must be a whole number, got True.",
            id="a switch for a whole number",
        ),
        pytest.param(
            {"training.batch_size": 64.0},
            "`training.batch_size` must be a whole number, got 64.0.",
            id="a fractional number for a whole one",
        ),
        pytest.param({"optimizer.lr": math.nan}, "`optimizer.lr` must be above 0, got nan.", id="no number at all"),
        pytest.param({"optimizer.lr": math.inf}, "`optimizer.lr` must be above 0, got inf.", id="infinity"),
        pytest.param({"optimizer.lr": -0.1}, "`optimizer.lr` must be above 0, got -0.1.", id="open below"),
        pytest.param({"optimizer.lr": 0}, "`optimizer.lr` must be above 0, got 0.", id="at an open bound"),
        pytest.param(
            {"optimizer.weight_decay": -1e-9},
            "`optimizer.weight_decay` must be at least 0, got -1e-09.",
            id="below a closed bound",
        ),
        pytest.param(
            {"training.label_smoothing": 1.0},
            "`training.label_smoothing` must be in [0, 1), got 1.0.",
            id="at an open upper bound",
        ),
        pytest.param({"model.depth": 5}, "`model.depth` must be in [1, 4], got 5.", id="above a closed bound"),
        pytest.param({"seed": -1}, "`seed` must be a whole number from 0, got -1.", id="a negative seed"),
        pytest.param({"seed": True}, "`seed` must be a whole number from 0, got True.", id="a switch as seed"),
        pytest.param({"seed": 1.0}, "`seed` must be a whole number from 0, got 1.0.", id="a fractional seed"),
        pytest.param({"seed": None}, "`seed` must be a whole number from 0, got None.", id="no seed"),
    ],
)
def test_a_fault_says_what_is_wrong_and_what_would_be_right(values: dict[str, Value], fault: str) -> None:
    assert faults_of(values) == [fault]


def test_all_faults_come_in_one_message() -> None:
    found = faults_of({"model": "rezanet", "optimizer.lr": -1, "augment.cutmx": 1, "seed": -1})

    assert len(found) == 4


@pytest.mark.parametrize("path", ["training.grad_clip", "augment.mixup"])
def test_a_number_beyond_the_floats_is_a_fault_like_others(path: str) -> None:
    assert f"`{path}` must be" in faults_of({path: 10**400})[0]


@pytest.mark.parametrize("value", [None, 3, True])
def test_a_data_set_is_named_by_text(value: Value) -> None:
    assert "`data` must be" in faults_of({"data": value})[0]


@pytest.mark.parametrize(
    ("allowed", "inside", "outside"),
    [
        (Range(0, 1), [0, 0.5, 1], [-1e-9, 1.0001, math.nan]),
        (Range(0, 1, low_open=True, high_open=True), [1e-9, 0.5], [0, 1, -1, 2]),
        (Range(2), [2, 1e30], [1.99, math.inf, -math.inf]),
        (POSITIVE, [5e-324], [0, -0.0]),
    ],
    ids=str,
)
def test_a_range_holds_its_closed_bounds_and_nothing_infinite(
    allowed: Range, inside: list[float], outside: list[float]
) -> None:
    assert all(value in allowed for value in inside)
    assert not any(value in allowed for value in outside)


@pytest.mark.parametrize(
    ("allowed", "text"),
    [
        (Range(0, 1), "in [0, 1]"),
        (Range(0, 1, low_open=True), "in (0, 1]"),
        (Range(0, 1, high_open=True), "in [0, 1)"),
        (Range(4), "at least 4"),
        (POSITIVE, "above 0"),
    ],
)
def test_a_range_reads_as_mathematicians_write_it(allowed: Range, text: str) -> None:
    assert str(allowed) == text


@pytest.mark.parametrize(
    ("values", "fingerprint"),
    [
        ({}, "998d94edf0850c09"),
        (
            {
                "data": "0123456789abcdef",
                "seed": 7,
                "model": "resnet9",
                "optimizer": "adamw",
                "optimizer.lr": 0.003,
                "schedule": "wsd",
                "augment.flip": "alternating",
                "training.epochs": 27,
            },
            "8f02ff03a8116142",
        ),
        ({"model": "resnet18", "model.width": 32, "seed": 2}, "d10e1739eb46e716"),
    ],
)
def test_a_fingerprint_never_changes_between_versions(values: dict[str, Value], fingerprint: str) -> None:
    assert job_config(values).fingerprint == fingerprint


def test_a_fingerprint_does_not_depend_on_the_order_of_settings() -> None:
    values: dict[str, Value] = {"seed": 3, "optimizer": "adam", "optimizer.lr": 0.01, "model": "vit"}

    backwards = dict(reversed(values.items()))

    assert job_config(values).fingerprint == job_config(backwards).fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"data": "b"},
        {"seed": 1},
        {"model": "resnet9"},
        {"model.width": 1.5},
        {"optimizer": "adam"},
        {"optimizer.lr": 0.2},
        {"schedule": "linear"},
        {"augment.flip": "random"},
        {"training.ema": 0.9},
        {"runtime.threads": 2},
    ],
    ids=str,
)
def test_one_other_setting_gives_another_fingerprint(change: dict[str, Value]) -> None:
    assert job_config({"data": "a", **change}).fingerprint != job_config({"data": "a"}).fingerprint


def test_a_fingerprint_has_sixteen_hexadecimal_digits() -> None:
    assert re.fullmatch("[0-9a-f]{16}", JobConfig().fingerprint)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Augment(mixup=0.0), Augment(mixup=-0.0)),
        (Training(epochs=3.0), Training(epochs=3)),
    ],
    ids=["zero below", "whole number"],
)
def test_equal_jobs_have_equal_fingerprints(one: Augment | Training, other: Augment | Training) -> None:
    section = "augment" if isinstance(one, Augment) else "training"
    first, second = (replace(JobConfig(), **{section: part}) for part in (one, other))  # type: ignore[arg-type]

    assert first == second
    assert first.fingerprint == second.fingerprint


def test_all_settings_are_the_paths_that_some_job_has() -> None:
    found = set(all_settings())

    jobs = [flat(job_config({section: name})) for section, name in CHOICES]
    assert found == {path for job in jobs for path in job} - {"data", "seed"}


@pytest.mark.parametrize(
    ("section", "chosen", "name"), [("model", ResNet9(), "resnet9"), ("optimizer", AdamW(), "adamw")]
)
def test_a_variant_is_known_by_its_name(section: str, chosen: Any, name: str) -> None:
    assert variant_name(section, chosen) == name


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        JobConfig().seed = 1  # type: ignore[misc]
    with pytest.raises(AttributeError):
        Runtime().threads = 2  # type: ignore[misc]


def test_what_a_driver_needs_does_not_import_torch() -> None:
    done = run_python(
        "import sys, trainer.config, trainer.results, trainer.orders, trainer.jobfiles, trainer.errors\n"
        "print([name for name in ('torch', 'numpy', 'timm') if name in sys.modules])"
    )

    assert (done.stdout.strip(), done.stderr) == ("[]", "")
