"""Memory that runs out within a step: the same batch goes on in smaller portions."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.trainer.short_jobs import Splits, advance, fresh, reopened, tensors_of, tiny_job
from trainer.config import JobConfig, Value
from trainer.state import TrainState
from trainer.step import take_step

EXHAUSTED = "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried to allocate"
VIT: dict[str, Value] = {"model": "vit", "model.dim": 64, "model.depth": 1}  # no batch norm: portions change nothing


def with_room_for(state: TrainState, num_images: int) -> TrainState:
    """Let memory run out where more images than this go through the model at once in training."""

    def refuse(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if module.training and len(inputs[0]) > num_images:
            raise RuntimeError(EXHAUSTED)

    state.model.register_forward_pre_hook(refuse)
    return state


def one_step(config: JobConfig, splits: Splits, arrange: Callable[[TrainState], TrainState]) -> TrainState:
    state = arrange(fresh(config, splits))
    take_step(state, config, splits.train, torch.arange(16))
    return state


def test_a_batch_that_does_not_fit_is_trained_in_halves(splits: Splits) -> None:
    config = tiny_job(splits.data_set, VIT)

    whole = one_step(config, splits, lambda state: state)
    halved = one_step(config, splits, lambda state: with_room_for(state, 5))

    assert halved.halvings == 2  # portions of 4
    assert halved.stretch.correct == whole.stretch.correct
    torch.testing.assert_close(halved.stretch.loss, whole.stretch.loss, rtol=1e-5, atol=0)
    for found, expected in zip(halved.model.parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_later_steps_and_processes_keep_to_the_smaller_portions(splits: Splits) -> None:
    config = tiny_job(splits.data_set)
    whole, part = (with_room_for(fresh(config, splits), 8) for _ in range(2))
    advance(whole, config, splits)

    advance(part, config, splits, until=0.75)
    resumed = with_room_for(reopened(part, config, splits), 8)
    assert resumed.halvings == 1
    advance(resumed, config, splits)

    expected = tensors_of(whole)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in tensors_of(resumed).items())


def test_portions_count_in_batch_norms_as_if_they_had_been_chosen_so(splits: Splits) -> None:
    halved = with_room_for(fresh(tiny_job(splits.data_set), splits), 8)
    chosen_config = tiny_job(splits.data_set, {"runtime.micro_batch": 8})
    chosen = fresh(chosen_config, splits)

    advance(halved, tiny_job(splits.data_set), splits)
    advance(chosen, chosen_config, splits)

    for found, expected in zip(halved.model.parameters(), chosen.model.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    for found, expected in zip(halved.model.buffers(), chosen.model.buffers(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_a_single_image_that_does_not_fit_ends_the_job(splits: Splits) -> None:
    config = tiny_job(splits.data_set)

    with pytest.raises(RuntimeError, match="can't allocate memory"):
        one_step(config, splits, lambda state: with_room_for(state, 0))


def test_another_failure_is_not_tried_again(splits: Splits) -> None:
    calls = []

    def fail(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        calls.append(len(inputs[0]))
        raise RuntimeError("shapes cannot be multiplied")

    def arrange(state: TrainState) -> TrainState:
        state.model.register_forward_pre_hook(fail)
        return state

    with pytest.raises(RuntimeError, match="shapes"):
        one_step(tiny_job(splits.data_set), splits, arrange)
    assert calls == [16]
