import math
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from trainer.schedules import rate
from trainer.settings import (
    Constant,
    Cosine,
    CosineRestarts,
    Exponential,
    Linear,
    MultiStep,
    OneCycle,
    Polynomial,
    Schedule,
    Step,
    Wsd,
)

SHARE = st.floats(0, 1)
BELOW_ONE = st.floats(0, 0.99)
INSIDE = st.floats(0.01, 0.99)
SCHEDULES: st.SearchStrategy[Schedule] = st.one_of(
    st.builds(Cosine, warmup=BELOW_ONE, floor=SHARE),
    st.builds(OneCycle, peak_at=INSIDE, start=SHARE),
    st.builds(Linear, warmup=BELOW_ONE, floor=SHARE),
    st.builds(Step, first=INSIDE, drops=st.integers(1, 10), gamma=st.floats(0.01, 1), warmup=BELOW_ONE),
    st.builds(Wsd, warmup=BELOW_ONE, decay=st.floats(0.01, 1)),
    st.builds(CosineRestarts, cycles=st.integers(1, 20), warmup=BELOW_ONE, floor=SHARE),
    st.builds(Constant, warmup=BELOW_ONE),
    st.builds(MultiStep, first=INSIDE, second=INSIDE, gamma=st.floats(0.01, 1), warmup=BELOW_ONE),
    st.builds(Exponential, warmup=BELOW_ONE, floor=st.floats(1e-6, 1)),
    st.builds(Polynomial, power=st.floats(0.1, 10), warmup=BELOW_ONE, floor=SHARE),
)
MONOTONE = [
    pytest.param(Cosine(warmup=0.2, floor=0.1), 0.2, id="cosine"),
    pytest.param(OneCycle(peak_at=0.3), 0.3, id="onecycle"),
    pytest.param(Linear(warmup=0.2, floor=0.1), 0.2, id="linear"),
    pytest.param(Step(warmup=0.2), 0.2, id="step"),
    pytest.param(Wsd(warmup=0.2), 0.2, id="wsd"),
    pytest.param(CosineRestarts(cycles=1, warmup=0.2), 0.2, id="one cycle of restarts"),
    pytest.param(Constant(warmup=0.2), 0.2, id="constant"),
    pytest.param(MultiStep(warmup=0.2), 0.2, id="multistep"),
    pytest.param(Exponential(warmup=0.2), 0.2, id="exponential"),
    pytest.param(Polynomial(warmup=0.2), 0.2, id="polynomial"),
]


def torch_rates(build: Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler], *, num_steps: int) -> list[float]:
    """Return the rate before each of `num_steps` steps and after the last, of a peak of 1."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = build(optimizer)
    rates = [scheduler.get_last_lr()[0]]
    for _ in range(num_steps):
        optimizer.step()
        scheduler.step()
        rates.append(scheduler.get_last_lr()[0])
    return [float(rate) for rate in rates]


@pytest.mark.parametrize(
    ("schedule", "build"),
    [
        pytest.param(
            Cosine(warmup=0, floor=0.1),
            lambda opt: lr_scheduler.CosineAnnealingLR(opt, T_max=40, eta_min=0.1),
            id="cosine",
        ),
        pytest.param(
            Linear(warmup=0, floor=0.2),
            lambda opt: lr_scheduler.LinearLR(opt, start_factor=1, end_factor=0.2, total_iters=40),
            id="linear",
        ),
        pytest.param(
            Linear(warmup=0.25, floor=1),
            lambda opt: lr_scheduler.LambdaLR(opt, lambda step: min(1, step / 10)),
            id="linear warm-up",
        ),
        pytest.param(
            Step(first=0.5, drops=2, gamma=0.3, warmup=0),
            lambda opt: lr_scheduler.MultiStepLR(opt, [20, 30], gamma=0.3),
            id="step",
        ),
        pytest.param(
            MultiStep(first=0.25, second=0.75, gamma=0.3),
            lambda opt: lr_scheduler.MultiStepLR(opt, [10, 30], gamma=0.3),
            id="multistep",
        ),
        pytest.param(
            Exponential(floor=0.01),
            lambda opt: lr_scheduler.ExponentialLR(opt, gamma=0.01 ** (1 / 40)),
            id="exponential",
        ),
        pytest.param(
            Polynomial(power=1.7),
            lambda opt: lr_scheduler.PolynomialLR(opt, total_iters=40, power=1.7),
            id="polynomial",
        ),
        pytest.param(Constant(), lambda opt: lr_scheduler.LambdaLR(opt, lambda step: 1.0), id="constant"),
        pytest.param(
            OneCycle(peak_at=0.25, start=0.04),
            lambda opt: lr_scheduler.OneCycleLR(
                opt, 1.0, 41, pct_start=11 / 41, div_factor=25, final_div_factor=1e12, cycle_momentum=False
            ),
            id="onecycle",
        ),
    ],
)
def test_a_schedule_equals_torchs_own(
    schedule: Schedule, build: Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]
) -> None:
    expected = torch_rates(build, num_steps=40)

    ours = [rate(schedule, step / 40) for step in range(41)]

    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-9)


def test_restarts_equal_torchs_own_before_the_end() -> None:
    expected = torch_rates(
        lambda opt: lr_scheduler.CosineAnnealingWarmRestarts(opt, T_0=10, eta_min=0.05), num_steps=39
    )

    ours = [rate(CosineRestarts(cycles=4, warmup=0, floor=0.05), step / 40) for step in range(40)]

    np.testing.assert_allclose(ours, expected, atol=1e-9)


@pytest.mark.parametrize(
    ("schedule", "progress", "expected"),
    [
        (Cosine(warmup=0.2, floor=0.1), 0.1, 0.5),
        (Cosine(warmup=0.2, floor=0.1), 0.6, 0.55),
        (OneCycle(peak_at=0.4, start=0.2), 0.2, 0.6),
        (OneCycle(peak_at=0.4, start=0.2), 0.7, 0.5),
        (Step(first=0.5, drops=2, gamma=0.1), 0.49, 1.0),
        (Step(first=0.5, drops=2, gamma=0.1), 0.5, 0.1),
        (Step(first=0.5, drops=2, gamma=0.1), 0.75, 0.01),
        (Step(first=0.5, drops=2, gamma=0.1, warmup=0.8), 0.6, 0.075),
        (Wsd(warmup=0.1, decay=0.4), 0.05, 0.5),
        (Wsd(warmup=0.1, decay=0.4), 0.3, 1.0),
        (Wsd(warmup=0.1, decay=0.4), 0.9, 0.25),
        (Wsd(warmup=0.5, decay=1.0), 0.25, 0.5),
        (Wsd(warmup=0.5, decay=1.0), 0.75, 0.25),
        (CosineRestarts(cycles=2, warmup=0.2, floor=0.0), 0.4, 0.5),
        (CosineRestarts(cycles=2, warmup=0.2, floor=0.0), 0.6 + 1e-9, 1.0),
    ],
)
def test_a_schedule_goes_through_the_points_of_its_definition(
    schedule: Schedule, progress: float, expected: float
) -> None:
    assert rate(schedule, progress) == pytest.approx(expected)


@given(schedule=SCHEDULES, progress=SHARE)
@settings(deadline=None)
def test_a_rate_is_a_share_of_the_peak(schedule: Schedule, progress: float) -> None:
    assert 0 <= rate(schedule, progress) <= 1


@given(schedule=SCHEDULES)
@settings(deadline=None)
def test_a_schedule_ends_at_its_floor(schedule: Schedule) -> None:
    match schedule:
        case Cosine(floor=floor) | Linear(floor=floor) | CosineRestarts(floor=floor):
            expected = floor
        case Exponential(floor=floor) | Polynomial(floor=floor):
            expected = floor
        case Constant():
            expected = 1
        case MultiStep(gamma=gamma):
            expected = gamma**2
        case Step(drops=drops, gamma=gamma):
            expected = gamma**drops
        case OneCycle() | Wsd():
            expected = 0

    assert rate(schedule, 1) == pytest.approx(expected)


@given(schedule=SCHEDULES, num_steps=st.integers(1, 50))
@settings(deadline=None)
def test_no_step_of_a_loop_trains_with_nothing(schedule: Schedule, num_steps: int) -> None:
    assert all(rate(schedule, (step + 0.5) / num_steps) > 0 for step in range(num_steps))


@pytest.mark.parametrize(("schedule", "peak_at"), MONOTONE)
def test_a_rate_rises_to_the_peak_and_never_again_after_it(schedule: Schedule, peak_at: float) -> None:
    before = [rate(schedule, progress) for progress in np.linspace(0, peak_at, 200)]
    after = [rate(schedule, progress) for progress in np.linspace(peak_at, 1, 200)]

    assert all(np.diff(before) > 0)
    assert all(np.diff(after) <= 0)
    assert after[0] == pytest.approx(1)


@pytest.mark.parametrize(
    "schedule", [Cosine(warmup=0), Linear(), Step(), Wsd(warmup=0), CosineRestarts(warmup=0), Constant(), Exponential()]
)
def test_a_schedule_without_warm_up_starts_at_the_peak(schedule: Schedule) -> None:
    assert rate(schedule, 0) == 1


@given(cycles=st.integers(2, 10), within=st.floats(0.01, 0.99))
@settings(deadline=None)
def test_every_cycle_of_restarts_is_the_same(cycles: int, within: float) -> None:
    schedule = CosineRestarts(cycles=cycles, warmup=0.1, floor=0.2)

    rates = [rate(schedule, 0.1 + 0.9 * (cycle + within) / cycles) for cycle in range(cycles)]

    assert rates == pytest.approx([rates[0]] * cycles)


@pytest.mark.parametrize("progress", [-0.01, 1.01, math.nan])
def test_progress_outside_of_training_is_our_own_mistake(progress: float) -> None:
    with pytest.raises(AssertionError, match=re.escape(f"{progress=}")):
        rate(Cosine(), progress)
