"""Draw every augmentation at three strengths: docs/img/augmentations.png and augment_randaugment.png.

Uses CIFAR-10 from cifar10.npz (x_train, uint8, NHWC) in the folder that AUTOCLF_DATA_DIR names, or
scikit-learn's digits where there is none. Run: python -m benchmarks.augmentation_sheet
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F

from trainer.augment import augment_images, mix, soft_targets
from trainer.augment.randaugment import MAX_MAGNITUDE, OPERATIONS
from trainer.seeds import generator
from trainer.settings import Augment

FOLDER = Path(__file__).parents[1] / "docs" / "img"
SHOWN = (29, 4, 6, 9, 27)  # of CIFAR-10's training images: what is easily recognised
PARTNERS = tuple(range(100, 140))  # what else is in the batch, for mixing
MAGNITUDES = (3, 6, 10)
ZOOM, CAPTION, MARGIN, GAP = 2, 16, 110, 10  # all but the first in pixels
INK, PAPER = (40, 40, 40), (255, 255, 255)

Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Cell:
    """One change of the images under its caption; three make a row."""

    caption: str
    change: Change


def load_images() -> Tensor:
    """Return (45, C, 32, 32) in [0, 1]; the first five are shown."""
    path = Path(os.environ.get("AUTOCLF_DATA_DIR", "")) / "cifar10.npz"
    if path.is_file():
        pixels = np.load(path)["x_train"][[*SHOWN, *PARTNERS]]
        return torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    digits = torch.from_numpy(load_digits().images[: len(SHOWN) + len(PARTNERS)]).float() / 16
    return F.interpolate(digits[:, None], scale_factor=4, mode="bilinear")


def augmented(settings: Augment, *, epoch: int = 0) -> Change:
    """Return the change that the training loop would make, first augmented and then mixed."""

    def change(images: Tensor) -> Tensor:
        rng = generator(images.device, 4, "sheet")
        indices = torch.arange(len(images))
        images = augment_images(images, settings, rng=rng, epoch=epoch, indices=indices)
        return mix(images, soft_targets(indices, len(images), 0), settings, rng=rng)[0]

    return change


def settings_rows() -> dict[str, list[Cell]]:
    """Return each augmentation alone at three strengths."""
    alternating = Augment(flip="alternating")
    return {
        "flip": [
            Cell("random", augmented(Augment(flip="random"))),
            Cell("alternating, epoch 0", augmented(alternating, epoch=0)),
            Cell("alternating, epoch 1", augmented(alternating, epoch=1)),
        ],
        "crop_padding": [Cell(f"{n} pixels", augmented(Augment(crop_padding=n))) for n in (2, 4, 8)],
        "rotation": [Cell(f"± {n}°", augmented(Augment(rotation=n))) for n in (10, 30, 90)],
        "color_jitter": [Cell(f"1 ± {s}", augmented(Augment(color_jitter=s))) for s in (0.2, 0.5, 1.0)],
        "randaugment": [
            Cell(f"2 operations, magnitude {m}", augmented(Augment(randaugment_ops=2, randaugment_magnitude=m)))
            for m in MAGNITUDES
        ],
        "cutout": [Cell(f"{n} pixels", augmented(Augment(cutout=n))) for n in (6, 10, 16)],
        "mixup": [Cell(f"alpha {alpha}", augmented(Augment(mixup=alpha))) for alpha in (0.2, 1.0, 4.0)],
        "cutmix": [Cell(f"alpha {alpha}", augmented(Augment(cutmix=alpha))) for alpha in (0.2, 1.0, 4.0)],
    }


def operation_rows() -> dict[str, list[Cell]]:
    """Return each operation of RandAugment at three magnitudes, with signs in turn."""

    def at(name: str, magnitude: int) -> Change:
        signs = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0])
        return lambda images: OPERATIONS[name](images[: len(SHOWN)], signs * magnitude / MAX_MAGNITUDE)

    return {name: [Cell(f"magnitude {m}", at(name, m)) for m in MAGNITUDES] for name in OPERATIONS}


def draw_sheet(images: Tensor, rows: dict[str, list[Cell]]) -> Image.Image:
    """Draw the images as they are, then one row of cells under another."""
    rows = {"unchanged": [Cell("", lambda same: same)], **rows}
    block, height = strip(images).width + GAP, images.shape[2] * ZOOM + CAPTION + GAP
    sheet = Image.new("RGB", (MARGIN + 3 * block, GAP + height * len(rows)), PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for row, (name, cells) in enumerate(rows.items()):
        top = GAP + row * height
        pen.text((GAP, top + CAPTION + images.shape[2] * ZOOM // 2), name, INK, font, anchor="lm")
        for column, cell in enumerate(cells):
            left = MARGIN + column * block
            pen.text((left, top), cell.caption, INK, font)
            sheet.paste(strip(cell.change(images)), (left, top + CAPTION))
    return sheet


def strip(images: Tensor) -> Image.Image:
    """Put the first of (N, C, H, W) images side by side, `ZOOM` times as large."""
    pixels = (images[: len(SHOWN)].expand(-1, 3, -1, -1) * 255).round().to(torch.uint8)
    tiles = F.pad(pixels.repeat_interleave(ZOOM, 2).repeat_interleave(ZOOM, 3), (0, 2), value=255)
    return Image.fromarray(torch.cat(list(tiles), dim=2).permute(1, 2, 0).numpy())


def main() -> None:
    """Draw both sheets."""
    images = load_images()
    for name, rows in (("augmentations", settings_rows()), ("augment_randaugment", operation_rows())):
        path = FOLDER / f"{name}.png"
        draw_sheet(images, rows).quantize(255).save(path, optimize=True)
        print(f"{path.relative_to(FOLDER.parents[1])}: {path.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
