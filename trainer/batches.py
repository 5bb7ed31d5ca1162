"""From the memory-mapped images of a split to batches on a device.

Shapes: N images, H W pixels, C channels.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.data import Split
from trainer.data.store import Moments
from trainer.seeds import derive

LEAST_STD = 1 / 255  # one grey level: a constant channel has none
DEVICE_SHARE = 0.25  # of the device's free memory that the images may fill


@dataclass(frozen=True, slots=True)
class Images:
    """One split, on the device where it fits, else on the host; uint8 until it is used."""

    pixels: Tensor  # (N, H, W, C) uint8
    labels: Tensor  # (N,) int64
    mean: Tensor  # (C, 1, 1), of pixels in [0, 1]
    std: Tensor  # (C, 1, 1)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Return images (N, C, H, W) in [0, 1], channels last in memory, with their labels, on the device."""
        device = self.mean.device
        where = indices.to(self.pixels.device)
        pixels = self.pixels[where].to(device, non_blocking=True)
        labels = self.labels[where].to(device, non_blocking=True)
        return pixels.permute(0, 3, 1, 2).float() / 255, labels

    def normalise(self, images: Tensor) -> Tensor:
        """Subtract the mean and divide by the deviation."""
        return (images - self.mean) / self.std

    def portions(self, size: int, numbers: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images by their numbers, or all in order, as normalised images and labels, at most `size` at once."""
        wanted = torch.arange(len(self)) if numbers is None else numbers
        for start in range(0, len(wanted), size):
            images, labels = self.take(wanted[start : start + size])
            yield self.normalise(images), labels


def load_images(split: Split, moments: Moments, device: torch.device) -> Images:
    """Wrap a split; its pixels stay memory-mapped on a processor and move to an accelerator if they fit.

    Args:
        split: Of a prepared data set.
        moments: What its pixels are normalised by, as `input_moments` gives it for a model.
        device: Of the job.
    """
    pixels, labels = torch.from_numpy(split.images), torch.from_numpy(split.labels)
    if device.type == "cuda" and pixels.nbytes < DEVICE_SHARE * torch.cuda.mem_get_info(device)[0]:
        pixels, labels = pixels.to(device), labels.to(device)
    mean = torch.tensor(moments.mean, device=device).view(-1, 1, 1)
    std = torch.tensor(moments.std, device=device).clamp(min=LEAST_STD).view(-1, 1, 1)
    return Images(pixels, labels, mean, std)


def batch_indices(num_images: int, *, batch_size: int, seed: int, epoch: int) -> Tensor:
    """Return the order of one epoch as (steps, batch) indices; the images beyond whole batches sit it out.

    A split smaller than a batch is one batch.
    """
    rng = torch.Generator().manual_seed(derive(seed, "order", epoch))
    order = torch.randperm(num_images, generator=rng)
    size = min(batch_size, num_images)
    steps = num_images // size
    return order[: steps * size].view(steps, size)
