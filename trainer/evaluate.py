"""Scores of a model on a split.

Shapes: N images, K classes.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.batches import Examples
from trainer.data.splits import hold_out
from trainer.errors import DataError
from trainer.metrics import class_metrics
from trainer.results import Evaluation

TOP = 5
FEWEST_SCORED = 500
SCORED_SHARE = 0.15  # of the images trained on; scoring costs a third of training, so a twentieth of the time


def images_to_score(labels: Tensor, *, num_train: int, epoch: float) -> Tensor:
    """Choose which images of the validation split to score: all of them, but for the first fraction of an epoch.

    There a full look could cost as much as the training that it judges. The choice depends on nothing but the
    split and the epoch, so that trials are compared on the same images at each rung.

    Args:
        labels: (N,) of the split.
        num_train: Images of the training split.
        epoch: Done.

    Returns:
        Their numbers, ascending; class by class the same share.
    """
    fraction = max(FEWEST_SCORED, SCORED_SHARE * epoch * num_train) / max(1, len(labels))
    if epoch >= 1 or fraction >= 1:
        return torch.arange(len(labels))
    chosen = hold_out(labels.cpu().numpy(), fraction=fraction, keep=0, seed=0, split="val")
    return torch.from_numpy(chosen).nonzero().squeeze(1)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Set a model to eval mode for as long as the block lasts; each part then goes back to the mode it had."""
    modes = [(module, module.training) for module in model.modules()]  # frozen parts are not in training
    model.eval()
    try:
        yield
    finally:
        for module, was_training in modes:
            module.training = was_training


@torch.inference_mode()
def predict(
    model: nn.Module, images: Examples, *, portion: int, precision: torch.dtype, numbers: Tensor | None = None
) -> Tensor:
    """Return the (N, K) float32 logits of a split, on the device; the model's mode is restored.

    Args:
        model: Set to eval mode meanwhile.
        images: In order.
        portion: Images a forward pass.
        precision: Of autocast; float32 leaves it off.
        numbers: (N,) of the images wanted; None for the whole split.

    Raises:
        DataError: If the split is empty.
    """
    if not len(images):
        raise DataError("Cannot evaluate on an empty split.")
    is_mixed = precision is not torch.float32
    with evaluating(model), torch.autocast(images.device.type, precision, enabled=is_mixed):
        logits = [images.logits(model, some).float() for some, _ in images.portions(portion, numbers)]
    return torch.cat(logits)


def score(logits: Tensor, labels: Tensor) -> Evaluation:
    """Score (N, K) logits against (N,) labels."""
    labels = labels.to(logits.device)
    top = logits.topk(min(TOP, logits.shape[1]), dim=1).indices
    hits = top == labels.unsqueeze(1)
    by_class = class_metrics(
        labels.cpu().numpy(), top[:, 0].cpu().numpy(), np.ones((1, len(labels))), num_classes=logits.shape[1]
    )
    return Evaluation(
        loss=F.cross_entropy(logits, labels).item(),
        accuracy=hits[:, 0].float().mean().item(),
        top5_accuracy=hits.any(dim=1).float().mean().item(),
        num_images=len(labels),
        balanced_accuracy=float(by_class["balanced_accuracy"][0]),
        f1_macro=float(by_class["f1_macro"][0]),
    )
