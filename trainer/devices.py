"""Which device there is, and in which precision it computes fast."""

import ctypes
import gc
import sys
import time
from collections.abc import Callable
from typing import Literal

import torch

from trainer.errors import ConfigError

Precision = Literal["float32", "tf32", "bfloat16", "float16"]
DTYPES: dict[str, torch.dtype] = {  # of autocast
    "float32": torch.float32,
    "tf32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
WORTH_IT = 1.2  # bfloat16 must multiply this many times faster than float32
AMPERE = 8  # the generation of CUDA's devices from which on they have tf32 and bfloat16
PROBE_SIZE = 256  # rows of the matrices that are timed: small, as emulated bfloat16 is slow
PROBE_SECONDS = 0.1  # that each precision is timed for
PROBE_REPEATS = 3  # at least


def resolve_device(name: str) -> torch.device:
    """Return the device that `name` stands for; `auto` takes CUDA, then MPS, then the processor.

    Raises:
        ConfigError: If this machine has no such device; the message lists those it has.
    """
    if name == "auto":
        return torch.device(visible_devices()[0])
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(
            f"Device {name!r} is not a device's name; these are: auto, {', '.join(visible_devices())}."
        ) from None
    full = f"cuda:{device.index or 0}" if device.type == "cuda" else device.type
    if full not in visible_devices():
        raise ConfigError(f"Device {name!r} was asked for; this machine has: {', '.join(visible_devices())}.")
    return torch.device(full)


def visible_devices() -> list[str]:
    """Return the names of this machine's devices, the fastest kind first."""
    found = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def num_jobs(device: str, *, num_cores: int, threads: int, processes: int) -> int:
    """Return how many jobs of so many threads and processes fill this machine; one that takes several GPUs is alone."""
    if device.startswith("cuda"):
        return max(1, torch.cuda.device_count()) if processes == 1 else 1
    return max(1, num_cores // (threads * processes))


def fastest_precision(device: torch.device) -> Precision:
    """Choose the precision of autocast: by generation on CUDA, by measurement on a processor.

    One thread is measured: where other programs compute, several wait for each other, whatever the precision.
    """
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.get_device_capability(device)[0] >= AMPERE else "float16"
    if device.type != "cpu":
        return "float32"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        is_worth_it = matmul_rate(torch.bfloat16) > WORTH_IT * matmul_rate(torch.float32)
    finally:
        torch.set_num_threads(threads)
    return "bfloat16" if is_worth_it else "float32"


def set_arithmetic(precision: str, device: torch.device) -> None:
    """Set how a GPU multiplies numbers of float32: as they are, or rounded to 10 bits of mantissa (tf32).

    `float32` means the former. With autocast it is the latter, for what autocast leaves alone. torch by itself would
    round in convolutions and not in products of matrices.

    Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#tensorfloat-32-tf32-on-ampere-and-later-devices

    Raises:
        ConfigError: If tf32 is asked of a device that does not have it.
    """
    is_cuda = device.type == "cuda"
    if precision == "tf32" and not (is_cuda and torch.cuda.get_device_capability(device)[0] >= AMPERE):
        raise ConfigError(
            f"`runtime.precision` is `tf32`, which {device} does not have: it takes an NVIDIA GPU from Ampere on. "
            f"Take `float32` or `{fastest_precision(device)}`."
        )
    if is_cuda:
        kept = "ieee" if precision == "float32" else "tf32"
        torch.backends.cuda.matmul.fp32_precision = kept
        torch.backends.cudnn.conv.fp32_precision = kept  # type: ignore[attr-defined]  # torch makes it at import


def matmul_rate(dtype: torch.dtype, *, size: int = PROBE_SIZE) -> float:
    """Return the best rate in GFLOP/s that this processor multiplied two square matrices with."""
    left, right = torch.ones(size, size, dtype=dtype), torch.ones(size, size, dtype=dtype)
    return 2 * size**3 / best_seconds(lambda: left @ right) / 1e9


def best_seconds(call: Callable[[], object], *, within: float = PROBE_SECONDS, repeats: int = PROBE_REPEATS) -> float:
    """Return the shortest time that a call took, tried for so long and so often at least.

    The first calls of a process are slow: threads start, and code is made for this processor.
    """
    until = time.perf_counter() + within
    best, done = float("inf"), 0
    while done < repeats or time.perf_counter() < until:
        begin = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - begin)
        done += 1
    return best


def give_memory_back() -> None:
    """Let other processes have what earlier jobs of this one needed: on its device, and of the machine."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
        if trim is not None:
            trim(0)
