import re
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import torch

from trainer.devices import (
    DTYPES,
    best_seconds,
    fastest_precision,
    matmul_rate,
    resolve_device,
    set_arithmetic,
    visible_devices,
)
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
    assert matmul_rate(dtype, size=64) > 0


def test_slow_first_calls_do_not_count() -> None:
    num_calls = 0

    def call() -> None:
        nonlocal num_calls
        num_calls += 1
        time.sleep(0.005 if num_calls <= 8 else 0)

    assert best_seconds(call, within=0.1, repeats=3) < 0.003


def test_a_slow_call_is_tried_a_few_times_only() -> None:
    calls: list[float] = []

    best_seconds(lambda: calls.append(time.sleep(0.02) or 0.0), within=0.0, repeats=3)

    assert len(calls) == 3


def test_a_process_that_has_just_begun_chooses_as_one_that_is_warm() -> None:
    script = "import torch, trainer.devices as d; print(d.fastest_precision(torch.device('cpu')))"
    fastest_precision(torch.device("cpu"))

    fresh = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert fresh.stdout.strip() == fastest_precision(torch.device("cpu"))


def test_precision_is_measured_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    before, seen = torch.get_num_threads(), []
    rates = {torch.bfloat16: 3.0, torch.float32: 2.0}

    def rate(dtype: torch.dtype) -> float:
        seen.append(torch.get_num_threads())
        return rates[dtype]

    monkeypatch.setattr("trainer.devices.matmul_rate", rate)
    torch.set_num_threads(2)
    try:
        assert fastest_precision(torch.device("cpu")) == "bfloat16"
        assert seen == [1, 1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_the_fastest_precision_of_a_processor_is_one_that_autocast_takes() -> None:
    precision = fastest_precision(torch.device("cpu"))

    assert precision in ("float32", "bfloat16")
    assert precision in DTYPES


def test_every_precision_but_tf32_is_a_type_of_torch() -> None:
    types = {name: str(dtype) for name, dtype in DTYPES.items()}

    assert types.pop("tf32") == "torch.float32"
    assert all(dtype == f"torch.{name}" for name, dtype in types.items())


@pytest.fixture
def ampere(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """Stand for a GPU that has tf32, and leave the switches as they were."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (8, 0))
    products, convolutions = torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision
    yield torch.device("cuda")
    torch.backends.cuda.matmul.fp32_precision = products
    torch.backends.cudnn.conv.fp32_precision = convolutions


@pytest.mark.parametrize(
    ("precision", "expected"), [("float32", "ieee"), ("tf32", "tf32"), ("bfloat16", "tf32"), ("float16", "tf32")]
)
def test_float32_is_rounded_nowhere_and_tf32_everywhere(ampere: torch.device, precision: str, expected: str) -> None:
    set_arithmetic(precision, ampere)

    assert torch.backends.cuda.matmul.fp32_precision == expected
    assert torch.backends.cudnn.conv.fp32_precision == expected


@pytest.mark.parametrize("device", ["cpu", "mps", "cuda"])
def test_tf32_is_refused_where_there_is_none(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (7, 5))

    with pytest.raises(ConfigError, match=f"`tf32`, which {device} does not have.*Take `float32` or"):
        set_arithmetic("tf32", torch.device(device))


def test_a_processor_is_left_alone() -> None:
    before = torch.backends.mkldnn.matmul.fp32_precision

    set_arithmetic("float32", torch.device("cpu"))

    assert torch.backends.mkldnn.matmul.fp32_precision == before
