"""One optimizer step: the gradient of a batch, in portions or whole, clipped and applied."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.trainer.short_jobs import Splits, advance, fresh, scores, tiny_job
from trainer.augment import mix, soft_targets
from trainer.config import JobConfig, Value
from trainer.errors import ConfigError
from trainer.evaluate import score
from trainer.seeds import generator
from trainer.state import TrainState
from trainer.step import take_step

CONSTANT_RATE: Mapping[str, Value] = {"schedule": "linear", "schedule.floor": 1.0}
PLAIN_SGD: Mapping[str, Value] = {  # the first step of it is minus the gradient
    "optimizer": "sgd",
    "optimizer.lr": 1.0,
    "optimizer.momentum": 1e-9,
    "optimizer.weight_decay": 0.0,
    **CONSTANT_RATE,
}
VIT: Mapping[str, Value] = {"model": "vit", "model.dim": 32, "model.depth": 1}
WHOLE_SPLIT = torch.arange(64)


def weights(state: TrainState) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in state.model.parameters() if parameter.requires_grad]


def steps_of(config: JobConfig, splits: Splits, indices: Tensor) -> list[Tensor]:
    """Return by how much one training step changes each trainable parameter."""
    state = fresh(config, splits)
    before = weights(state)
    take_step(state, config, splits.train, indices)
    return [new - old for new, old in zip(weights(state), before, strict=True)]


def gradients(state: TrainState, images: Tensor, targets: Tensor) -> list[Tensor]:
    loss = F.cross_entropy(state.model(images), targets)
    trainable = [parameter for parameter in state.model.parameters() if parameter.requires_grad]
    return list(torch.autograd.grad(loss, trainable))


def whole_split(splits: Splits) -> tuple[Tensor, Tensor]:
    pixels, labels = splits.train.take(WHOLE_SPLIT)
    return splits.train.normalise(pixels), labels


def test_every_group_follows_the_schedule(splits: Splits) -> None:
    config = tiny_job(splits.data_set, {"optimizer": "muon", "schedule": "linear"})
    state = fresh(config, splits)

    advance(state, config, splits, until=1.0)

    groups = [group for optimizer in state.optimizers for group in optimizer.param_groups]
    assert [group["lr"] / group["initial_lr"] for group in groups] == pytest.approx([1 - 3.5 / 8] * 3)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_first_loss_is_that_of_the_fresh_model(splits: Splits, smoothing: float) -> None:
    config = tiny_job(splits.data_set, {"training.batch_size": 64, "training.label_smoothing": smoothing})
    images, labels = whole_split(splits)
    logits = fresh(config, splits).model(images)

    (result,) = scores(advance(fresh(config, splits), config, splits, until=1.0))

    expected = F.cross_entropy(logits, labels, label_smoothing=smoothing)
    assert result.train_loss == pytest.approx(expected.item(), rel=1e-5)
    assert result.train_accuracy == pytest.approx(score(logits.detach(), labels).accuracy)


def test_a_step_is_minus_the_gradient_of_the_mean_loss(splits: Splits) -> None:
    config = tiny_job(splits.data_set, {**VIT, **PLAIN_SGD, "training.label_smoothing": 0.1})
    images, labels = whole_split(splits)

    steps = steps_of(config, splits, WHOLE_SPLIT)

    expected = gradients(fresh(config, splits), images, soft_targets(labels, 4, 0.1))
    for step, gradient in zip(steps, expected, strict=True):
        torch.testing.assert_close(step, -gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "augment", [{"augment.mixup": 0.5}, {"augment.cutmix": 1.0}, {"augment.mixup": 0.5, "augment.cutmix": 1.0}]
)
def test_mixed_images_are_learnt_with_their_mixed_targets(splits: Splits, augment: dict[str, Value]) -> None:
    config = tiny_job(splits.data_set, {**VIT, **PLAIN_SGD, **augment, "training.label_smoothing": 0.1})
    pixels, labels = splits.train.take(WHOLE_SPLIT)
    mixed, targets = mix(
        pixels,
        soft_targets(labels, 4, 0.1),
        config.augment,
        rng=generator(pixels.device, config.seed, "augment", 0),
    )

    steps = steps_of(config, splits, WHOLE_SPLIT)

    assert ((targets > 0.1).sum(1) > 1).any()
    expected = gradients(fresh(config, splits), splits.train.normalise(mixed), targets)
    for step, gradient in zip(steps, expected, strict=True):
        torch.testing.assert_close(step, -gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("micro_batch", [1, 7, 16, 63])
def test_portions_of_a_batch_add_up_to_its_gradient(splits: Splits, micro_batch: int) -> None:
    settings = {**VIT, **PLAIN_SGD, "training.batch_size": 64}
    whole = tiny_job(splits.data_set, settings)
    parts = tiny_job(splits.data_set, {**settings, "runtime.micro_batch": micro_batch})

    for one, other in zip(steps_of(whole, splits, WHOLE_SPLIT), steps_of(parts, splits, WHOLE_SPLIT), strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=1e-5)


def test_portions_of_a_batch_add_up_to_its_loss_and_accuracy(splits: Splits) -> None:
    settings = {**VIT, "training.batch_size": 64}
    whole = tiny_job(splits.data_set, settings)
    parts = tiny_job(splits.data_set, {**settings, "runtime.micro_batch": 10})

    one, other = (scores(advance(fresh(config, splits), config, splits, until=1.0))[0] for config in (whole, parts))

    assert other.train_loss == pytest.approx(one.train_loss, rel=1e-5)
    assert other.train_accuracy == one.train_accuracy


def running_statistics(config: JobConfig, splits: Splits, indices: Tensor) -> list[Tensor]:
    state = fresh(config, splits)
    take_step(state, config, splits.train, indices)
    norms = [module for module in state.model.modules() if isinstance(module, nn.BatchNorm2d)]
    return [value for norm in norms for value in (norm.running_mean, norm.running_var) if value is not None]


@pytest.mark.parametrize(
    ("batch_size", "num_images"),
    [
        (32, 32),
        pytest.param(
            128,
            64,
        ),
    ],
)
@pytest.mark.parametrize("model", ["resnet9", "fastnet"])
def test_batch_norm_forgets_as_much_in_portions_as_in_the_whole_batch(
    splits: Splits, model: str, batch_size: int, num_images: int
) -> None:
    settings: dict[str, Value] = {"model": model, "training.batch_size": batch_size}
    settings["model.width"] = 4 if model == "resnet9" else 0.1
    whole = tiny_job(splits.data_set, settings)
    parts = tiny_job(splits.data_set, {**settings, "runtime.micro_batch": 8})
    indices = torch.arange(8).repeat(num_images // 8)  # every portion has the same statistics

    one, other = (running_statistics(config, splits, indices) for config in (whole, parts))

    for expected, found in zip(one, other, strict=True):
        torch.testing.assert_close(found, expected, rtol=0.15, atol=0.02)  # 8 values have 8 / 7 of their variance


def test_a_gradient_is_clipped_to_its_largest_norm(splits: Splits) -> None:
    config = tiny_job(splits.data_set, {**VIT, **PLAIN_SGD, "training.grad_clip": 1e-3})

    steps = steps_of(config, splits, WHOLE_SPLIT)

    assert torch.cat([step.flatten() for step in steps]).norm().item() == pytest.approx(1e-3, rel=1e-2)


def test_a_gradient_below_the_largest_norm_is_left_alone(splits: Splits) -> None:
    settings = {**VIT, **PLAIN_SGD}
    free = tiny_job(splits.data_set, settings)
    clipped = tiny_job(splits.data_set, {**settings, "training.grad_clip": 1e6})

    pairs = zip(steps_of(free, splits, WHOLE_SPLIT), steps_of(clipped, splits, WHOLE_SPLIT), strict=True)

    assert all(torch.equal(one, other) for one, other in pairs)


def sides_seen(config: JobConfig, splits: Splits) -> list[int]:
    """Return the side of the images that each training step shows the network."""
    state = fresh(config, splits)
    seen = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if module.training:
            seen.append(inputs[0].shape[2])

    state.model.register_forward_pre_hook(note)
    advance(state, config, splits)
    return seen


def test_images_grow_to_their_size_in_training_and_are_scored_at_it(splits: Splits) -> None:
    config = tiny_job(splits.data_set, {"training.start_size": 0.5, "training.full_size_at": 0.75})

    assert sides_seen(config, splits) == [8, 10, 12, 12, 14, 16, 16, 16]


def test_a_network_of_one_size_says_that_it_cannot_begin_small(splits: Splits) -> None:
    config = tiny_job(splits.data_set, {**VIT, "training.start_size": 0.5})

    with pytest.raises(ConfigError, match=r"`training\.start_size` begins with 8 pixels, which this network does not"):
        fresh(config, splits)


@pytest.mark.parametrize("factor", [0.02, 10.0])
def test_gradients_are_clipped_unit_by_unit_to_the_size_of_their_weights(splits: Splits, factor: float) -> None:
    plain = tiny_job(splits.data_set, {**VIT, **PLAIN_SGD})
    clipped = tiny_job(splits.data_set, {**VIT, **PLAIN_SGD, "training.adaptive_clip": factor})
    before = [p for p in fresh(plain, splits).model.parameters() if p.requires_grad]

    free, held = steps_of(plain, splits, WHOLE_SPLIT[:16]), steps_of(clipped, splits, WHOLE_SPLIT[:16])

    for step, expected, weight in zip(held[:-2], free[:-2], before[:-2], strict=True):  # all but the head
        rows = (tensor.detach().flatten(1) if tensor.ndim > 1 else tensor.detach()[None] for tensor in (step, weight))
        sizes, allowed = (row.norm(dim=1) for row in rows)
        assert (sizes <= factor * allowed.clamp(min=1e-3) * 1.001).all()
        is_kept = sizes < factor * allowed.clamp(min=1e-3) * 0.999
        units = (tensor.flatten(1) if tensor.ndim > 1 else tensor[None] for tensor in (step, expected))
        for unit, free_unit, kept in zip(*units, is_kept.tolist(), strict=True):
            assert not kept or torch.allclose(unit, free_unit, atol=1e-6)
    for step, expected in zip(held[-2:], free[-2:], strict=True):
        torch.testing.assert_close(step, expected)
