"""Small image files, folders and arrays for the tests of data."""

import io
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import trainer
from trainer.data import DataSet, Source, parse_source, prepare
from trainer.data.material import Origin
from trainer.data.preparation import find_origin

ROOT = Path(trainer.__file__).parent.parent
Pixels = NDArray[np.uint8]


def found(source: str) -> Origin:
    """Find a source that needs neither a data folder nor the network."""
    return find_origin(parse_source(source), data_dir=Path(), download=None)


def noise(seed: int, shape: tuple[int, ...] = (12, 12, 3)) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_image(path: Path, pixels: Pixels, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def encoded(pixels: Pixels, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def make_folder(root: Path, counts: Mapping[str, int], *, first_seed: int = 0) -> Path:
    """Write images of noise; `counts` maps folders such as `train/cat` to numbers of images."""
    seed = first_seed
    for folder, count in counts.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            write_image(root / folder / f"{number:03}.png", noise(seed))
            seed += 1
    return root


def png_with_header(width: int, height: int, *, data: bytes = b"") -> bytes:
    """Build a grey PNG whose header may say anything; `data` is unpacked."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def arrays(num_images: int = 30, num_classes: int = 3, shape: tuple[int, ...] = (6, 5), seed: int = 0) -> dict:
    return {
        "x_train": noise(seed, (num_images, *shape)),
        "y_train": np.arange(num_images) % num_classes,
    }


def write_npz(path: Path, content: Mapping[str, Any]) -> Path:
    np.savez(path, **content)
    return path


def prepared(source: str | Source, place: Path, **options: Any) -> DataSet:
    return prepare(source, cache=place / "cache", data_dir=place / "data", **options)


def left_overs(cache: Path) -> list[str]:
    """Names of whatever is neither a data set nor a lock."""
    return [p.name for p in cache.iterdir() if not p.name.endswith(".lock") and not (p / "meta.json").is_file()]


def start_python(code: str, *arguments: object) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(Path(__file__).parent)))}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
