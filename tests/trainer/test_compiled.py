"""What torch.compile translates, when, and that training stays what it was."""

from dataclasses import replace

import pytest
import torch

from tests.trainer.short_jobs import (
    MODELS,
    Splits,
    advance,
    assert_goes_on_exactly,
    fresh,
    tiny_job,
)
from trainer import compiled
from trainer.compiled import LEAST_PASSES, compile_where_worthwhile
from trainer.config import JobConfig, Value
from trainer.errors import ConfigError


def job(splits: Splits, **settings: Value) -> JobConfig:
    named = {path.replace("__", "."): value for path, value in settings.items()}
    return tiny_job(splits.data_set, {"model": "resnet9", "model.width": 4, **named})


def of_device(config: JobConfig, device: str) -> JobConfig:
    return replace(config, runtime=replace(config.runtime, device=device))


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_a_translated_network_learns_the_same_and_goes_on_to_the_last_bit(splits: Splits) -> None:
    plain = tiny_job(splits.data_set, MODELS["vit"])  # without batch norms, so from the first step on
    config = tiny_job(splits.data_set, {**MODELS["vit"], "runtime.compile": "always"})
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]

    expected = fresh(plain, splits)
    advance(expected, plain, splits)
    whole = assert_goes_on_exactly(config, splits)

    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > before, "something was translated"
    for path, tensor in expected.model.state_dict().items():
        torch.testing.assert_close(whole.model.state_dict()[path], tensor, rtol=1e-2, atol=1e-3)


def test_nothing_is_translated_before_batch_norms_count_every_portion_alike(splits: Splits) -> None:
    state = fresh(job(splits, model__width=4), splits)
    settled = next(number for number in range(10_000) if state.norms.are_settled(number))
    layer, _ = state.norms.layers[0]

    state.norms.count(settled)
    first = layer.momentum
    state.norms.count(settled + 1)

    assert layer.momentum == first
    assert not state.norms.are_settled(settled - 1)
    state.norms.count(0)
    assert layer.momentum != first


@pytest.mark.parametrize(
    ("wish", "device", "passes", "is_translated"),
    [
        ("never", "cuda", LEAST_PASSES, False),
        ("auto", "cpu", LEAST_PASSES, False),
        ("auto", "mps", LEAST_PASSES, False),
        ("auto", "cuda", LEAST_PASSES - 1, False),
        ("auto", "cuda", LEAST_PASSES, True),
        ("auto", "cuda:1", LEAST_PASSES, True),
        ("always", "cpu", 10, True),
    ],
)
def test_a_long_job_on_a_gpu_is_worth_it(
    splits: Splits, monkeypatch: pytest.MonkeyPatch, wish: str, device: str, passes: int, is_translated: bool
) -> None:
    monkeypatch.setattr(compiled, "_what_is_missing", lambda _device: "")
    config = job(
        splits,
        runtime__compile=wish,
        runtime__micro_batch=10,
        training__batch_size=20,
        training__epochs=float(passes // 10),
    )

    found = compile_where_worthwhile(torch.nn.Linear(1, 1), of_device(config, device), num_images=100)

    assert (found is not None) == is_translated


def test_who_insists_without_a_compiler_is_told_so(splits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_what_is_missing", lambda _device: "working C++ compiler")

    with pytest.raises(ConfigError, match=r"no working C\+\+ compiler.*`never`"):
        compile_where_worthwhile(torch.nn.Linear(1, 1), job(splits, runtime__compile="always"), num_images=100)


def test_a_long_job_without_a_compiler_does_without(splits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_what_is_missing", lambda _device: "Triton")
    config = of_device(job(splits, training__epochs=1e4), "cuda")

    assert compile_where_worthwhile(torch.nn.Linear(1, 1), config, num_images=10_000) is None


def test_a_compiler_is_looked_for_where_the_system_would(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor import config as settings

    monkeypatch.setattr(settings.cpp, "cxx", ("no-such-compiler",))
    from torch._inductor.cpp_builder import cpp_compiler_search

    cpp_compiler_search.cache_clear()
    assert compiled._what_is_missing("cpu") == "working C++ compiler"
