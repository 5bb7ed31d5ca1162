"""One optimizer step: draw a batch, work out its gradients in portions, clip them, step, average.

Shapes: N images, C channels, H W pixels, K classes.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.augment import augment_images, draw_flips, mix, soft_targets
from trainer.batches import Examples, Features
from trainer.batchnorm import portions_of
from trainer.config import JobConfig
from trainer.devices import DTYPES
from trainer.errors import is_out_of_memory
from trainer.lengths import portion_size, side_at, steps_in_epoch, steps_until
from trainer.libraries import import_timm
from trainer.optimizers import groups_of
from trainer.schedules import rate
from trainer.seeds import derive, generator, seed_layers
from trainer.state import TrainState, halve


@dataclass(frozen=True, slots=True)
class _Batch:
    """One batch, ready for the model."""

    inputs: Tensor  # (N, C, H, W) images, augmented and normalised, or (N, D) features
    targets: Tensor  # (N, K), rows sum to 1
    labels: Tensor  # (N,)

    def portions(self, size: int) -> Iterator["_Batch"]:
        starts = range(0, len(self.labels), size)
        parts = (slice(start, start + size) for start in starts)
        return (_Batch(self.inputs[p], self.targets[p], self.labels[p]) for p in parts)


def take_step(state: TrainState, config: JobConfig, images: Examples, indices: Tensor) -> Tensor:
    """Take one optimizer step; return the mean loss of its images, detached."""
    progress = _progress(state, config, images)
    _set_rates(state, config, progress)
    if state.waiting is not None:
        state.waiting.wait(progress < config.transfer.unfreeze_at)
    batch = _batch(config, images, state.team.share(indices), state)
    loss, correct = state.team.added(*_gradients_that_fit(state, config, images, batch, len(indices)))
    _update(state, config)
    state.step += 1
    state.stretch.loss += loss * len(indices)
    state.stretch.correct += correct
    return loss


def _gradients_that_fit(
    state: TrainState, config: JobConfig, images: Examples, batch: _Batch, batch_size: int
) -> tuple[Tensor, Tensor]:
    """Work out the gradients; where memory runs out, again in portions of half the size.

    The averages of batch norms keep what portions before the failure have given them. In a team the others may be
    waiting in the middle of the step: there, the job ends.
    """
    while True:
        try:
            return _gradients(state, config, images, batch, batch_size)
        except (RuntimeError, MemoryError) as error:
            is_least = portion_size(config, state.halvings) == 1
            if not is_out_of_memory(error) or is_least or state.team.size > 1:
                raise
        halve(state)  # out here, where the failure and the tensors that it refers to are gone
        for parameter in state.model.parameters():
            parameter.grad = None


def _gradients(
    state: TrainState, config: JobConfig, images: Examples, batch: _Batch, batch_size: int
) -> tuple[Tensor, Tensor]:
    """Add up the gradients of this process's part of a batch; return its share of the loss and its right answers."""
    loss, correct = (torch.zeros((), device=images.device) for _ in range(2))
    size = portion_size(config, state.halvings)
    num_portions = portions_of(len(batch.labels), size)
    with torch.random.fork_rng([loss.device] if loss.device.type == "cuda" else []):
        seed_layers(loss.device, derive(config.seed, "layers", *_draw(state)))  # that draw, such as dropped paths
        for number, portion in enumerate(batch.portions(size)):
            num_seen = state.step * num_portions + number
            state.norms.count(num_seen)
            network = _network(state, num_seen)
            is_last = number == num_portions - 1
            with contextlib.nullcontext() if is_last else state.team.apart(state.network):
                portion_loss, portion_correct = _backward(state, network, config, images, portion, batch_size)
            loss += portion_loss
            correct += portion_correct
    return loss, correct


def _batch(config: JobConfig, images: Examples, indices: Tensor, state: TrainState) -> _Batch:
    taken, labels = images.take(indices)
    targets = soft_targets(labels, state.num_classes, config.training.label_smoothing)
    epoch = state.step // steps_in_epoch(config, len(images))
    rng = generator(images.device, config.seed, "augment", *_draw(state))
    if isinstance(images, Features):
        flipped = draw_flips(config.augment, rng=rng, epoch=epoch, indices=indices.to(images.device))
        return _Batch(images.view(taken, flipped), targets, labels)
    pixels = augment_images(taken, config.augment, rng=rng, epoch=epoch, indices=indices.to(images.device))
    pixels, targets = mix(pixels, targets, config.augment, rng=rng)
    pixels = _shrunk(pixels, config, _progress(state, config, images))
    layout = torch.channels_last if config.runtime.channels_last else torch.contiguous_format
    return _Batch(images.normalise(pixels).contiguous(memory_format=layout), targets, labels)


def _draw(state: TrainState) -> tuple[int, ...]:
    """Return what tells the draws of this step, and of this process, from those of others."""
    return (state.step, state.team.rank) if state.team.rank else (state.step,)


def _progress(state: TrainState, config: JobConfig, images: Examples) -> float:
    """Return the share of training that is done in the middle of the step to come."""
    return min(1.0, (state.step + 0.5) / steps_until(config, len(images), config.training.epochs))


def _shrunk(pixels: Tensor, config: JobConfig, progress: float) -> Tensor:
    """Return (N, C, H, W) images as small as they are to be by now."""
    height, width = pixels.shape[2:]
    side = side_at(config.training, min(height, width), progress)
    if side == min(height, width):
        return pixels
    size = (round(height * side / min(height, width)), round(width * side / min(height, width)))
    return F.interpolate(pixels, size, mode="bilinear", antialias=True)


def _network(state: TrainState, num_portions: int) -> nn.Module:
    """Return what to call for logits after so many portions.

    A translated network is translated anew where a number in it changes, as the momentum of batch norms does at first.
    """
    if state.compiled is None or not state.norms.are_settled(num_portions):
        return state.network
    return state.compiled


def _backward(
    state: TrainState, network: nn.Module, config: JobConfig, images: Examples, portion: _Batch, batch_size: int
) -> tuple[Tensor, Tensor]:
    """Add the gradient of one portion of a batch; return its share of the batch's mean loss and its right answers."""
    precision = DTYPES[config.runtime.precision]
    with torch.autocast(images.device.type, precision, enabled=precision is not torch.float32):
        logits = images.logits(network, portion.inputs)
    loss = state.criterion(logits.float(), portion.targets) / batch_size
    scaled: Tensor = state.scaler.scale(loss * state.team.size)  # a team takes the mean of its gradients
    scaled.backward()  # type: ignore[no-untyped-call]
    return loss.detach(), (logits.argmax(1) == portion.labels).sum()


def _set_rates(state: TrainState, config: JobConfig, progress: float) -> None:
    share = rate(config.schedule, progress, state.scores)
    for group in groups_of(state.optimizers):
        group["lr"] = group["initial_lr"] * share


def _update(state: TrainState, config: JobConfig) -> None:
    """Clip, step, average; the gradients are gone afterwards."""
    parameters = [p for group in groups_of(state.optimizers) for p in group["params"] if p.grad is not None]
    for optimizer in state.optimizers:
        state.scaler.unscale_(optimizer)
    if state.clipped:
        import_timm().utils.adaptive_clip_grad(state.clipped, clip_factor=config.training.adaptive_clip)
    if config.training.grad_clip:
        nn.utils.clip_grad_norm_(parameters, config.training.grad_clip)
    for optimizer in state.optimizers:
        state.scaler.step(optimizer)
    state.scaler.update()
    for parameter in parameters:
        parameter.grad = None
    if state.averaged is not None:
        state.averaged.update(state.model, step=state.step)
