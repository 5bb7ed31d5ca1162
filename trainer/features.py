"""What the frozen part of a network makes of the images: worked out once for a data set, shared by all jobs.

Where only the head is trained and each image looks the same every time, all but the head gives the same answer in
every epoch of every job. A job then trains the head on those answers, which takes a thousandth of the arithmetic.

Shapes: N images, V views, D features, K classes.
"""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trainer.augment import flips_at_most
from trainer.batches import Features, Images, fits
from trainer.config import JobConfig, model_name
from trainer.data import DataSet
from trainer.data.files import publish, require_free, workspace
from trainer.devices import DTYPES
from trainer.evaluate import evaluating
from trainer.settings import Published, Timm, is_pretrained, what_is_trained
from trainer.transfer import head_of

FOLDER = "features"  # within that of the data set
PORTION = 64  # images a forward pass
FLOAT_BYTES = 4
SAME = 1e-3  # largest difference of logits, as a share of the largest, between two ways to the same answer

Progress = Callable[[int, int], None]  # images done, images in all


@dataclass(frozen=True, slots=True)
class _Frozen:
    """What makes features of images."""

    model: nn.Module
    head: str  # the layer that they go into
    num_views: int  # 2: the image flipped, too
    precision: torch.dtype


def has_fixed_features(config: JobConfig, *, num_train: int) -> bool:
    """Say whether all but the head of a job's network gives an image the same features every time.

    So it does where the head alone is trained, no augmentation but the flip is asked for, and no layer drops anything.
    """
    model = config.model
    return (
        isinstance(model, Published)
        and is_pretrained(model)
        and config.transfer.cache_features
        and what_is_trained(config.transfer, num_train) == "head"
        and flips_at_most(config.augment)
        and config.training.start_size == 1.0
        and config.runtime.processes == 1
        and config.scoring.tta != "flip_shift"
        and not model.dropout
        and not (isinstance(model, Timm) and model.drop_path)
    )


def on_features(
    model: nn.Module,
    config: JobConfig,
    data_set: DataSet,
    splits: tuple[Images, Images],
    on_progress: Progress = lambda done, total: None,
) -> tuple[Features, Features] | None:
    """Return the features of the training and the validation images, made now if no job has made them before.

    Args:
        model: With the weights of the job; its mode is restored.
        config: The job, of which `has_fixed_features` is true.
        data_set: In whose folder the features are kept.
        splits: The training images and the validation images.
        on_progress: Told of images done, while features are made.

    Returns:
        None if the network does more with its last layer's answer than give it as logits.

    Raises:
        DataError: If the disk can't hold them.
    """
    head = head_of(model)
    if head is None or not _is_last(model, head, splits[0]):
        return None
    num_views = 2 if config.augment.flip != "none" or config.scoring.tta == "flip" else 1
    frozen = _Frozen(model, head, num_views, DTYPES[config.runtime.precision])
    folder = data_set.root / FOLDER / f"{_key(model, head, config)}-{num_views}"
    found = _read(folder, head, splits, config)
    if found is None:
        with workspace(folder.parent, folder.name) as draft:
            found = _read(folder, head, splits, config)  # another job may have made them meanwhile
            if found is None:
                _make(draft, frozen, splits, on_progress)
                publish(draft, folder)
        found = found or _read(folder, head, splits, config)
    assert found is not None, "the features were written a moment ago"
    return found


def _is_last(model: nn.Module, head: str, images: Images) -> bool:
    """Say whether the network's logits are the answer of its last layer, on two images."""
    some, _ = next(images.portions(2))
    with torch.inference_mode(), evaluating(model):
        seen, logits = _seen_by(model, head, some)
        if seen.dim() != 2:
            return False
        alone = model.get_submodule(head)(seen)
    return logits.shape == alone.shape and bool(torch.allclose(logits, alone, atol=SAME * float(logits.abs().max())))


def _seen_by(model: nn.Module, layer: str, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return what a layer gets when the network is shown images, and the network's answer."""
    seen: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        seen.append(inputs[0])

    hook = model.get_submodule(layer).register_forward_pre_hook(keep)
    try:
        logits = model(images)
    finally:
        hook.remove()
    return seen[0], logits


def _key(model: nn.Module, head: str, config: JobConfig) -> str:
    """Return a name that changes with whatever the features depend on, beside the images."""
    runtime = config.runtime
    means = (model_name(config.model), torch.__version__, runtime.device.partition(":")[0], runtime.precision)
    digest = hashlib.blake2b(repr(means).encode(), digest_size=8)
    for name, tensor in model.state_dict().items():
        if not name.startswith(f"{head}."):
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _make(folder: Path, frozen: _Frozen, splits: tuple[Images, Images], on_progress: Progress) -> None:
    """Write the features of both splits, each as one array (N, V, D)."""
    total, done = sum(map(len, splits)), 0
    for split, images in zip(("train", "val"), splits, strict=True):
        array: np.memmap[Any, np.dtype[np.float32]] | None = None
        for first, portion in _portions(frozen, images):
            if array is None:
                shape = (len(images), *portion.shape[1:])
                require_free(folder, FLOAT_BYTES * math.prod(shape), what="keep the features of the images")
                array = np.lib.format.open_memmap(folder / _file(split), mode="w+", dtype=np.float32, shape=shape)
            array[first : first + len(portion)] = portion.numpy()
            done += len(portion)
            on_progress(done, total)
        assert array is not None, "no split is empty"
        array.flush()


def _portions(frozen: _Frozen, images: Images) -> Iterator[tuple[int, Tensor]]:
    """Yield the number of a portion's first image with the portion's features (n, V, D), float32, on the host."""
    is_mixed = frozen.precision is not torch.float32
    with torch.inference_mode(), evaluating(frozen.model):
        first = 0
        for some, _ in images.portions(PORTION):
            with torch.autocast(images.device.type, frozen.precision, enabled=is_mixed):
                views = (some, some.flip(-1))[: frozen.num_views]
                seen = torch.stack([_seen_by(frozen.model, frozen.head, view)[0] for view in views], dim=1)
            yield first, seen.float().cpu()
            first += len(some)


def _read(
    folder: Path, head: str, splits: tuple[Images, Images], config: JobConfig
) -> tuple[Features, Features] | None:
    """Map the features of both splits; None if they are not there or not whole."""
    found = []
    for split, images in zip(("train", "val"), splits, strict=True):
        try:
            array = np.load(folder / _file(split), mmap_mode="c", allow_pickle=False)
        except (OSError, EOFError, ValueError):
            return None
        if array.dtype != np.float32 or array.ndim != 3 or len(array) != len(images):
            return None
        values = torch.from_numpy(array)
        device = images.device
        values = values.to(device) if fits(values, device) else values
        num_scored = 2 if config.scoring.tta == "flip" else 1
        found.append(Features(values, images.labels, head, device, num_scored))
    train, val = found
    return train, val


def _file(split: str) -> str:
    return f"{split}.npy"
