import pytest
import torch
from torch import nn

from tests.trainer.short_jobs import Splits, fresh, tiny_job
from trainer.batchnorm import batch_norms_of, portions_of
from trainer.step import take_step


@pytest.mark.parametrize(
    ("num_images", "micro_batch", "portions"), [(64, 64, 1), (65, 64, 2), (1, 8, 1), (999, 250, 4)]
)
def test_a_batch_goes_through_in_whole_portions_and_a_rest(num_images: int, micro_batch: int, portions: int) -> None:
    assert portions_of(num_images, micro_batch) == portions


@pytest.mark.parametrize("num_portions", [1, 2, 5, 40])
@pytest.mark.parametrize("momentum", [0.1, 0.4, 1.0])
def test_averages_are_a_weighted_mean_of_what_was_seen(momentum: float, num_portions: int) -> None:
    layer = nn.BatchNorm2d(3, momentum=momentum)
    norms = batch_norms_of(nn.Sequential(layer), portions=1)
    batches = torch.randn((num_portions, 16, 3, 2, 2), generator=torch.Generator().manual_seed(0)) + 5

    for number, batch in enumerate(batches):
        norms.count(number)
        layer(batch)

    weights = (1 - momentum) ** torch.arange(num_portions - 1, -1, -1.0)
    weights /= weights.sum()
    assert layer.running_mean is not None
    assert layer.running_var is not None
    means, variances = batches.mean(dim=(1, 3, 4)), batches.var(dim=(1, 3, 4))
    torch.testing.assert_close(layer.running_mean, weights @ means)
    torch.testing.assert_close(layer.running_var, weights @ variances)


def test_portions_weigh_together_as_much_as_their_batch() -> None:
    layer = nn.BatchNorm2d(1, momentum=0.4)

    batch_norms_of(layer, portions=4).count(10**6)

    assert (1 - (layer.momentum or 0)) ** 4 == pytest.approx(0.6)


def test_layers_that_average_all_alike_are_left_alone() -> None:
    layer = nn.BatchNorm2d(1, momentum=None)

    batch_norms_of(layer, portions=4).count(3)

    assert layer.momentum is None


def test_after_the_first_step_nothing_is_left_of_the_initial_statistics(splits: Splits) -> None:
    config = tiny_job(splits.data_set, {"model": "resnet9", "model.width": 4, "runtime.micro_batch": 8})
    state = fresh(config, splits)
    first, _ = state.norms.layers[0]
    assert first.running_mean is not None
    first.running_mean.fill_(1e6)

    take_step(state, config, splits.train, torch.arange(16))

    assert first.running_mean.abs().max() < 100


def test_a_ghost_batch_trains_alike_whatever_portions_a_machine_likes(splits: Splits) -> None:
    settings = {"model": "resnet9", "model.width": 4, "training.batch_size": 32, "training.ghost_batch": 8}
    ends = []
    for micro_batch in (8, 16, 32):
        config = tiny_job(splits.data_set, {**settings, "runtime.micro_batch": micro_batch})
        state = fresh(config, splits)
        for first in (0, 32):
            take_step(state, config, splits.train, torch.arange(first, first + 32))
        ends.append(state.model.state_dict())

    first, *others = ends
    assert all(torch.equal(other[name], tensor) for other in others for name, tensor in first.items())
