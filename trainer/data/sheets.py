"""One picture of a data set: some training images of each class beside the name of the class."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from trainer.data.images import Pixels
from trainer.data.paper import FAINT, GAP, INK, MARGIN, NAME, NOTE, PAPER, TITLE, fitted, save
from trainer.data.store import DataSet, Split, open_split

_CELL = 96  # pixels; small images are enlarged by whole numbers up to this
_LARGEST = 160  # pixels; larger images are shrunk to this
_COUNT_WIDTH = 110  # pixels for `5,000 images`
_TOP = MARGIN + 64  # pixels, where the rows begin
_FOOT = 24  # pixels of the last line, if there is one


@dataclass(frozen=True, slots=True)
class _Row:
    """One class."""

    name: str
    num_images: int  # in the training split
    images: Pixels  # (n, H, W, C), those that are shown


def sample_sheet(
    data_set: DataSet, path: Path | None = None, *, per_class: int = 8, max_classes: int = 20, seed: int = 0
) -> Image.Image:
    """Draw a sheet of training images, a row for each class, and save it as PNG if a path is given.

    Args:
        data_set: Its first `max_classes` classes are shown.
        path: Written whole or not at all.
        per_class: Images of each class; fewer where it has fewer.
        max_classes: Rows.
        seed: Decides which images.
    """
    split = open_split(data_set, "train")
    rng = np.random.default_rng(seed)
    rows = [_row(split, label, name, per_class, rng) for label, name in enumerate(data_set.class_names[:max_classes])]
    sheet = _drawn(rows, _heading(data_set), num_left_out=len(data_set.class_names) - len(rows))
    if path is not None:
        save(sheet, path)
    return sheet


def _row(split: Split, label: int, name: str, num_shown: int, rng: np.random.Generator) -> _Row:
    numbers = np.flatnonzero(split.labels == label)
    chosen = np.sort(rng.choice(numbers, min(num_shown, len(numbers)), replace=False))
    return _Row(fitted(name), len(numbers), split.images[chosen])


def _heading(data_set: DataSet) -> tuple[str, str]:
    """Return the title and the line below it."""
    height, width, channels = data_set.image_shape
    kind, _, place = data_set.source.partition(":")
    return Path(place).name or kind, (
        f"{len(data_set.class_names)} classes, {width} x {height} {'grey' if channels == 1 else 'RGB'};"
        f" {data_set.num_train:,} training, {data_set.num_val:,} validation,"
        f" {data_set.num_test:,} test images"
    )


def _drawn(rows: list[_Row], heading: tuple[str, str], *, num_left_out: int) -> Image.Image:
    width, height = _cell_size(rows[0].images.shape[1:3])
    left = MARGIN + max(round(NAME.getlength(row.name)) for row in rows) + 4 * GAP
    left = max(left, MARGIN + _COUNT_WIDTH)
    right = left + max(len(row.images) for row in rows) * (width + GAP)
    right = max(right, MARGIN + round(NOTE.getlength(heading[1])))
    bottom = _TOP + len(rows) * (height + GAP)
    sheet = Image.new("RGB", (right + MARGIN, bottom + MARGIN + (_FOOT if num_left_out else 0)), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, MARGIN), heading[0], fill=INK, font=TITLE)
    draw.text((MARGIN, MARGIN + 30), heading[1], fill=FAINT, font=NOTE)
    for number, row in enumerate(rows):
        _draw_row(sheet, draw, row, (left, _TOP + number * (height + GAP)), (width, height))
    if num_left_out:
        draw.text((MARGIN, bottom + GAP), f"and {num_left_out:,} more classes", fill=FAINT, font=NOTE)
    return sheet


def _draw_row(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, row: _Row, place: tuple[int, int], cell: tuple[int, int]
) -> None:
    x, y = place
    middle = y + cell[1] / 2
    draw.text((MARGIN, middle - 10), row.name, fill=INK, font=NAME, anchor="lm")
    draw.text((MARGIN, middle + 10), f"{row.num_images:,} images", fill=FAINT, font=NOTE, anchor="lm")
    for column, image in enumerate(row.images):
        sheet.paste(_scaled(image, cell), (x + column * (cell[0] + GAP), y))


def _cell_size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the width and height at which images are shown: whole multiples of small ones."""
    height, width = shape
    longest = max(shape)
    scale = max(1, _CELL // longest) if longest <= _LARGEST else _LARGEST / longest
    return max(1, round(width * scale)), max(1, round(height * scale))


def _scaled(pixels: Pixels, cell: tuple[int, int]) -> Image.Image:
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
    is_enlarged = cell[0] >= image.width
    return image.resize(cell, Image.Resampling.NEAREST if is_enlarged else Image.Resampling.LANCZOS)
