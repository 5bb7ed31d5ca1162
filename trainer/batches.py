"""From the memory-mapped images of a split, or what a frozen network made of them, to batches on a device.

Shapes: N images, H W pixels, C channels, V views, D features, K classes.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import zip_longest

import psutil
import torch
from torch import Tensor, nn

from trainer.data import DataSet, Split, open_split
from trainer.data.store import Moments
from trainer.seeds import derive

LEAST_STD = 1 / 255  # one grey level: a constant channel has none
DEVICE_SHARE = 0.25  # of the device's free memory that the images may fill
HOST_SHARE = 0.5  # of the machine's free memory beyond which the system cannot keep read images at hand


class Examples(ABC):
    """One split as a job trains on it and scores it."""

    __slots__ = ()

    labels: Tensor  # (N,) int64

    def __len__(self) -> int:
        return len(self.labels)

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """The device of the job, on which batches arrive."""

    @abstractmethod
    def take(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Return examples by their numbers, with their labels, on the device; images are not yet normalised."""

    def announce(self, indices: Tensor) -> None:  # noqa: B027  -- most have nothing to wait for
        """Hear which examples are taken next; whoever can fetches them meanwhile."""

    @abstractmethod
    def normalise(self, examples: Tensor) -> Tensor:
        """Return taken examples as the network gets them."""

    @abstractmethod
    def logits(self, model: nn.Module, examples: Tensor) -> Tensor:
        """Return the (N, K) logits that a network gives normalised examples."""

    def portions(self, size: int, numbers: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield normalised examples and labels, at most `size` at once: those of `numbers`, or all in order."""
        wanted = torch.arange(len(self)) if numbers is None else numbers
        parts = torch.split(wanted, size) if len(wanted) else ()
        for indices, following in zip_longest(parts, parts[1:]):
            if following is not None:
                self.announce(following)
            examples, labels = self.take(indices)
            yield self.normalise(examples), labels


@dataclass(frozen=True, slots=True)
class Images(Examples):
    """Pixels, on the device where they fit, else on the host; uint8 until they are used."""

    pixels: Tensor  # (N, H, W, C) uint8
    labels: Tensor  # (N,) int64
    mean: Tensor  # (C, 1, 1), of pixels in [0, 1]
    std: Tensor  # (C, 1, 1)

    @property
    def device(self) -> torch.device:
        """The device of the job."""
        return self.mean.device

    def take(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Return images (N, C, H, W) in [0, 1], channels last in memory, with their labels, on the device."""
        pixels, labels = _chosen(self.pixels, indices, self.device), _chosen(self.labels, indices, self.device)
        return pixels.permute(0, 3, 1, 2).float() / 255, labels

    def normalise(self, examples: Tensor) -> Tensor:
        """Subtract the mean and divide by the deviation."""
        return (examples - self.mean) / self.std

    def logits(self, model: nn.Module, examples: Tensor) -> Tensor:
        """Show the whole network the images."""
        found: Tensor = model(examples)
        return found


@dataclass(frozen=True, slots=True)
class Streamed(Images):
    """Pixels too many for the device, or for memory: the next batch is read from the disk while the device computes."""

    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    ahead: dict[bytes, "Future[Tensor]"] = field(default_factory=dict)  # batches under way, by their numbers

    def announce(self, indices: Tensor) -> None:
        """Begin to fetch images."""
        self.ahead[_key(indices)] = self.pool.submit(self._fetch, indices)

    def take(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Return images (N, C, H, W) in [0, 1], channels last in memory, with their labels, on the device."""
        under_way = self.ahead.pop(_key(indices), None)
        pixels = self._fetch(indices) if under_way is None else under_way.result()
        on_device = pixels.to(self.device, non_blocking=True)
        return on_device.permute(0, 3, 1, 2).float() / 255, _chosen(self.labels, indices, self.device)

    def _fetch(self, indices: Tensor) -> Tensor:
        pixels = self.pixels[indices]  # from the memory map: it is here that the disk is waited for
        return pixels.pin_memory() if self.device.type == "cuda" else pixels


@dataclass(frozen=True, slots=True)
class StreamedBoth(Streamed):
    """Two splits as one, neither of which fits: the numbers of the second go on where the first one's end."""

    more: Tensor = field(default_factory=lambda: torch.empty(0))  # (M, H, W, C) uint8

    def _fetch(self, indices: Tensor) -> Tensor:
        is_first = indices < len(self.pixels)
        pixels = self.pixels.new_empty(len(indices), *self.pixels.shape[1:])
        pixels[is_first] = self.pixels[indices[is_first]]
        pixels[~is_first] = self.more[indices[~is_first] - len(self.pixels)]
        return pixels.pin_memory() if self.device.type == "cuda" else pixels


@dataclass(frozen=True, slots=True)
class Features(Examples):
    """What the frozen part of a network gives its last layer for each image, in each of V views."""

    values: Tensor  # (N, V, D) float32; V = 1, or 2 with the image flipped
    labels: Tensor  # (N,) int64
    head: str  # name of the last layer
    device: torch.device
    num_scored: int = 1  # views over which logits are averaged

    def take(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (N, V, D) with their labels, on the device."""
        return _chosen(self.values, indices, self.device), _chosen(self.labels, indices, self.device)

    def view(self, taken: Tensor, flipped: Tensor) -> Tensor:
        """Return one view of each image, (N, 1, D): flipped where (N,) `flipped` says so."""
        numbers = torch.arange(len(taken), device=taken.device)
        return taken[numbers, flipped.long()].unsqueeze(1)

    def normalise(self, examples: Tensor) -> Tensor:
        """Return features as they are: they were made of normalised images."""
        return examples

    def logits(self, model: nn.Module, examples: Tensor) -> Tensor:
        """Show the features (N, V, D) to the last layer alone; average over views."""
        found: Tensor = model.get_submodule(self.head)(examples[:, : self.num_scored])
        return found.mean(dim=1)


def _key(indices: Tensor) -> bytes:
    return indices.numpy().tobytes()


def _chosen(tensor: Tensor, indices: Tensor, device: torch.device) -> Tensor:
    return tensor[indices.to(tensor.device)].to(device, non_blocking=True)


def load_images(split: Split, moments: Moments, device: torch.device) -> Images:
    """Wrap a split: its pixels move to an accelerator if they fit, and else stay memory-mapped.

    What is mapped and fits into memory is read once, and then kept there by the system for all jobs; what does not fit
    is streamed.

    Args:
        split: Of a prepared data set.
        moments: What its pixels are normalised by, as `input_moments` gives it for a model.
        device: Of the job.
    """
    pixels, labels = torch.from_numpy(split.images), torch.from_numpy(split.labels)
    is_held = fits(pixels, device)  # asked once: free memory changes
    kind = Images if is_held or not is_streamed(pixels, device) else Streamed
    if is_held:
        pixels, labels = pixels.to(device), labels.to(device)
    mean = torch.tensor(moments.mean, device=device).view(-1, 1, 1)
    std = torch.tensor(moments.std, device=device).clamp(min=LEAST_STD).view(-1, 1, 1)
    return kind(pixels, labels, mean, std)


def load_splits(data_set: DataSet, moments: Moments, device: torch.device) -> tuple[Images, Images]:
    """Wrap the training and the validation images, as `load_images` does."""
    train = load_images(open_split(data_set, "train"), moments, device)
    return train, load_images(open_split(data_set, "val"), moments, device)


def joined(first: Images, second: Images) -> Images:
    """Return two splits as one, the second after the first; what is not streamed is copied into memory."""
    labels = torch.cat([first.labels, second.labels.to(first.labels.device)])
    if isinstance(first, Streamed):
        return StreamedBoth(first.pixels, labels, first.mean, first.std, more=second.pixels)
    pixels = torch.cat([first.pixels, second.pixels.to(first.pixels.device)])
    return Images(pixels, labels, first.mean, first.std)


def joined_features(first: Features, second: Features) -> Features:
    """Return the features of two splits as one, the second after the first."""
    values = torch.cat([first.values, second.values.to(first.values.device)])
    labels = torch.cat([first.labels, second.labels.to(first.labels.device)])
    return replace(first, values=values, labels=labels)


def fits(tensor: Tensor, device: torch.device) -> bool:
    """Say whether a split should move to an accelerator as a whole."""
    return device.type == "cuda" and tensor.nbytes < DEVICE_SHARE * torch.cuda.mem_get_info(device)[0]


def is_streamed(pixels: Tensor, device: torch.device) -> bool:
    """Say whether batches of a split that stays on the host are fetched ahead: to a GPU, or from a disk."""
    return device.type == "cuda" or pixels.nbytes > HOST_SHARE * psutil.virtual_memory().available


def batch_indices(labels: Tensor, *, batch_size: int, seed: int, epoch: int, balance: float = 0.0) -> Tensor:
    """Return the order of one epoch as (steps, batch) indices; the images beyond whole batches sit it out.

    A split smaller than a batch is one batch.

    Args:
        labels: (N,) of the split.
        batch_size: Images a step.
        seed: Of the job.
        epoch: From 0.
        balance: 0 takes every image once. Else a class of n images has a share in proportion to n^(1 - balance), as in
            Kang et al. 2020, arXiv:1910.09217, eq. 1: images of rare classes come again, of frequent ones some sit out.
    """
    rng = torch.Generator().manual_seed(derive(seed, "order", epoch))
    order = torch.randperm(len(labels), generator=rng)
    if balance:
        order = _balanced(labels.cpu(), order, balance, rng)
    size = min(batch_size, len(labels))
    steps = len(labels) // size
    return order[: steps * size].view(steps, size)


def _balanced(labels: Tensor, order: Tensor, balance: float, rng: torch.Generator) -> Tensor:
    """Draw as many images as there are, each class its share; all images of a class equally often, but for one more."""
    counts = labels.bincount().double()
    shares = torch.where(counts > 0, counts ** (1 - balance), 0.0)
    bounds = (shares.cumsum(0) / shares.sum() * len(labels) + torch.rand(1, generator=rng, dtype=torch.float64)).floor()
    bounds[-1] = len(labels)  # whatever the rounding says
    quotas = bounds.diff(prepend=bounds.new_zeros(1)).long()
    of_class = [order[labels[order] == k] for k in range(len(counts))]
    drawn = [
        images.repeat(-(-quota // max(1, len(images))))[:quota]
        for images, quota in zip(of_class, quotas.tolist(), strict=True)
    ]
    together = torch.cat(drawn)
    return together[torch.randperm(len(together), generator=rng)]
