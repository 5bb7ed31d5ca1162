import json
import math
from dataclasses import fields, replace
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer import results  # whose Tested would be taken for a test case
from trainer.results import (
    REASONS,
    EpochResult,
    Evaluation,
    Failed,
    FeaturesMade,
    Footprint,
    Halved,
    JobEvent,
    Measured,
    Reached,
    Started,
    StepResult,
    Stopped,
    from_record,
    to_record,
)

RESULT = EpochResult(
    epoch=1.5,
    step=12,
    train_loss=1.25,
    train_accuracy=0.5,
    val_loss=1.5,
    val_accuracy=0.25,
    val_top5_accuracy=1.0,
    val_balanced_accuracy=0.2,
    val_f1_macro=0.1,
    val_images=40,
    lr=0.1,
    images_per_second=321.5,
    epoch_seconds=2.5,
    eval_seconds=0.125,
    finished_at=1_700_000_000.25,
)
EVENTS: list[JobEvent] = [
    Started(epoch=0.0, pid=12, at=1.5, ready_seconds=0.25),
    StepResult(epoch=0.125, images_per_second=99.5),
    RESULT,
    Reached(epoch=3.0, at=2.5, num_parameters=1000, predictions="predictions.npz"),
    Footprint(parameters=1000, flops=2e6, latency_ms=0.5, size_mb=0.004),
    Halved(portion=32, at=2.25),
    Stopped(epoch=1.25, at=2.0),
    Failed(reason="nan_loss", message="The loss…", traceback="Traceback\n  x", at=3.0),
    results.Tested(
        evaluation=Evaluation(
            loss=0.5, accuracy=0.75, top5_accuracy=1.0, num_images=16, balanced_accuracy=0.7, f1_macro=0.6
        ),
        estimates={"accuracy": (0.75, 0.5, 0.9)},
        at=4.0,
    ),
    FeaturesMade(done=3, total=4),
    Measured(
        device="cpu",
        precision="float32",
        channels_last=True,
        micro_batches={"vit": 64},
        images_per_second={"vit": 12.5},
        threads=1,
        workers=2,
    ),
]
NUMBERS = st.floats(allow_nan=False)


def test_there_is_an_example_of_every_event() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(JobEvent))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_survives_json(event: JobEvent) -> None:
    line = json.dumps(to_record(event))

    assert from_record(json.loads(line)) == event


@given(numbers=st.fixed_dictionaries({item.name: NUMBERS for item in fields(EpochResult)}))
@settings(deadline=None, max_examples=30)
def test_a_result_survives_json_to_the_last_bit(numbers: dict[str, Any]) -> None:
    result = replace(EpochResult(**numbers), step=3)

    assert from_record(json.loads(json.dumps(to_record(result)))) == result


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_a_field_that_a_later_version_added_is_left_out(event: JobEvent) -> None:
    assert from_record(to_record(event) | {"colour": "red"}) == event


def test_a_record_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(KeyError, match="Paused"):
        from_record({"kind": "Paused", "epoch": 1})


@pytest.mark.parametrize(
    ("changes", "is_sound"),
    [
        ({}, True),
        ({"val_accuracy": 0.0, "train_accuracy": 1.0, "val_loss": 0.0}, True),
        ({"val_loss": -1.0}, True),
        ({"val_loss": math.nan}, False),
        ({"val_loss": math.inf}, False),
        ({"train_loss": -math.inf}, False),
        ({"val_accuracy": math.nan}, False),
        ({"val_accuracy": 1.0001}, False),
        ({"train_accuracy": -0.0001}, False),
        ({"val_top5_accuracy": 2.0}, False),
        ({"val_balanced_accuracy": 2.0}, False),
        ({"val_f1_macro": math.nan}, False),
        ({"val_f1_macro": None, "val_balanced_accuracy": None}, True),
    ],
    ids=str,
)
def test_a_result_is_sound_when_its_scores_are_numbers_and_its_fractions_are_fractions(
    changes: dict[str, Any], is_sound: bool
) -> None:
    assert replace(RESULT, **changes).is_sound() is is_sound


def test_the_tracking_store_sees_the_scores_by_split() -> None:
    assert RESULT.metrics() == {
        "epoch": 1.5,
        "train/loss": 1.25,
        "train/accuracy": 0.5,
        "train/images_per_second": 321.5,
        "val/loss": 1.5,
        "val/accuracy": 0.25,
        "val/top5_accuracy": 1.0,
        "val/balanced_accuracy": 0.2,
        "val/f1_macro": 0.1,
        "val/images": 40,
        "lr": 0.1,
        "epoch_seconds": 2.5,
        "eval_seconds": 0.125,
    }


def test_a_result_of_an_earlier_version_has_fewer_scores() -> None:
    record = to_record(RESULT)
    del record["val_balanced_accuracy"], record["val_f1_macro"]

    result = from_record(record)

    assert isinstance(result, EpochResult)
    assert result.val_f1_macro is None
    assert result.metrics().keys() == RESULT.metrics().keys() - {"val/balanced_accuracy", "val/f1_macro"}


def test_reasons_are_told_apart() -> None:
    assert len(set(REASONS)) == len(REASONS)
