"""A trained job as one ONNX graph that takes bytes and gives probabilities.

Shapes: N images, H W pixels, C channels, K classes.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from trainer.batches import LEAST_STD
from trainer.config import JobConfig
from trainer.data import DataSet
from trainer.data.store import Moments
from trainer.models import build_model, input_moments
from trainer.views import with_views

INPUT = "images"
OUTPUT = "probabilities"
LARGEST_BATCH = 4096
LEAST_PROBABILITY = 1e-30  # whose logarithm is taken
EXAMPLES = 2  # images that the graph is traced with; one would fix the batch size


class Servable(nn.Module):
    """A classifier with its preprocessing: uint8 images (N, H, W, C) to probabilities (N, K).

    Resizing is left to the caller: the images have the size that the model was trained on.
    """

    def __init__(self, model: nn.Module, moments: Moments, temperature: float = 1.0) -> None:
        super().__init__()
        self.model = model
        self.temperature = temperature
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(moments.mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(moments.std).clamp(min=LEAST_STD).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Normalise, classify, and turn logits into probabilities."""
        pixels = images.float().permute(0, 3, 1, 2) / 255  # in this order: TensorRT has no bytes but at the door
        logits: Tensor = self.model((pixels - self.mean) / self.std)
        return (logits / self.temperature).softmax(dim=1)


class Together(nn.Module):
    """Several classifiers as one, whose probabilities are averaged, and then tempered as those of one are."""

    def __init__(self, members: Sequence[nn.Module], counts: Sequence[int], temperature: float = 1.0) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.shares = [count / sum(counts) for count in counts]
        self.temperature = temperature

    def forward(self, images: Tensor) -> Tensor:
        """Return the tempered mean (N, K) of the members' probabilities for uint8 images (N, H, W, C)."""
        shown = [share * member(images) for share, member in zip(self.shares, self.members, strict=True)]
        mean = torch.stack(shown).sum(dim=0).clamp(min=LEAST_PROBABILITY)
        return (mean.log() / self.temperature).softmax(dim=1)


def load_servable(config: JobConfig, data_set: DataSet, weights: Path, *, temperature: float = 1.0) -> Servable:
    """Build the classifier of a trained job from its safetensors file, in eval mode, on the processor.

    Args:
        config: Of the job.
        data_set: That it was trained on.
        weights: The file.
        temperature: That its logits are divided by.
    """
    num_classes = len(data_set.class_names)
    model = build_model(
        config.model, image_shape=data_set.image_shape, num_classes=num_classes, seed=0, with_weights=False
    )
    model.load_state_dict(safetensors.torch.load_file(weights))
    return Servable(
        with_views(model, config.scoring, at_once=True), input_moments(config.model, data_set), temperature
    ).eval()


def load_together(
    networks: Sequence[tuple[JobConfig, Path, int]], data_set: DataSet, *, temperature: float
) -> Servable | Together:
    """Build a model of one trained job, or of several whose probabilities are averaged.

    Args:
        networks: The job of each, its weights, and how often it counts.
        data_set: That they were trained on.
        temperature: That the logits of the whole are divided by.
    """
    alone = temperature if len(networks) == 1 else 1.0
    loaded = [load_servable(config, data_set, weights, temperature=alone) for config, weights, _ in networks]
    return loaded[0] if len(loaded) == 1 else Together(loaded, [count for _, _, count in networks], temperature)


def export_onnx(servable: nn.Module, data_set: DataSet, path: Path) -> None:
    """Write one ONNX file, weights inside, that takes any batch size."""
    examples = torch.zeros((EXAMPLES, *data_set.image_shape), dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1, max=LARGEST_BATCH)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter to its own authors
        torch.onnx.export(
            servable,
            (examples,),
            path,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: batch},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
