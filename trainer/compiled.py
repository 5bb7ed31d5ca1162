"""Which networks torch.compile translates, and from which step on."""

import importlib
import warnings
from typing import cast

import torch
from torch import nn

from trainer.batchnorm import portions_of
from trainer.config import JobConfig
from trainer.errors import ConfigError
from trainer.lengths import portion_size, steps_until
from trainer.settings import Classical

LEAST_PASSES = 10_000  # of a portion through a network on a GPU, from where on translating it is taken to pay


def compile_where_worthwhile(network: nn.Module, config: JobConfig, *, num_images: int) -> nn.Module | None:
    """Return the network as torch.compile makes it, for training; None where the job does without.

    With `auto` a job on a GPU is long enough from `LEAST_PASSES` on: to translate a network takes about as many seconds
    whatever follows, and saves a share of each pass. The whole job counts, not what is left of it, so that a job that
    goes on from a checkpoint decides as before. Nothing is translated before the first pass.

    Args:
        network: Shares its weights with what is returned.
        config: Of the job.
        num_images: To train on.

    Raises:
        ConfigError: If the job insists, and this machine lacks the compiler.
    """
    wish = config.runtime.compile
    is_wished = wish == "always" or (wish == "auto" and _is_long(config, num_images))
    if not is_wished or isinstance(config.model, Classical):
        return None
    lacks = _what_is_missing(config.runtime.device)
    if lacks and wish == "auto":
        return None
    if lacks:
        raise ConfigError(f"`runtime.compile` is `always`, and there is no {lacks}. Install it, or take `never`.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch to its own authors, while it imports what translates
        importlib.import_module("torch._inductor.compile_fx")
    return cast(nn.Module, torch.compile(network))


def _is_long(config: JobConfig, num_images: int) -> bool:
    steps = steps_until(config, num_images, config.training.epochs)
    passes = steps * portions_of(config.training.batch_size, portion_size(config))
    return config.runtime.device.startswith("cuda") and passes >= LEAST_PASSES


def _what_is_missing(device: str) -> str:
    """Return what torch.compile needs on a device and does not find, in words, or nothing."""
    if device.startswith("cuda"):
        return "" if torch.utils._triton.has_triton() else "Triton"
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        return "working C++ compiler"
    return ""
