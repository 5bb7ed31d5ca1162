from types import SimpleNamespace
from typing import Any

import pytest
from torch import Tensor

import trainer.measure
from tests.trainer.short_jobs import MODELS, tiny_job
from trainer.batches import Examples
from trainer.config import JobConfig
from trainer.data import DataSet
from trainer.errors import ConfigError
from trainer.measure import measure
from trainer.orders import MeasureOrder
from trainer.results import Measured
from trainer.state import TrainState

NAMES = ("fastnet", "vit")


def measure_order(data_set: DataSet, **changes: Any) -> MeasureOrder:
    settings: dict[str, Any] = {"device": "cpu", "num_cores": 2, "threads": None, "batch_size": 64}
    settings |= changes
    batch_size = settings.pop("batch_size")
    configs = tuple(tiny_job(data_set, {**MODELS[n], "training.batch_size": batch_size}) for n in NAMES)
    return MeasureOrder(configs=configs, data_root=data_set.root, **settings)


@pytest.mark.parametrize("batch_size", [16, 1000])
def test_portions_are_no_larger_than_the_batch_or_the_split(stripes: DataSet, batch_size: int) -> None:
    found = measure(measure_order(stripes, batch_size=batch_size, threads=1))

    assert found.micro_batches.keys() == found.images_per_second.keys() == set(NAMES)
    assert all(1 <= portion <= min(batch_size, 64) for portion in found.micro_batches.values())
    assert all(rate > 0 for rate in found.images_per_second.values())


def test_jobs_together_use_no_more_threads_than_there_are_cores(stripes: DataSet) -> None:
    found = measure(measure_order(stripes, num_cores=2, batch_size=16))

    assert found.threads in (1, 2)
    assert found.workers == 2 // found.threads


@pytest.mark.parametrize("seconds", [1e-9, 1e9])
def test_no_time_limit_makes_more_cores_than_there_are(stripes: DataSet, seconds: float) -> None:
    found = measure(measure_order(stripes, num_cores=1, batch_size=16, seconds=seconds))

    assert (found.threads, found.workers) == (1, 1)


@pytest.mark.parametrize(
    ("num_cores", "threads", "workers"), [(4, 1, 4), (1, 1, 1), pytest.param(3, 2, 1, marks=pytest.mark.slow)]
)
def test_threads_that_were_asked_for_are_given(stripes: DataSet, num_cores: int, threads: int, workers: int) -> None:
    found = measure(measure_order(stripes, num_cores=num_cores, threads=threads, batch_size=16))

    assert (found.threads, found.workers) == (threads, workers)


def test_what_was_measured_makes_a_job(stripes: DataSet) -> None:
    found = measure(measure_order(stripes, device="auto", threads=1, batch_size=16))

    assert isinstance(found, Measured)
    for name in NAMES:
        config = tiny_job(
            stripes,
            {
                **MODELS[name],
                "runtime.device": found.device,
                "runtime.precision": found.precision,
                "runtime.channels_last": found.channels_last,
                "runtime.micro_batch": found.micro_batches[name],
                "runtime.threads": found.threads,
            },
        )
        assert config.runtime.micro_batch == found.micro_batches[name]


def test_the_first_step_on_a_portion_which_fetches_memory_does_not_count(
    stripes: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, seen = [0.0], set[tuple[int, int]]()

    def step(state: TrainState, config: JobConfig, images: Examples, indices: Tensor) -> None:
        kind = (id(state.model), len(indices))
        now[0] += 0.1 if kind in seen else 3.0
        seen.add(kind)

    monkeypatch.setattr(trainer.measure, "take_step", step)
    monkeypatch.setattr(trainer.measure, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    found = measure(measure_order(stripes, batch_size=16, threads=1))

    assert found.images_per_second == {name: pytest.approx(16 / 0.1) for name in NAMES}


def test_a_step_that_takes_very_long_is_not_repeated(stripes: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    now, sizes = [0.0], list[int]()

    def step(state: TrainState, config: JobConfig, images: Examples, indices: Tensor) -> None:
        now[0] += len(indices)
        sizes.append(len(indices))

    monkeypatch.setattr(trainer.measure, "take_step", step)
    monkeypatch.setattr(trainer.measure, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    measure(measure_order(stripes, batch_size=16, threads=1))

    assert sizes == [8, 16] * len(NAMES)


@pytest.mark.parametrize(("seconds", "sizes"), [(10.0, [2, 2, 2, 2]), (30.0, [2, 2, 2, 4, 4, 2, 2, 2]), (1e6, None)])
def test_timing_takes_a_small_share_of_a_time_limit(
    stripes: DataSet, monkeypatch: pytest.MonkeyPatch, seconds: float, sizes: list[int] | None
) -> None:
    now, seen = [0.0], list[int]()

    def step(state: TrainState, config: JobConfig, images: Examples, indices: Tensor) -> None:
        now[0] += 0.2
        seen.append(len(indices))

    monkeypatch.setattr(trainer.measure, "PORTIONS", (2, 4, 8))
    monkeypatch.setattr(trainer.measure, "take_step", step)
    monkeypatch.setattr(trainer.measure, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    measure(measure_order(stripes, batch_size=16, threads=1))
    unlimited = seen.copy()
    seen.clear()
    measure(measure_order(stripes, batch_size=16, threads=1, seconds=seconds))

    assert seen == (unlimited if sizes is None else sizes)


def test_a_device_that_is_not_here_cannot_be_measured(stripes: DataSet) -> None:
    with pytest.raises(ConfigError, match="Device 'cuda:99' was asked for"):
        measure(measure_order(stripes, device="cuda:99"))
