"""The tutorials' loop, to compare with: float32, DataLoader with 2 workers, torchvision transforms."""

import math
import time
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from trainer.batches import Images
from trainer.libraries import import_torchvision

LOADER_WORKERS = 2
BATCH = 128


class Pictures(Dataset[tuple[Tensor, int]]):
    """A split as the tutorials have it: one Pillow image at a time through the transforms."""

    def __init__(self, images: Images, *, is_training: bool) -> None:
        transforms = import_torchvision().transforms
        size = images.pixels.shape[1]
        moves = [transforms.RandomCrop(size, padding=4), transforms.RandomHorizontalFlip()]
        mean, std = images.mean.flatten().tolist(), images.std.flatten().tolist()
        steps = [*(moves if is_training else []), transforms.ToTensor(), transforms.Normalize(mean, std)]
        self._transform: Any = transforms.Compose(steps)
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture = Image.fromarray(self._images.pixels[index].numpy())
        return self._transform(picture), int(self._images.labels[index])


def train_epochs(
    model: nn.Module,
    pictures: Dataset[tuple[Tensor, int]],
    *,
    epochs: int,
    lr: float,
    batch: int = BATCH,
    until: float = math.inf,
) -> Iterator[float]:
    """Train by SGD with Nesterov momentum on a one-cycle schedule; yield the seconds of each epoch.

    The one in which it is later than `until`, as `time.monotonic` gives it, ends there.
    """
    loader = DataLoader(
        pictures,
        batch_size=batch,
        shuffle=True,
        num_workers=LOADER_WORKERS,
        drop_last=True,
        persistent_workers=True,
    )
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=lr, momentum=0.9, nesterov=True, weight_decay=5e-4)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        lr,
        total_steps=epochs * len(loader),
        cycle_momentum=False,  # as in our one-cycle: the loops differ in speed, not in what they train
    )
    for _ in range(epochs):
        begin = time.perf_counter()
        model.train()
        for pixels, labels in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(pixels), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            scheduler.step()
            if time.monotonic() > until:
                break
        yield time.perf_counter() - begin


def accuracy(model: nn.Module, images: Images) -> float:
    """Return the share of right answers."""
    loader = DataLoader(Pictures(images, is_training=False), batch_size=500)
    model.eval()
    with torch.no_grad():
        right = sum(int((model(pixels).argmax(1) == labels).sum()) for pixels, labels in loader)
    return right / len(images)
