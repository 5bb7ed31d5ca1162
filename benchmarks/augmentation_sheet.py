"""Draw every augmentation at three strengths: docs/img/augmentations.png and augment_randaugment.png.

Uses CIFAR-10 from cifar10.npz (x_train, uint8, NHWC) in the folder that AUTOCLF_DATA_DIR names, or
scikit-learn's digits where there is none. Run: python -m benchmarks.augmentation_sheet
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F

from trainer.augment.randaugment import MAX_MAGNITUDE, OPERATIONS
from trainer.samples import augmented, tiled
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


def cell(caption: str, *, epoch: int = 0, **settings: Any) -> Cell:
    """Return the change that the training loop would make by these settings of `Augment`."""

    def change(images: Tensor) -> Tensor:
        rng = generator(images.device, 4, "sheet")
        indices = torch.arange(len(images))
        return augmented(images, Augment(**settings), rng=rng, epoch=epoch, indices=indices)

    return Cell(caption, change)


def settings_rows() -> dict[str, list[Cell]]:
    """Return each augmentation alone at three strengths."""
    return {
        "flip": [
            cell("random", flip="random"),
            cell("alternating, epoch 0", flip="alternating"),
            cell("alternating, epoch 1", flip="alternating", epoch=1),
        ],
        "turns": [
            cell("vertical_flip", vertical_flip=True),
            cell("quarter_turns", quarter_turns=True),
            cell("both", vertical_flip=True, quarter_turns=True),
        ],
        "crop_padding": [cell(f"{n} pixels", crop_padding=n) for n in (2, 4, 8)],
        "crop_scale": [cell(f"from {100 * share:g} %", crop_scale=share) for share in (0.8, 0.4, 0.08)],
        "shear": [cell(f"± {n}°", shear=n) for n in (5, 15, 45)],
        "scale": [cell(f"1 / {1 + n} to {1 + n}", scale=n) for n in (0.1, 0.3, 1.0)],
        "rotation": [cell(f"± {n}°", rotation=n) for n in (10, 30, 90)],
        "translate": [cell(f"± {100 * share:g} %", translate=share) for share in (0.1, 0.25, 0.5)],
        "elastic": [
            cell("alpha 20, sigma 4", elastic=20.0),
            cell("alpha 60, sigma 4", elastic=60.0),
            cell("alpha 20, sigma 2", elastic=20.0, elastic_sigma=2.0),
        ],
        "color_jitter": [cell(f"1 ± {s}", color_jitter=s) for s in (0.2, 0.5, 1.0)],
        "grey": [cell(f"chance {chance}", grey=chance) for chance in (0.2, 0.5, 1.0)],
        "blur": [cell(f"chance {chance}", blur=chance) for chance in (0.2, 0.5, 1.0)],
        "randaugment": [
            cell(f"2 operations, magnitude {m}", randaugment_ops=2, randaugment_magnitude=m) for m in MAGNITUDES
        ],
        "policy": [
            cell(name, policy=name) for name in ("trivialaugment", "autoaugment_cifar10", "autoaugment_imagenet")
        ],
        "augmix": [cell(f"severity {n}", augmix=n) for n in (1, 3, 10)],
        "cutout": [cell(f"{n} pixels", cutout=n) for n in (6, 10, 16)],
        "erasing": [cell(f"chance {chance}", erasing=chance) for chance in (0.2, 0.5, 1.0)],
        "mixup": [cell(f"alpha {alpha}", mixup=alpha) for alpha in (0.2, 1.0, 4.0)],
        "cutmix": [cell(f"alpha {alpha}", cutmix=alpha) for alpha in (0.2, 1.0, 4.0)],
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
        for column, one in enumerate(cells):
            left = MARGIN + column * block
            pen.text((left, top), one.caption, INK, font)
            sheet.paste(strip(one.change(images)), (left, top + CAPTION))
    return sheet


def strip(images: Tensor) -> Image.Image:
    """Put the first of (N, C, H, W) images side by side, `ZOOM` times as large."""
    return tiled(images[: len(SHOWN)], columns=len(SHOWN), times=ZOOM)


def main() -> None:
    """Draw both sheets."""
    images = load_images()
    for name, rows in (("augmentations", settings_rows()), ("augment_randaugment", operation_rows())):
        path = FOLDER / f"{name}.png"
        draw_sheet(images, rows).quantize(255).save(path, optimize=True)
        print(f"{path.relative_to(FOLDER.parents[1])}: {path.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
