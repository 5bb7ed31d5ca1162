"""A picture of how many images each class has, in each split that the source gives."""

from collections.abc import Mapping
from pathlib import Path

from PIL import Image, ImageDraw

from trainer.data.inspection import Inspection
from trainer.data.paper import FAINT, GAP, INK, MARGIN, NAME, NOTE, PAPER, TITLE, fitted, save
from trainer.data.splits import SplitName

_COLOURS: Mapping[SplitName, tuple[int, int, int]] = {
    "train": (52, 101, 164),
    "val": (240, 160, 60),
    "test": (130, 170, 130),
}
_ROW, _BAR = 24, 14  # pixels of a class, and of the bar in it
_LONGEST = 420  # pixels of the longest bar
_NUMBER = 80  # pixels beside it for the count
_TOP = MARGIN + 64  # pixels, where the rows begin
_FOOT = 24  # pixels of the last line, if there is one


def distribution_chart(found: Inspection, path: Path | None = None, *, max_classes: int = 100) -> Image.Image:
    """Draw a bar of images for each class, split by split, and save it as PNG if a path is given.

    Args:
        found: Its first `max_classes` classes are shown.
        path: Written whole or not at all.
        max_classes: Rows.
    """
    names = [fitted(name) for name in found.class_names[:max_classes]]
    num_left_out = len(found.class_names) - len(names)
    left = MARGIN + max(round(NAME.getlength(name)) for name in names) + 2 * GAP
    bottom = _TOP + len(names) * _ROW
    size = (left + _LONGEST + _NUMBER + MARGIN, bottom + MARGIN + (_FOOT if num_left_out else 0))
    chart = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(chart)
    _draw_heading(draw, found)
    most = max(1, *map(sum, zip(*found.counts.values(), strict=True)))
    for label, name in enumerate(names):
        y = _TOP + label * _ROW + _ROW // 2
        draw.text((MARGIN, y), name, fill=INK, font=NAME, anchor="lm")
        _draw_bar(draw, {split: counts[label] for split, counts in found.counts.items()}, (left, y), _LONGEST / most)
    if num_left_out:
        draw.text((MARGIN, bottom + GAP), f"and {num_left_out:,} more classes", fill=FAINT, font=NOTE)
    if path is not None:
        save(chart, path)
    return chart


def _draw_heading(draw: ImageDraw.ImageDraw, found: Inspection) -> None:
    """Write what the picture shows, and the name of each split in its colour."""
    kind, _, place = found.source.partition(":")
    draw.text((MARGIN, MARGIN), f"Images per class of {fitted(Path(place).name or kind)}", fill=INK, font=TITLE)
    x = MARGIN
    for split, counts in found.counts.items():
        text = f"{split} {sum(counts):,}"
        draw.rectangle((x, MARGIN + 34, x + 10, MARGIN + 44), fill=_COLOURS[split])
        draw.text((x + 16, MARGIN + 39), text, fill=FAINT, font=NOTE, anchor="lm")
        x += 16 + round(NOTE.getlength(text)) + 4 * GAP


def _draw_bar(draw: ImageDraw.ImageDraw, counts: Mapping[SplitName, int], place: tuple[int, int], scale: float) -> None:
    """Draw the splits of one class end to end, `scale` pixels an image, and the sum behind them."""
    x, y = place
    seen = 0
    for split, count in counts.items():
        start, end = x + round(seen * scale), x + round((seen + count) * scale)
        if end > start:
            draw.rectangle((start, y - _BAR // 2, end - 1, y + _BAR // 2 - 1), fill=_COLOURS[split])
        seen += count
    draw.text((x + round(seen * scale) + GAP, y), f"{seen:,}", fill=FAINT, font=NOTE, anchor="lm")
