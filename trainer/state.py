"""Everything a checkpoint holds: the one mutable object of a job."""

import math
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch
from torch import Tensor, nn

from trainer.averaging import Average, build_average
from trainer.batches import Examples
from trainer.batchnorm import BatchNorms, batch_norms_of, in_halves, portions_of
from trainer.compiled import compile_where_worthwhile
from trainer.config import JobConfig
from trainer.data import DataSet
from trainer.devices import DTYPES
from trainer.errors import ConfigError
from trainer.evaluate import evaluating
from trainer.lengths import portion_size, side_at, steps_until
from trainer.losses import Criterion, build_criterion
from trainer.models import build_model, initialise_from_data
from trainer.optimizers import Optimizers, build_optimizers
from trainer.seeds import derive
from trainer.settings import Classical, Training, is_pretrained
from trainer.team import ALONE, Team
from trainer.transfer import Waiting, freeze, row_of, shares_of, waiting_in
from trainer.watching import Best

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
    network: nn.Module  # what to call for logits in training: the model, or what makes its gradients the team's
    compiled: nn.Module | None  # the same, translated, where that is worth it
    team: Team
    norms: BatchNorms
    optimizers: Optimizers
    averaged: Average | None  # where weights are averaged
    criterion: Criterion
    scaler: torch.amp.GradScaler  # passes everything through but where float16 needs it
    num_classes: int
    num_steps: int  # of the whole job
    stretch: Stretch
    waiting: Waiting | None = None  # what of a network with learnt weights is trained later than its head
    clipped: tuple[nn.Parameter, ...] = ()  # whose gradients adaptive clipping may shorten
    step: int = 0  # optimizer steps done
    scores: list[float] = field(default_factory=list)  # watched, of each whole epoch; larger is better
    best: Best | None = None  # where the best weights are kept
    halvings: int = 0  # of the portion of a batch, because memory ran out


def begin(
    config: JobConfig, data_set: DataSet, train_images: Examples, *, is_new: bool = True, team: Team = ALONE
) -> TrainState:
    """Build the state of a job before its first step.

    Args:
        config: The job.
        data_set: Tells the shape of the images and the classes.
        train_images: Their device is the job's.
        is_new: False where a checkpoint follows: nothing is worked out from the images then.
        team: The processes that train it together.

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
    if config.training.start_size < 1 and not isinstance(config.model, Classical):
        _try_small(model, config.training, data_set.image_shape)
    if config.runtime.channels_last:
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    shares = None
    if is_pretrained(config.model):
        shares = shares_of(model, config.transfer, num_train=data_set.num_train)
        freeze(model, shares)
    batch_size = math.ceil(min(config.training.batch_size, len(train_images)) / team.size)
    length = steps_until(config, len(train_images), config.training.epochs)
    precision = DTYPES[config.runtime.precision]
    is_trained = not isinstance(config.model, Classical)  # else it is fitted, without a step
    waits = is_pretrained(config.model) and config.transfer.unfreeze_at
    network = team.wrap(model, has_late_parameters=bool(waits))
    return TrainState(
        model=model,
        network=network,
        compiled=compile_where_worthwhile(network, config, num_images=len(train_images)),
        team=team,
        norms=batch_norms_of(
            model,
            portions=portions_of(batch_size, portion_size(config)),
            are_blank=not is_pretrained(config.model),
        ),
        optimizers=build_optimizers(config.optimizer, model, precision=precision, shares=shares) if is_trained else (),
        averaged=build_average(config.training, model, num_steps=length) if is_trained else None,
        criterion=build_criterion(config.loss, train_images.labels.to(device), num_classes=num_classes),
        scaler=torch.amp.GradScaler(device.type, enabled=precision is torch.float16),
        num_classes=num_classes,
        num_steps=length,
        stretch=new_stretch(device),
        waiting=waiting_in(model) if waits else None,
        clipped=_before_head(model) if config.training.adaptive_clip and is_trained else (),
    )


def _first_images(images: Examples) -> Iterator[Tensor]:
    numbers = torch.arange(min(WHITENING_IMAGES, len(images)))
    return (pixels for pixels, _ in images.portions(WHITENING_PORTION, numbers))


@torch.no_grad()
def _try_small(model: nn.Module, settings: Training, image_shape: tuple[int, int, int]) -> None:
    """Show a network an image of the size that training begins with.

    Raises:
        ConfigError: If it takes none but its own.
    """
    height, width, channels = image_shape
    side = side_at(settings, min(height, width), 0.0)
    device = next(model.parameters()).device
    try:
        with evaluating(model):
            model(torch.zeros(1, channels, side, side, device=device))
    except (AssertionError, RuntimeError) as error:
        message = f"`training.start_size` begins with {side} pixels, which this network does not take: {error}"
        raise ConfigError(message) from error


def _before_head(model: nn.Module) -> tuple[nn.Parameter, ...]:
    head = set(row_of(model)[-1])
    return tuple(p for name, p in model.named_parameters() if p.requires_grad and name not in head)


def halve(state: TrainState) -> None:
    """Let half as many images go through the model at once from now on; batch norms weigh portions accordingly."""
    state.halvings += 1
    state.norms = in_halves(state.norms)


def latest_model(state: TrainState) -> nn.Module:
    """Return the model whose scores count after the latest step: the averaged one where there is such."""
    return state.averaged.module if state.averaged is not None else state.model


def scored_model(state: TrainState) -> nn.Module:
    """Return the model whose scores count in the end: the latest, or the best where that is kept."""
    if state.best is None:
        return latest_model(state)
    model = deepcopy(latest_model(state))
    model.load_state_dict(state.best.weights)
    return model


def keep_best(state: TrainState, score: float, logits: Tensor) -> None:
    """Keep the latest weights, with the validation logits that they gave, if they score above what is kept."""
    if state.best is None or score > state.best.score:
        weights = {name: tensor.clone() for name, tensor in latest_model(state).state_dict().items()}
        state.best = Best(score, weights, logits)


def to_checkpoint(state: TrainState, *, has_ended: bool = False) -> dict[str, Any]:
    """Return the state as tensors and plain values; without what only further steps would need, if none will follow."""
    model, averaged = state.model.state_dict(), state.averaged.module.state_dict() if state.averaged else None
    if has_ended and averaged and all(torch.equal(averaged[name], tensor) for name, tensor in model.items()):
        averaged = None
    return {
        "model": model,
        "averaged": averaged,
        "optimizers": [] if has_ended else [optimizer.state_dict() for optimizer in state.optimizers],
        "scaler": state.scaler.state_dict(),
        "stretch": asdict(state.stretch),
        "step": state.step,
        "scores": state.scores,
        "best": None if state.best is None else {item.name: getattr(state.best, item.name) for item in fields(Best)},
        "halvings": state.halvings,
    }


def restore(state: TrainState, content: dict[str, Any]) -> None:
    """Set a fresh state to what `to_checkpoint` returned for the same job."""
    state.model.load_state_dict(content["model"])
    if state.averaged is not None:
        state.averaged.module.load_state_dict(content["averaged"] or content["model"])
    if content["optimizers"]:  # else no step follows
        for optimizer, saved in zip(state.optimizers, content["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
    if content["scaler"]:  # empty where it is off
        state.scaler.load_state_dict(content["scaler"])
    state.stretch = Stretch(**content["stretch"])
    state.step = content["step"]
    state.scores = list(content.get("scores", ()))  # which checkpoints of an earlier version lack
    state.best = Best(**content["best"]) if content.get("best") else None
    for _ in range(content.get("halvings", 0)):
        halve(state)
