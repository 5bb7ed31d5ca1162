"""A picture of a few training images as a job augments them, for a person to look at.

Shapes: N images, C channels, H W pixels.
"""

from pathlib import Path

import torch
from PIL import Image
from torch import Generator, Tensor
from torch.nn import functional as F

from trainer.augment import augment_images, mix
from trainer.batches import Images
from trainer.config import JobConfig
from trainer.files import replacing
from trainer.seeds import generator
from trainer.settings import Augment, asked_for

NUM_IMAGES = 6  # rows
DRAWS_BY_EPOCH = (4, 3)  # of each image, as the first two epochs show it: flips may alternate
LEAST_SIDE, MOST_SIDE = 64, 96  # pixels; smaller images are enlarged and larger ones reduced, by whole factors
GAP = 2  # pixels between images
FAST = 1  # compression of the file: in a quarter of the usual time, up to a fifth larger


def write_samples(path: Path, images: Images, config: JobConfig) -> None:
    """Write the picture as PNG: a row for each image, first as it is, then augmented by seven draws.

    Where the job augments nothing, there is none. The draws are a purpose of the seed by themselves, so that training
    does not notice.

    Args:
        path: Written whole or not at all.
        images: The training images.
        config: Of the job.
    """
    if asked_for(config.augment):
        drawn = reduced(draw_samples(images, config))
        times = max(1, LEAST_SIDE // max(drawn.shape[2:]))
        sheet = tiled(drawn, columns=1 + sum(DRAWS_BY_EPOCH), times=times)
        with replacing(path) as file:
            sheet.save(file, format="PNG", compress_level=FAST)


def draw_samples(images: Images, config: JobConfig) -> Tensor:
    """Return (N, C, H, W) in [0, 1], eight for each image, which the seed decides on: the first is the image itself."""
    host = torch.device("cpu")
    order = torch.randperm(len(images), generator=generator(host, config.seed, "samples", "images"))
    numbers = order[:NUM_IMAGES]
    plain, _ = images.take(numbers)
    rng = generator(images.device, config.seed, "samples")
    columns = [plain]
    for epoch, times in enumerate(DRAWS_BY_EPOCH):
        repeated = plain.repeat(times, 1, 1, 1)
        indices = numbers.repeat(times).to(images.device)
        drawn = augmented(repeated, config.augment, rng=rng, epoch=epoch, indices=indices)
        columns += torch.split(drawn, len(plain))
    return torch.stack(columns, dim=1).flatten(0, 1)


def augmented(images: Tensor, settings: Augment, *, rng: Generator, epoch: int, indices: Tensor) -> Tensor:
    """Return images as a training step makes them, augmented and then mixed; the arguments are `augment_images`'."""
    targets = images.new_zeros(len(images), 1)
    return mix(augment_images(images, settings, rng=rng, epoch=epoch, indices=indices), targets, settings, rng=rng)[0]


def reduced(images: Tensor) -> Tensor:
    """Reduce images (N, C, H, W) by a whole factor, if they are too large for a picture of many."""
    side = max(images.shape[2:])
    return F.avg_pool2d(images, -(-side // MOST_SIDE), ceil_mode=True) if side > MOST_SIDE else images


def tiled(images: Tensor, *, columns: int, times: int = 1) -> Image.Image:
    """Put images together, with white between them.

    Args:
        images: (N, C, H, W) in [0, 1]; N fills the rows.
        columns: Images in a row.
        times: Each pixel becomes a square of so many.
    """
    pixels = (images.expand(-1, 3, -1, -1) * 255).round().to(torch.uint8)
    large = pixels.repeat_interleave(times, 2).repeat_interleave(times, 3)
    framed = F.pad(large, (0, GAP, 0, GAP), value=255)
    rows = [torch.cat(list(row), dim=2) for row in torch.split(framed, columns)]
    sheet = torch.cat(rows, dim=1)[:, :-GAP, :-GAP]  # (3, H, W)
    return Image.fromarray(sheet.permute(1, 2, 0).cpu().numpy())
