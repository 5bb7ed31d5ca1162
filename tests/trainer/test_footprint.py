"""What a model costs whoever asks it, and what is done about one that costs too much."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.trainer.job_desk import Desk, failure
from tests.trainer.short_jobs import CPU, tiny_job
from trainer.config import JobConfig, Value, job_config
from trainer.data import DataSet
from trainer.errors import OverLimits
from trainer.footprint import footprint
from trainer.launch import as_record, from_file
from trainer.limits import check_limits
from trainer.orders import TrainOrder
from trainer.results import EpochResult, Footprint, Reached, Started, from_record, to_record

SHAPE = (8, 6, 3)  # H, W, C
CLASSES = 5
FOUND = Footprint(parameters=1_000_000, flops=2e8, latency_ms=3.0, size_mb=4.0)


def order(desk: Desk, limits: Mapping[str, float], until: float = 1.0) -> TrainOrder:
    return TrainOrder(
        config=desk.config,
        data_root=desk.data_set.root,
        directory=desk.directory,
        until=until,
        limits=limits,
        is_to_be_weighed=True,
    )


def weigh(model: nn.Module, settings: Mapping[str, Value] | None = None) -> Footprint:
    config = job_config({"runtime.channels_last": False, **(settings or {})})
    return footprint(model, config, image_shape=SHAPE, device=CPU)


def test_a_linear_layer_costs_a_product_and_a_sum_for_each_weight() -> None:
    found = weigh(nn.Sequential(nn.Flatten(), nn.Linear(8 * 6 * 3, CLASSES)))

    assert found.parameters == 144 * CLASSES + CLASSES
    assert found.flops == 2 * 144 * CLASSES
    assert found.size_mb == 4 * found.parameters / 1e6
    assert found.latency_ms > 0


def test_a_convolution_costs_that_at_each_place() -> None:
    model = nn.Sequential(nn.Conv2d(3, 7, 3, padding=1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    assert weigh(model).flops == 2 * (3 * 3 * 3) * 7 * (8 * 6)


def test_buffers_are_in_the_file_and_are_no_parameters() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten())

    found = weigh(model)

    assert found.parameters == 6
    assert found.size_mb == (4 * 12 + 8) / 1e6  # mean and variance; a count of 8 bytes


@pytest.mark.parametrize(("tta", "views"), [("flip", 2), ("flip_shift", 6)])
def test_views_are_paid_for(tta: str, views: int) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(144, CLASSES))

    assert weigh(model, {"scoring.tta": tta}).flops == views * weigh(model).flops  # type: ignore[operator]


def test_a_model_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(), nn.Flatten(), nn.Linear(144, CLASSES)).train()
    model[0].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)

    weigh(model)

    assert [part.training for part in model] == [False, True, True, True]
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.rand(3), expected), "nothing was drawn"
    assert not any(part._forward_hooks for part in model.modules())


@pytest.mark.parametrize("limits", [{}, {"parameters": 1e6}, {"flops": 2e8, "latency_ms": 3.5, "size_mb": 10.0}])
def test_what_is_within_limits_passes(limits: dict[str, float]) -> None:
    check_limits(FOUND, limits)


def test_every_cost_that_is_too_high_is_told_with_its_limit() -> None:
    limits = {"parameters": 200_000.0, "flops": 3e8, "latency_ms": 2.5}

    with pytest.raises(
        OverLimits, match=re.escape("1,000,000 parameters, 200,000 allowed; 3 ms an image, 2.5 allowed")
    ):
        check_limits(FOUND, limits)


def test_a_cost_that_is_not_known_has_no_limit() -> None:
    check_limits(replace(FOUND, flops=None), {"flops": 1.0})


def test_a_footprint_survives_being_written_down() -> None:
    assert from_record(to_record(FOUND)) == FOUND


def test_a_job_is_weighed_before_it_trains_and_only_where_that_is_wanted(desk: Desk) -> None:
    plain = desk.train(1.0)
    desk.directory = desk.directory.with_name("weighed")

    found = desk.carry_out(order(desk, {}))

    assert [type(event) for event in plain] == [Started, EpochResult, Reached]
    assert [type(event) for event in found] == [Footprint, Started, EpochResult, Reached]
    assert isinstance(found[0], Footprint)
    assert isinstance(found[-1], Reached)
    assert found[0].parameters == found[-1].num_parameters


def test_weighing_changes_nothing_of_the_training(desk: Desk) -> None:
    desk.train(1.0)
    expected = desk.weights()
    desk.directory = desk.directory.with_name("weighed")

    desk.carry_out(order(desk, {}))

    assert all(torch.equal(tensor, desk.weights()[name]) for name, tensor in expected.items())


def test_a_job_over_a_limit_ends_before_it_trains(desk: Desk) -> None:
    found = desk.carry_out(order(desk, {"parameters": 10.0}))

    assert isinstance(found[0], Footprint)
    assert failure(found).reason == "constraint"
    assert "10 allowed" in failure(found).message
    assert len(found) == 2
    assert not list(desk.directory.iterdir())


def test_a_classical_model_is_weighed_when_it_is_fitted(stripes: DataSet, tmp_path: Path) -> None:
    desk = Desk(stripes, tmp_path / "job", tiny_job(stripes, {"model": "svm", "model.features": "pixels"}))

    found = desk.carry_out(order(desk, {"size_mb": 1e-6, "flops": 1e-6}))

    assert [type(event) for event in found[:3]] == [Started, EpochResult, Footprint]
    assert isinstance(found[2], Footprint)
    assert found[2].flops is None
    assert found[2].size_mb > 0
    assert failure(found).reason == "constraint"
    assert "operations" not in failure(found).message


def test_a_team_is_told_the_limits(tmp_path: Path) -> None:
    sent = TrainOrder(
        config=JobConfig(),
        data_root=Path("data"),
        directory=Path("job"),
        until=1.0,
        limits={"latency_ms": 2.0},
        is_to_be_weighed=True,
    )
    (tmp_path / "order.json").write_text(json.dumps(as_record(sent)))

    assert from_file(tmp_path / "order.json") == sent
