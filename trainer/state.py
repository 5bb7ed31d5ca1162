"""Everything a checkpoint holds: the one mutable object of a job."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from trainer.batches import Examples
from trainer.batchnorm import BatchNorms, batch_norms_of, portions_of
from trainer.config import JobConfig
from trainer.data import DataSet
from trainer.devices import DTYPES
from trainer.libraries import import_timm
from trainer.losses import Criterion, build_criterion
from trainer.models import build_model, initialise_from_data
from trainer.optimizers import Optimizers, build_optimizers
from trainer.seeds import derive
from trainer.settings import is_pretrained
from trainer.transfer import freeze, shares_of

WHITENING_IMAGES = 5000
WHITENING_PORTION = 500  # whose patches fit into a processor's cache


@dataclass(slots=True)
class Stretch:
    """Sums since the last evaluation; tensors, so that an accelerator is not waited for."""

    loss: Tensor  # (), nats, summed over images
    correct: Tensor  # ()
    num_images: int = 0
    seconds: float = 0.0  # in training steps


def new_stretch(device: torch.device) -> Stretch:
    """Return sums of nothing."""
    return Stretch(loss=torch.zeros((), device=device), correct=torch.zeros((), device=device))


@dataclass(slots=True)
class TrainState:
    """A model in training."""

    model: nn.Module
    norms: BatchNorms
    optimizers: Optimizers
    averaged: Any | None  # timm's ModelEmaV3, where weights are averaged
    criterion: Criterion
    scaler: torch.amp.GradScaler  # passes everything through but where float16 needs it
    num_classes: int
    stretch: Stretch
    step: int = 0  # optimizer steps done


def begin(config: JobConfig, data_set: DataSet, train_images: Examples, *, is_new: bool = True) -> TrainState:
    """Build the state of a job before its first step.

    Args:
        config: The job.
        data_set: Tells the shape of the images and the classes.
        train_images: Their device is the job's.
        is_new: False where a checkpoint follows: nothing is worked out from the images then.

    Raises:
        ConfigError: If the model cannot take the images.
    """
    device, num_classes = train_images.device, len(data_set.class_names)
    model = build_model(
        config.model,
        image_shape=data_set.image_shape,
        num_classes=num_classes,
        seed=derive(config.seed, "weights"),
        with_weights=is_new,
    ).to(device)
    if is_new:
        initialise_from_data(model, lambda: _first_images(train_images))
    if config.runtime.channels_last:
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    shares = None
    if is_pretrained(config.model):
        shares = shares_of(model, config.transfer, num_train=data_set.num_train)
        freeze(model, shares)
    batch_size = min(config.training.batch_size, len(train_images))
    precision = DTYPES[config.runtime.precision]
    averaged = None
    if config.training.ema:
        averaged = import_timm().utils.ModelEmaV3(model, decay=config.training.ema, use_warmup=True)
    return TrainState(
        model=model,
        norms=batch_norms_of(
            model,
            portions=portions_of(batch_size, config.runtime.micro_batch),
            are_blank=not is_pretrained(config.model),
        ),
        optimizers=build_optimizers(config.optimizer, model, precision=precision, shares=shares),
        averaged=averaged,
        criterion=build_criterion(config.loss, train_images.labels.to(device), num_classes=num_classes),
        scaler=torch.amp.GradScaler(device.type, enabled=precision is torch.float16),
        num_classes=num_classes,
        stretch=new_stretch(device),
    )


def _first_images(images: Examples) -> Iterator[Tensor]:
    numbers = torch.arange(min(WHITENING_IMAGES, len(images)))
    return (pixels for pixels, _ in images.portions(WHITENING_PORTION, numbers))


def scored_model(state: TrainState) -> nn.Module:
    """Return the model whose scores count."""
    model: nn.Module = state.averaged.module if state.averaged is not None else state.model
    return model


def to_checkpoint(state: TrainState) -> dict[str, Any]:
    """Return the state as tensors and plain values."""
    return {
        "model": state.model.state_dict(),
        "averaged": state.averaged.module.state_dict() if state.averaged is not None else None,
        "optimizers": [optimizer.state_dict() for optimizer in state.optimizers],
        "scaler": state.scaler.state_dict(),
        "stretch": asdict(state.stretch),
        "step": state.step,
    }


def restore(state: TrainState, content: dict[str, Any]) -> None:
    """Set a fresh state to what `to_checkpoint` returned for the same job."""
    state.model.load_state_dict(content["model"])
    if state.averaged is not None:
        state.averaged.module.load_state_dict(content["averaged"])
    for optimizer, saved in zip(state.optimizers, content["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    if content["scaler"]:  # empty where it is off
        state.scaler.load_state_dict(content["scaler"])
    state.stretch = Stretch(**content["stretch"])
    state.step = content["step"]
