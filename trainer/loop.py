"""The training loop: an iterator. To stop, stop iterating; to go on, call it again with the same state.

Shapes: N images, C channels, H W pixels, K classes.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

import torch
from torch import Tensor, nn

from trainer.batches import Examples, Features, batch_indices
from trainer.config import JobConfig, scoring_at
from trainer.crashpoints import crash_point
from trainer.devices import DTYPES
from trainer.errors import Diverged
from trainer.evaluate import images_to_score, predict, score
from trainer.lengths import portion_size, steps_in_epoch, steps_until
from trainer.optimizers import groups_of
from trainer.results import EpochResult, Evaluation, StepResult
from trainer.settings import Classical, Scoring
from trainer.state import TrainState, keep_best, latest_model, new_stretch, scored_model
from trainer.step import take_step
from trainer.views import with_views
from trainer.watching import has_stalled, watched

EVALUATION_PORTION = 500  # images a forward pass, at most; larger ones fall out of a processor's cache
CHECKS_APART = 20  # steps between looks at the loss on an accelerator, each of which waits for it


@dataclass(frozen=True, slots=True)
class Scored:
    """The end of a stretch: its metrics, and the validation logits behind them."""

    result: EpochResult
    numbers: Tensor  # (N,) of the validation images that were scored
    logits: Tensor  # (N, K), float32, in that order


def train(
    state: TrainState, config: JobConfig, *, train_images: Examples, val_images: Examples | None, until: float
) -> Iterator[StepResult | Scored]:
    """Advance `state` to the epoch `until`; a `StepResult` comes after each step but the last of a stretch.

    A `Scored` comes at each whole epoch and at the last step, that one of the weights that are kept; within the first
    epoch it may be one of a part of the validation split (`images_to_score`). Between any two of them the state may be
    saved, and another process that loads it goes on with the same result, bit for bit on a processor. Training ends
    before `until` where the job has patience and its scores have stalled (`is_over`).

    Args:
        state: Changed in place.
        config: The job; its schedule spans `training.epochs`, whatever `until` is.
        train_images: With `config.data` as their fingerprint.
        val_images: Scored, never trained on. None where there are none: a `StepResult` ends each stretch, too.
        until: Epochs done in the end, at most `training.epochs`.

    Raises:
        Diverged: If the loss leaves the finite numbers.
    """
    steps = steps_in_epoch(config, len(train_images))
    last = steps_until(config, len(train_images), until)
    while state.step < last and not is_over(state, config):
        epoch, position = divmod(state.step, steps)
        order = batch_indices(
            train_images.labels,
            batch_size=config.training.batch_size,
            balance=config.training.balance,
            seed=config.seed,
            epoch=epoch,
        )
        batches = order[position : position + last - state.step]
        for indices, following in zip_longest(batches, batches[1:]):
            if following is not None:
                train_images.announce(following)
            _timed_step(state, config, train_images, indices)
            crash_point("mid_epoch")
            if state.step < last and state.step % steps:
                yield _progress(state, steps)
        if val_images is None:
            yield _progress(state, steps)
            state.stretch = new_stretch(train_images.device)
            continue
        epoch_done = until if state.step == last else state.step / steps
        yield _finish_stretch(state, config, val_images, len(train_images), epoch=epoch_done, until=until)


def is_over(state: TrainState, config: JobConfig) -> bool:
    """Say whether there is nothing more to train, whatever epoch is ordered."""
    return has_stalled(state.scores, config.training.patience)


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
    state: TrainState, config: JobConfig, val_images: Examples, num_train: int, *, epoch: float, until: float
) -> Scored:
    """Score the model, and begin a new stretch."""
    scored = score_stretch(state, config, val_images, num_train, epoch=epoch, until=until)
    state.stretch = new_stretch(val_images.device)
    return scored


def score_stretch(
    state: TrainState, config: JobConfig, val_images: Examples, num_train: int, *, epoch: float, until: float
) -> Scored:
    """Score the model, and put the sums of the stretch that ends at `epoch` into one result.

    Raises:
        Diverged: If the validation loss is no number.
    """
    begin = time.perf_counter()
    scored = _score_latest(state, config, val_images, num_train, epoch=epoch)
    if epoch == until or is_over(state, config):
        scored = _of_kept(state, scored, val_images)
    numbers, logits, val = scored
    stretch = state.stretch
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
        lr=next((group["lr"] for group in groups_of(state.optimizers)), 0.0),
        images_per_second=stretch.num_images / stretch.seconds,
        epoch_seconds=stretch.seconds,
        eval_seconds=time.perf_counter() - begin,
        finished_at=time.time(),
    )
    return Scored(result, numbers, logits)


def _score_latest(
    state: TrainState, config: JobConfig, val_images: Examples, num_train: int, *, epoch: float
) -> tuple[Tensor, Tensor, Evaluation]:
    """Score the latest weights: the numbers of the images, their logits, the scores; note what later steps go by."""
    numbers = images_to_score(val_images.labels, num_train=num_train, epoch=epoch)
    model = latest_model(state)
    logits = predict_split(state, config, val_images, numbers, model=model)
    val = score(logits, val_images.labels[numbers])
    if not math.isfinite(val.loss):
        raise Diverged(f"The validation loss became {val.loss} at epoch {epoch:g}.")
    is_whole_epoch = not state.step % steps_in_epoch(config, num_train)  # these are the same whatever is ordered
    if is_whole_epoch and state.optimizers:
        state.scores.append(watched(val, config.training.watch))
        if config.training.keep == "best":
            keep_best(state, state.scores[-1], logits)
    return numbers, logits, val


def _of_kept(
    state: TrainState, latest: tuple[Tensor, Tensor, Evaluation], val_images: Examples
) -> tuple[Tensor, Tensor, Evaluation]:
    """Return what the kept weights have scored: the latest, or the best so far."""
    if state.best is None:
        return latest
    everything = torch.arange(len(val_images))
    return everything, state.best.logits, score(state.best.logits, val_images.labels)


def _scoring_now(state: TrainState, config: JobConfig) -> Scoring:
    """Return how images are shown after a step."""
    return scoring_at(config, is_last=state.step >= state.num_steps)


def predict_split(
    state: TrainState,
    config: JobConfig,
    images: Examples,
    numbers: Tensor | None = None,
    *,
    model: nn.Module | None = None,
    scoring: Scoring | None = None,
) -> Tensor:
    """Return the logits of the weights that are scored in the end: averaged or best ones where there are such.

    Args:
        state: Left as it is.
        config: Of the job.
        images: The split.
        numbers: (N,) of the images wanted; None for all.
        model: Another than that of those weights.
        scoring: How images are shown, where that does not follow from the job and the step.
    """
    size = portion_size(config, state.halvings) if state.halvings else config.runtime.micro_batch
    portion = min(EVALUATION_PORTION, 2 * size) if images.device.type == "cpu" else size
    is_classical = isinstance(config.model, Classical)  # fitted in float32, and cheap in it
    precision = torch.float32 if is_classical else DTYPES[config.runtime.precision]
    model = model or scored_model(state)
    if not isinstance(images, Features):  # those have their views already
        model = with_views(model, scoring or _scoring_now(state, config))
    wanted = torch.arange(len(images)) if numbers is None else numbers
    state.team.level(model)
    share = state.team.share(wanted)
    if len(wanted) and not len(share):  # there are more processes than images
        return state.team.gathered(torch.zeros(0, state.num_classes, device=images.device), len(wanted))
    mine = predict(model, images, portion=portion, precision=precision, numbers=share)
    return state.team.gathered(mine, len(wanted))
