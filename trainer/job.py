"""One job from start to end: restore, train to an epoch, leave a checkpoint and predictions, report.

What goes wrong becomes a `Failed` event with a reason out of a closed set; only the process's death is not told.
"""

import os
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass, field
from math import isfinite
from pathlib import Path
from typing import assert_never

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import nn

from trainer.batches import Examples, joined, joined_features, load_images, load_splits
from trainer.checkpoints import load_checkpoint, save_checkpoint
from trainer.classical.fit import fit
from trainer.config import JobConfig, flat
from trainer.crashpoints import crash_point
from trainer.data import DataSet, load_data_set
from trainer.data.locked import open_test_split
from trainer.devices import resolve_device, set_arithmetic
from trainer.errors import CheckpointError, ConfigError, DataError, Diverged, OverLimits, is_full_disk, is_out_of_memory
from trainer.evaluate import images_to_score, score
from trainer.features import has_fixed_features, on_features
from trainer.files import replacing, write_bytes
from trainer.footprint import GLANCE_SECONDS, TIMED_SECONDS, footprint
from trainer.jobfiles import PREDICTIONS, SAMPLES, TEST_PREDICTIONS, WEIGHTS
from trainer.launch import launch
from trainer.lengths import portion_size, steps_in_epoch, steps_until
from trainer.limits import check_limits
from trainer.loop import Scored, is_over, predict_split, train
from trainer.measure import measure
from trainer.metrics import estimates
from trainer.models import input_moments
from trainer.orders import MeasureOrder, Order, TestOrder, TrainOrder
from trainer.results import EpochResult, Failed, Halved, JobEvent, Reached, Started, Stopped, Tested
from trainer.samples import write_samples
from trainer.settings import Classical
from trainer.state import TrainState, begin, restore, scored_model, to_checkpoint
from trainer.team import ALONE, Team

SECONDS_BETWEEN_CHECKPOINTS = 60.0
SECONDS_BETWEEN_STEP_EVENTS = 0.5


@dataclass(slots=True)
class _Run:
    """A job under way, with the history that its checkpoint carries."""

    order: TrainOrder
    state: TrainState
    train_images: Examples
    val_images: Examples
    image_shape: tuple[int, int, int]  # H, W, C
    history: list[EpochResult]
    scored: Scored | None = None  # the last evaluation of this process
    saved_at: float = field(default_factory=time.monotonic)
    saved_step: int = -1


def carry_out(
    order: Order, *, emit: Callable[[JobEvent], None], should_stop: Callable[[], bool], team: Team = ALONE
) -> None:
    """Carry out an order; every outcome is an event, and the last one says how it ended.

    Args:
        order: What to do.
        emit: Gets the events in order.
        should_stop: Asked after each training step; True leaves a checkpoint and ends the job.
        team: The processes that carry it out together, this one among them.
    """
    try:
        match order:
            case TrainOrder() if _needs_others(order, team):
                launch(order, emit=emit, should_stop=should_stop)
            case TrainOrder():
                _train(order, team, emit, should_stop)
            case TestOrder():
                emit(_test(order))
            case MeasureOrder():
                emit(measure(order, emit=emit))
            case _:
                assert_never(order)
    except Exception as error:  # noqa: BLE001  -- the border of a trial: whatever happened becomes its outcome
        emit(failure(error))


def _train(order: TrainOrder, team: Team, emit: Callable[[JobEvent], None], should_stop: Callable[[], bool]) -> None:
    """Train; results that the checkpoint already holds are sent again first, as the driver may have lost them."""
    order.directory.mkdir(parents=True, exist_ok=True)
    run = _prepare(order, emit, team)
    now = time.time()
    emit(Started(epoch=_epoch_of(run), pid=os.getpid(), at=now, ready_seconds=now - order.born_at))
    for result in run.history:
        emit(result)
    last = _advance(run, emit, should_stop)
    if isinstance(last, Reached) and isinstance(order.config.model, Classical):  # it has no size before it is fitted
        _weigh(order, run.state, run.image_shape, emit)
    emit(last)


def _needs_others(order: TrainOrder, team: Team) -> bool:
    """Say whether several processes are to train the job; what is fitted without steps is fitted by one."""
    return order.config.runtime.processes > team.size and not isinstance(order.config.model, Classical)


def _test(order: TestOrder) -> Tested:
    """Score the checkpoint of a trained job on the test split, or its weights where that is gone."""
    config = order.config
    torch.set_num_threads(config.runtime.threads)
    device = resolve_device(config.runtime.device)
    set_arithmetic(config.runtime.precision, device)
    data_set = _load_data(order)
    images = load_images(open_test_split(data_set), input_moments(config.model, data_set), device)
    content = load_checkpoint(order.directory, fingerprint=config.fingerprint, device=device)
    state = begin(config, data_set, images, is_new=False)
    if content is not None:
        restore(state, content)
        model = scored_model(state)
    elif (order.directory / WEIGHTS).exists():  # of trials that will not go on, checkpoints go first
        state.model.load_state_dict(safetensors.torch.load_file(order.directory / WEIGHTS, device=str(device)))
        model = state.model
    else:
        raise CheckpointError(f"There is neither a sound checkpoint of this job in {order.directory}, nor its weights.")
    logits = predict_split(state, config, images, model=model, scoring=config.scoring)
    told, labels = logits.cpu().numpy(), images.labels.cpu().numpy()
    save_predictions(order.directory / TEST_PREDICTIONS, logits=told, labels=labels)
    found = {name: astuple(estimate) for name, estimate in estimates(told, labels).items() if isfinite(estimate.value)}
    return Tested(evaluation=score(logits, images.labels), estimates=found, at=time.time())


def _load_data(order: TrainOrder | TestOrder) -> DataSet:
    """Open the prepared data, which must be those that the job was made for."""
    data_set = load_data_set(order.data_root)
    if data_set.fingerprint != order.config.data:
        raise DataError(
            f"The data set at {order.data_root} has fingerprint {data_set.fingerprint}, "
            f"the job was made for {order.config.data}."
        )
    return data_set


def _prepare(order: TrainOrder, emit: Callable[[JobEvent], None], team: Team) -> _Run:
    """Open the data, build and weigh the model, and go back to the checkpoint if there is a sound one."""
    config = order.config
    torch.set_num_threads(config.runtime.threads)
    device = team.device(resolve_device(config.runtime.device))
    set_arithmetic(config.runtime.precision, device)
    data_set = _load_data(order)
    splits = load_splits(data_set, input_moments(config.model, data_set), device)
    images = joined(*splits) if _trains_on_all(config) else splits[0]
    content = load_checkpoint(order.directory, fingerprint=config.fingerprint, device=device)
    state = begin(config, data_set, images, is_new=content is None, team=team)
    history: list[EpochResult] = []
    if content is not None:
        restore(state, content)
        history = [EpochResult(**result) for result in content["history"]]
    if not isinstance(config.model, Classical):
        _weigh(order, state, data_set.image_shape, emit)
    examples: tuple[Examples, Examples] = (images, splits[1])
    features = None
    if has_fixed_features(config, num_train=data_set.num_train):
        features = on_features(state.model, config, data_set, splits)
    if features is not None:
        examples = (joined_features(*features) if _trains_on_all(config) else features[0], features[1])
    is_augmented = features is None and not isinstance(config.model, Classical)
    if content is None and is_augmented and team.leads:
        write_samples(order.directory / SAMPLES, images, config)
    return _Run(order, state, *examples, data_set.image_shape, history, saved_step=state.step)


def _weigh(
    order: TrainOrder, state: TrainState, image_shape: tuple[int, int, int], emit: Callable[[JobEvent], None]
) -> None:
    """Tell what the model costs, where that is wanted.

    Raises:
        OverLimits: If it costs more than it may.
    """
    if not order.is_to_be_weighed or not state.team.leads:
        return
    found = footprint(
        state.model,
        order.config,
        image_shape=image_shape,
        device=state.stretch.loss.device,
        seconds=TIMED_SECONDS if "latency_ms" in order.limits else GLANCE_SECONDS,
    )
    emit(found)
    check_limits(found, order.limits)


def _trains_on_all(config: JobConfig) -> bool:
    """Say whether a job trains on the validation images, too, and so has none to score."""
    return config.training.images == "train+val"


def _advance(run: _Run, emit: Callable[[JobEvent], None], should_stop: Callable[[], bool]) -> Reached | Stopped:
    """Train, or fit, to the ordered epoch or until asked to stop; save where it matters.

    Who is asked to stop when nothing is left to train has arrived.
    """
    go_on = fit if isinstance(run.order.config.model, Classical) else train
    shown_at, halvings = 0.0, run.state.halvings
    for result in go_on(
        run.state,
        run.order.config,
        train_images=run.train_images,
        val_images=None if _trains_on_all(run.order.config) else run.val_images,
        until=run.order.until,
    ):
        if isinstance(result, Scored):
            run.history.append(result.result)
            run.scored = result
        _save_now_and_then(run)
        if isinstance(result, Scored):
            emit(result.result)
        elif time.monotonic() - shown_at > SECONDS_BETWEEN_STEP_EVENTS:
            shown_at = time.monotonic()
            emit(result)
        if run.state.halvings > halvings:
            halvings = run.state.halvings
            emit(Halved(portion=portion_size(run.order.config, halvings), at=time.time()))
        if not _is_there(run) and run.state.team.agrees(should_stop(), run.val_images.device):
            _save(run)
            return Stopped(epoch=_epoch_of(run), at=time.time())
    return _arrive(run)


def _arrive(run: _Run) -> Reached:
    """Leave the checkpoint and the validation predictions of the epoch reached."""
    _save(run)
    if _trains_on_all(run.order.config):
        return _arrive_unscored(run)
    if run.scored is not None:
        numbers, logits = run.scored.numbers, run.scored.logits
    else:  # the checkpoint was there already
        numbers = images_to_score(run.val_images.labels, num_train=len(run.train_images), epoch=run.history[-1].epoch)
        logits = predict_split(run.state, run.order.config, run.val_images, numbers)
    if run.state.team.leads:
        labels = run.val_images.labels[numbers]
        save_predictions(run.order.directory / PREDICTIONS, logits=logits.cpu().numpy(), labels=labels.cpu().numpy())
        save_weights(run.order.directory / WEIGHTS, scored_model(run.state))
    has_ended = is_over(run.state, run.order.config)
    return Reached(
        epoch=_epoch_of(run) if has_ended else run.order.until,
        is_final=has_ended,
        at=time.time(),
        num_parameters=sum(p.numel() for p in run.state.model.parameters()),
        predictions=PREDICTIONS,
    )


def _arrive_unscored(run: _Run) -> Reached:
    """Leave the weights of a job that has no images to score; its own images must at least be known to it."""
    crash_point("in_refit")
    logits = predict_split(run.state, run.order.config, run.val_images)
    if run.state.team.leads:
        save_weights(run.order.directory / WEIGHTS, scored_model(run.state))
    return Reached(
        epoch=run.order.until,
        at=time.time(),
        num_parameters=sum(p.numel() for p in run.state.model.parameters()),
        predictions="",
        seen_accuracy=score(logits, run.val_images.labels).accuracy,
    )


def save_predictions(path: Path, *, logits: NDArray[np.float32], labels: NDArray[np.int64]) -> None:
    """Write (N, K) logits and (N,) labels as one whole file."""
    with replacing(path) as file:
        np.savez(file, logits=logits, labels=labels)


def save_weights(path: Path, model: nn.Module) -> None:
    """Write the tensors of a model as one whole safetensors file."""
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    write_bytes(path, safetensors.torch.save(tensors))


def _save_now_and_then(run: _Run) -> None:
    if time.monotonic() - run.saved_at > SECONDS_BETWEEN_CHECKPOINTS:
        _save(run)


def _save(run: _Run) -> None:
    if run.saved_step == run.state.step or not run.state.team.leads:
        return
    content = to_checkpoint(run.state, has_ended=_has_ended(run)) | {
        "fingerprint": run.order.config.fingerprint,
        "config": flat(run.order.config),
        "history": [asdict(result) for result in run.history],
    }
    save_checkpoint(run.order.directory, content)
    run.saved_at, run.saved_step = time.monotonic(), run.state.step


def _has_ended(run: _Run) -> bool:
    """Say whether no step follows, whatever may be ordered."""
    return run.state.step >= run.state.num_steps or is_over(run.state, run.order.config)


def _is_there(run: _Run) -> bool:
    """Say whether no step is left until the ordered epoch."""
    last = steps_until(run.order.config, len(run.train_images), run.order.until)
    return run.state.step >= last or is_over(run.state, run.order.config)


def _epoch_of(run: _Run) -> float:
    return run.state.step / steps_in_epoch(run.order.config, len(run.train_images))


def failure(error: Exception) -> Failed:
    """Return what a job reports that can't go on because of an exception."""
    return Failed(
        reason=_reason(error),
        message=str(error) or type(error).__name__,
        traceback="".join(traceback.format_exception(error)),
        at=time.time(),
    )


def _reason(error: Exception) -> str:
    """Return which of `REASONS` an exception stands for."""
    if isinstance(error, Diverged):
        return "nan_loss"
    if isinstance(error, ConfigError):
        return "bad_config"
    if isinstance(error, DataError):
        return "bad_data"
    if isinstance(error, OverLimits):
        return "constraint"
    if is_out_of_memory(error):
        return "oom"
    if is_full_disk(error):
        return "disk_full"
    return "error"
