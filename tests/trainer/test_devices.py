import re

import pytest
import torch

from trainer.devices import DTYPES, fastest_precision, matmul_rate, resolve_device, visible_devices
from trainer.errors import ConfigError


def test_a_processor_is_always_there_and_comes_last() -> None:
    assert visible_devices()[-1] == "cpu"


def test_auto_is_the_fastest_device() -> None:
    assert str(resolve_device("auto")) == visible_devices()[0]


def test_a_device_is_known_by_its_name() -> None:
    assert all(str(resolve_device(name)) == name for name in visible_devices())


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "cpu cpu"])
def test_a_name_of_no_device_is_told_what_there_is(name: str) -> None:
    known = ", ".join(visible_devices())

    with pytest.raises(
        ConfigError, match=re.escape(f"Device {name!r} is not a device's name; these are: auto, {known}.")
    ):
        resolve_device(name)


@pytest.mark.parametrize("name", ["cuda:99", "meta", "xpu"])
def test_a_device_that_is_not_here_is_told_what_is(name: str) -> None:
    known = ", ".join(visible_devices())

    with pytest.raises(ConfigError, match=re.escape(f"Device {name!r} was asked for; this machine has: {known}.")):
        resolve_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_cuda_is_refused_where_there_is_none(name: str) -> None:
    with pytest.raises(ConfigError, match=f"Device '{name}' was asked for; this machine has: "):
        resolve_device(name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_processor_multiplies_at_some_rate(dtype: torch.dtype) -> None:
    assert matmul_rate(dtype, size=64, repeats=2) > 0


def test_the_fastest_precision_of_a_processor_is_one_that_autocast_takes() -> None:
    precision = fastest_precision(torch.device("cpu"))

    assert precision in ("float32", "bfloat16")
    assert precision in DTYPES


def test_every_precision_is_a_type_of_torch() -> None:
    assert all(str(dtype) == f"torch.{name}" for name, dtype in DTYPES.items())
