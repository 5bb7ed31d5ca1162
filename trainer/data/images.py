"""Foreign image files into pixels: whatever the file holds, an answer and never a crash.

Only Pillow touches the bytes, only regular files are opened, only a few formats are tried, and the size that
the header declares is checked before any pixel is decoded. All images become RGB.
Letters: H W pixels, C channels.
"""

import hashlib
import io
import math
import os
import stat
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

T = TypeVar("T")
Pixels = NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
MAX_PIXELS = 64_000_000
THUMB = 16  # pixels a side
UNNAMED = Path("image")  # what came without a file

_BACKGROUND = (255, 255, 255)  # where an image is transparent
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What Pillow's decoders raise on damaged input; all of it means the file and none of it the program.
_DAMAGE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


@dataclass(frozen=True, slots=True)
class BadImage:
    """An image file that cannot be used, and why."""

    path: Path
    reason: str  # continues the sentence that the path begins: `is empty`

    def __str__(self) -> str:
        return f"{shown(self.path)} {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What a sound image file holds."""

    width: int  # pixels, as stored; the orientation tag may turn it
    height: int  # pixels
    mode: str  # Pillow's word for the channels
    format: str
    digest: bytes  # of the whole file
    thumbnail: Pixels  # (THUMB, THUMB) of grey


def decode(path: Path, *, size: int, formats: Sequence[str] = FORMATS) -> Pixels | BadImage:
    """Decode a file to (size, size, 3): upright, in RGB, its centre square resized."""
    return decode_as((size, size, 3), path, formats=formats)


def decode_as(
    shape: tuple[int, int, int],
    source: Path | bytes,
    *,
    formats: Sequence[str] = FORMATS,
    max_pixels: int = MAX_PIXELS,
) -> Pixels | BadImage:
    """Decode a file, or the content of one, to (H, W, C): upright, the centre of these proportions resized.

    Args:
        shape: H, W and C, which is 3 for RGB and 1 for grey.
        source: A file, or what was read from one.
        formats: That are tried.
        max_pixels: Of the image; one that has more is not decoded.
    """
    height, width, channels = shape

    def pixels(image: Image.Image) -> Pixels:
        # Twice the size is enough for the resampling filter, and JPEG decodes up to 64 times fewer pixels.
        image.draft(None, (2 * max(height, width),) * 2)
        coloured = to_rgb(upright(image))
        fitted = fit(coloured if channels == 3 else coloured.convert("L"), height, width)
        return np.asarray(fitted).reshape(shape)

    return _attempt(source, pixels, formats, max_pixels=max_pixels)


def num_pixels(content: bytes) -> int | None:
    """Return how many pixels the header of a file's content declares, or None if it is no image."""
    found = _attempt(content, lambda image: image.width * image.height, FORMATS)
    return None if isinstance(found, BadImage) else found


def examine(path: Path, *, formats: Sequence[str] = FORMATS) -> ImageFacts | BadImage:
    """Decode a file for the sake of its errors, and report what it holds."""

    def facts(image: Image.Image) -> ImageFacts:
        width, height, mode = image.width, image.height, image.mode
        small = _thumbnail(image)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
        return ImageFacts(
            width=width, height=height, mode=mode, format=str(image.format), digest=digest, thumbnail=small
        )

    return _attempt(path, facts, formats)


def thumbnail_in(path: Path, *, formats: Sequence[str] = FORMATS) -> Pixels | BadImage:
    """Decode a file to the thumbnail of the whole image, whatever its proportions."""
    return _attempt(path, _thumbnail, formats)


def _thumbnail(image: Image.Image) -> Pixels:
    image.draft(None, (64, 64))
    return thumbnail(to_rgb(upright(image)))


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silence Pillow's remarks on files while a pool decodes; its warning of huge images becomes an error.

    Warning filters belong to the process, so this stands around a pool of threads and not inside its work.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def upright(image: Image.Image) -> Image.Image:
    """Load the first frame and turn it as its orientation tag says; an unreadable tag counts as none."""
    image.load()
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    except _DAMAGE:
        return image
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any mode: transparency over white, 16 bits by their upper 8, floats from 0..1 or 0..255.

    Raises:
        ValueError: If the numbers of a 32-bit image fit no such range.
    """
    if image.mode.startswith("I;16"):
        return _from_grey(np.asarray(image).astype(np.uint16) >> 8)
    if image.mode == "I":
        return _from_grey(_checked_range(np.asarray(image), high=65_535) >> 8)
    if image.mode == "F":
        return _from_grey(_float_to_bytes(np.asarray(image)))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        coloured = image.convert("RGBA")
        ground = Image.new("RGB", image.size, _BACKGROUND)
        ground.paste(coloured, mask=coloured.getchannel("A"))
        return ground
    return image.convert("RGB")


def fit(image: Image.Image, height: int, width: int) -> Image.Image:
    """Resize the largest centred part of these proportions; nothing outside it is computed."""
    if image.size == (width, height):
        return image
    part_width = min(image.width, image.height * width / height)
    part_height = min(image.height, image.width * height / width)
    left, top = (image.width - part_width) / 2, (image.height - part_height) / 2
    box = (left, top, min(left + part_width, image.width), min(top + part_height, image.height))  # sums are rounded
    return image.resize((width, height), Image.Resampling.BICUBIC, box=box)


def fit_pixels(pixels: Pixels, size: int) -> Pixels:
    """Resize the centre square of (H, W, C) to (size, size, C); C is 1 or 3."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    return np.asarray(fit(image, size, size)).reshape(size, size, -1)


def thumbnail(image: Image.Image) -> Pixels:
    """Return (THUMB, THUMB) of grey, each the mean over its area of the image."""
    return np.asarray(image.convert("L").resize((THUMB, THUMB), Image.Resampling.BOX))


def portions(num_images: int, shape: tuple[int, ...], *, num_bytes: int) -> Iterator[range]:
    """Cut images (H, W, C) into runs of about so many bytes, of one image at least and 1,024 at most."""
    length = min(1024, max(1, num_bytes // math.prod(shape)))
    for first in range(0, num_images, length):
        yield range(first, min(first + length, num_images))


def is_image_name(name: str) -> bool:
    """Say whether a file is meant to be an image, by the end of its name."""
    return name.lower().endswith(SUFFIXES)


def shown(path: Path | str) -> str:
    """Return a path for people, on one line: what cannot be printed is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(path))


def _attempt(
    source: Path | bytes,
    work: Callable[[Image.Image], T],
    formats: Sequence[str],
    *,
    max_pixels: int = MAX_PIXELS,
) -> T | BadImage:
    """Open an image and work on it; whatever is wrong with the file becomes the answer."""
    path = source if isinstance(source, Path) else UNNAMED
    too_large = f"has more than {max_pixels / 1e6:.3g} million pixels, the most that are decoded"
    try:
        with _open_regular(source) if isinstance(source, Path) else io.BytesIO(source) as file:
            if not file.seek(0, io.SEEK_END):
                return BadImage(path, "is empty")
            file.seek(0)
            with Image.open(file, formats=tuple(formats)) as image:
                if image.width * image.height > max_pixels:
                    return BadImage(path, too_large)
                return work(image)
    except UnidentifiedImageError:
        return BadImage(path, f"is no {_either(formats)} image")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return BadImage(path, too_large)
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.strerror:  # the system says it, not the decoder
            return BadImage(path, f"cannot be read: {error.strerror}")
        return BadImage(path, f"cannot be decoded: {shown(str(error)) or type(error).__name__}")


def _either(formats: Sequence[str]) -> str:
    *others, last = ("WebP" if name == "WEBP" else name for name in formats)
    return f"{', '.join(others)} or {last}" if others else last


def _open_regular(path: Path) -> BinaryIO:
    """Open a file for reading; a pipe or device raises instead of waiting for a writer."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("not a regular file")
    return open(descriptor, "rb")  # noqa: PTH123  -- it opens a descriptor, not a path


def _from_grey(values: NDArray[np.generic]) -> Image.Image:
    return Image.fromarray(values.astype(np.uint8)).convert("RGB")


def _checked_range(values: NDArray[np.int32], *, high: int) -> NDArray[np.int32]:
    low, top = int(values.min()), int(values.max())
    if low < 0 or top > high:
        raise ValueError(f"its 32-bit values run from {low} to {top}, and 0 to {high} are understood")
    return values


def _float_to_bytes(values: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = float(values.min()), float(values.max())  # nan spreads to both
    if not (low >= 0 and high <= 255):
        raise ValueError(f"its float values run from {low:g} to {high:g}, and 0 to 1 or 0 to 255 are understood")
    return np.rint(values * 255) if high <= 1 else np.rint(values)
