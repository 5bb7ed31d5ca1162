from typing import Any

import pytest

from tests.trainer.short_jobs import MODELS, tiny_job
from trainer.data import DataSet
from trainer.errors import ConfigError
from trainer.measure import measure
from trainer.orders import MeasureOrder
from trainer.results import Measured

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


def test_a_device_that_is_not_here_cannot_be_measured(stripes: DataSet) -> None:
    with pytest.raises(ConfigError, match="Device 'cuda:99' was asked for"):
        measure(measure_order(stripes, device="cuda:99"))
