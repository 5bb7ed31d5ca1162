"""Scores of a model on a split.

Shapes: N images, K classes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.batches import Images
from trainer.errors import DataError
from trainer.results import Evaluation

TOP = 5


@torch.inference_mode()
def predict(model: nn.Module, images: Images, *, portion: int, precision: torch.dtype) -> Tensor:
    """Return the (N, K) float32 logits of a split, on the device; the model's mode is restored.

    Args:
        model: Set to eval mode meanwhile.
        images: In order.
        portion: Images a forward pass.
        precision: Of autocast; float32 leaves it off.

    Raises:
        DataError: If the split is empty.
    """
    if not len(images):
        raise DataError("Cannot evaluate on an empty split.")
    was_training = model.training
    model.eval()
    device = images.mean.device
    logits = []
    with torch.autocast(device.type, precision, enabled=precision is not torch.float32):
        logits = [model(pixels).float() for pixels, _ in images.portions(portion)]
    model.train(was_training)
    return torch.cat(logits)


def score(logits: Tensor, labels: Tensor) -> Evaluation:
    """Score (N, K) logits against (N,) labels."""
    labels = labels.to(logits.device)
    top = logits.topk(min(TOP, logits.shape[1]), dim=1).indices
    hits = top == labels.unsqueeze(1)
    return Evaluation(
        loss=F.cross_entropy(logits, labels).item(),
        accuracy=hits[:, 0].float().mean().item(),
        top5_accuracy=hits.any(dim=1).float().mean().item(),
        num_images=len(labels),
    )
