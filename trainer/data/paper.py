"""What the pictures of a data set are drawn with: colours, letters, and names that fit."""

from pathlib import Path

from PIL import Image, ImageFont

from trainer.data.files import replacing

PAPER, INK, FAINT = (255, 255, 255), (30, 32, 36), (120, 124, 130)
TITLE, NAME, NOTE = (ImageFont.load_default(size) for size in (22, 16, 13))
GAP = 6  # pixels between things that belong together
MARGIN = 20  # pixels around everything
_NAME_WIDTH = 190  # pixels for the longest name before it is cut


def fitted(name: str) -> str:
    """Cut a name that is too long for its column."""
    if NAME.getlength(name) <= _NAME_WIDTH:
        return name
    while NAME.getlength(name + "...") > _NAME_WIDTH:
        name = name[:-1]
    return name + "..."


def save(picture: Image.Image, path: Path) -> None:
    """Write a PNG file, whole or not at all."""
    with replacing(path) as draft:
        picture.save(draft, format="PNG")
