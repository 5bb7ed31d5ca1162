"""The training loop: an iterator. To stop, stop iterating; to go on, call it again with the same state.

Shapes: N images, C channels, H W pixels, K classes.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainer.augment import augment_images, draw_flips, mix, soft_targets
from trainer.batches import Examples, Features, batch_indices
from trainer.batchnorm import portions_of
from trainer.config import JobConfig
from trainer.crashpoints import crash_point
from trainer.devices import DTYPES
from trainer.errors import Diverged
from trainer.evaluate import images_to_score, predict, score
from trainer.optimizers import groups_of
from trainer.results import EpochResult, StepResult
from trainer.schedules import rate
from trainer.seeds import derive, generator, seed_layers
from trainer.state import TrainState, new_stretch, scored_model
from trainer.views import with_views

EVALUATION_PORTION = 500  # images a forward pass, at most; larger ones fall out of a processor's cache
CHECKS_APART = 20  # steps between looks at the loss on an accelerator, each of which waits for it


@dataclass(frozen=True, slots=True)
class Scored:
    """The end of a stretch: its metrics, and the validation logits behind them."""

    result: EpochResult
    numbers: Tensor  # (N,) of the validation images that were scored
    logits: Tensor  # (N, K), float32, in that order


def steps_in_epoch(config: JobConfig, num_images: int) -> int:
    """Return the optimizer steps of one epoch."""
    return num_images // min(config.training.batch_size, num_images)


def steps_until(config: JobConfig, num_images: int, epoch: float) -> int:
    """Return the optimizer steps of the first `epoch` epochs, at least one."""
    return max(1, round(epoch * steps_in_epoch(config, num_images)))


def train(
    state: TrainState, config: JobConfig, *, train_images: Examples, val_images: Examples, until: float
) -> Iterator[StepResult | Scored]:
    """Advance `state` to the epoch `until`; a `StepResult` comes after each step but the last of a stretch.

    A `Scored` comes at each whole epoch and at `until`; within the first epoch it may be one of a part of the
    validation split (`images_to_score`). Between any two of them the state may be saved, and
    another process that loads it goes on with the same result, bit for bit on a processor.

    Args:
        state: Changed in place.
        config: The job; its schedule spans `training.epochs`, whatever `until` is.
        train_images: With `config.data` as their fingerprint.
        val_images: Scored, never trained on.
        until: Epochs done in the end, at most `training.epochs`.

    Raises:
        Diverged: If the loss leaves the finite numbers.
    """
    steps = steps_in_epoch(config, len(train_images))
    last = steps_until(config, len(train_images), until)
    while state.step < last:
        epoch, position = divmod(state.step, steps)
        order = batch_indices(
            train_images.labels,
            batch_size=config.training.batch_size,
            balance=config.training.balance,
            seed=config.seed,
            epoch=epoch,
        )
        for indices in order[position : position + last - state.step]:
            _timed_step(state, config, train_images, indices)
            crash_point("mid_epoch")
            if state.step < last and state.step % steps:
                yield _progress(state, steps)
        epoch_done = until if state.step == last else state.step / steps
        yield _finish_stretch(state, config, val_images, len(train_images), epoch=epoch_done)


def _timed_step(state: TrainState, config: JobConfig, images: Examples, indices: Tensor) -> None:
    begin = time.perf_counter()
    loss = take_step(state, config, images, indices)
    state.stretch.seconds += time.perf_counter() - begin
    state.stretch.num_images += len(indices)
    _guard(loss, state, steps_in_epoch(config, len(images)))


def _progress(state: TrainState, steps: int) -> StepResult:
    return StepResult(
        epoch=state.step / steps,
        images_per_second=state.stretch.num_images / state.stretch.seconds,
    )


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
    progress = (state.step + 0.5) / steps_until(config, len(images), config.training.epochs)
    _set_rates(state, config, progress)
    batch = _batch(config, images, indices, state)
    loss = torch.zeros((), device=images.device)
    with torch.random.fork_rng([loss.device] if loss.device.type == "cuda" else []):
        seed_layers(loss.device, derive(config.seed, "layers", state.step))  # that draw, such as dropped paths
        portions = portions_of(len(indices), config.runtime.micro_batch)
        for number, portion in enumerate(batch.portions(config.runtime.micro_batch)):
            state.norms.count(state.step * portions + number)
            loss += _backward(state, config, images, portion, len(indices))
    _update(state, config)
    state.step += 1
    state.stretch.loss += loss * len(indices)
    return loss


def _batch(config: JobConfig, images: Examples, indices: Tensor, state: TrainState) -> _Batch:
    taken, labels = images.take(indices)
    targets = soft_targets(labels, state.num_classes, config.training.label_smoothing)
    epoch = state.step // steps_in_epoch(config, len(images))
    rng = generator(images.device, config.seed, "augment", state.step)
    if isinstance(images, Features):
        flipped = draw_flips(config.augment, rng=rng, epoch=epoch, indices=indices.to(images.device))
        return _Batch(images.view(taken, flipped), targets, labels)
    pixels = augment_images(taken, config.augment, rng=rng, epoch=epoch, indices=indices.to(images.device))
    pixels, targets = mix(pixels, targets, config.augment, rng=rng)
    layout = torch.channels_last if config.runtime.channels_last else torch.contiguous_format
    return _Batch(images.normalise(pixels).contiguous(memory_format=layout), targets, labels)


def _backward(state: TrainState, config: JobConfig, images: Examples, portion: _Batch, batch_size: int) -> Tensor:
    """Add the gradient of one portion of a batch; return its share of the batch's mean loss."""
    precision = DTYPES[config.runtime.precision]
    with torch.autocast(images.device.type, precision, enabled=precision is not torch.float32):
        logits = images.logits(state.model, portion.inputs)
    loss = state.criterion(logits.float(), portion.targets) / batch_size
    scaled: Tensor = state.scaler.scale(loss)
    scaled.backward()  # type: ignore[no-untyped-call]
    state.stretch.correct += (logits.argmax(1) == portion.labels).sum()
    return loss.detach()


def _set_rates(state: TrainState, config: JobConfig, progress: float) -> None:
    share = rate(config.schedule, min(1.0, progress))
    for group in groups_of(state.optimizers):
        group["lr"] = group["initial_lr"] * share


def _update(state: TrainState, config: JobConfig) -> None:
    """Clip, step, average; the gradients are gone afterwards."""
    parameters = [p for group in groups_of(state.optimizers) for p in group["params"] if p.grad is not None]
    for optimizer in state.optimizers:
        state.scaler.unscale_(optimizer)
    if config.training.grad_clip:
        nn.utils.clip_grad_norm_(parameters, config.training.grad_clip)
    for optimizer in state.optimizers:
        state.scaler.step(optimizer)
    state.scaler.update()
    for parameter in parameters:
        parameter.grad = None
    if state.averaged is not None:
        state.averaged.update(state.model, step=state.step)


def _guard(loss: Tensor, state: TrainState, steps: int) -> None:
    """Stop a job whose loss is no number any more."""
    is_looked_at = loss.device.type == "cpu" or not state.step % CHECKS_APART or not state.step % steps
    if is_looked_at and not math.isfinite(loss.item()):
        peak = groups_of(state.optimizers)[0]["lr"]
        raise Diverged(
            f"The loss became {loss.item()} in epoch {(state.step - 1) // steps + 1}, step {state.step} "
            f"(lr {peak:.4g}). Narrow `optimizer.lr` if this is frequent."
        )


def _finish_stretch(
    state: TrainState, config: JobConfig, val_images: Examples, num_train: int, *, epoch: float
) -> Scored:
    """Score the model, put the sums of the stretch into one result, and begin a new stretch."""
    begin = time.perf_counter()
    numbers = images_to_score(val_images.labels, num_train=num_train, epoch=epoch)
    logits = predict_split(state, config, val_images, numbers)
    val = score(logits, val_images.labels[numbers])
    if not math.isfinite(val.loss):
        raise Diverged(f"The validation loss became {val.loss} at epoch {epoch:g}.")
    stretch = state.stretch
    state.stretch = new_stretch(val_images.device)
    result = EpochResult(
        epoch=epoch,
        step=state.step,
        train_loss=stretch.loss.item() / stretch.num_images,
        train_accuracy=stretch.correct.item() / stretch.num_images,
        val_loss=val.loss,
        val_accuracy=val.accuracy,
        val_top5_accuracy=val.top5_accuracy,
        val_images=val.num_images,
        val_balanced_accuracy=val.balanced_accuracy,
        val_f1_macro=val.f1_macro,
        lr=groups_of(state.optimizers)[0]["lr"],
        images_per_second=stretch.num_images / stretch.seconds,
        epoch_seconds=stretch.seconds,
        eval_seconds=time.perf_counter() - begin,
        finished_at=time.time(),
    )
    return Scored(result, numbers, logits)


def predict_split(state: TrainState, config: JobConfig, images: Examples, numbers: Tensor | None = None) -> Tensor:
    """Return the logits of the weights that are scored: the averaged ones where there are such.

    Args:
        state: Left as it is.
        config: Of the job.
        images: The split.
        numbers: (N,) of the images wanted; None for all.
    """
    portion = min(EVALUATION_PORTION, 2 * config.runtime.micro_batch)
    if images.device.type != "cpu":
        portion = config.runtime.micro_batch
    precision = DTYPES[config.runtime.precision]
    model = scored_model(state)
    if not isinstance(images, Features):  # those have their views already
        model = with_views(model, config.scoring)
    return predict(model, images, portion=portion, precision=precision, numbers=numbers)
