"""Decoding a whole source into files, by several threads.

Threads suffice, as Pillow and numpy let go of the interpreter while they work. Rows are written through the
file and not through a memory map: on a full disk a write fails with an error, and a map kills the process.
Letters: N images, H W pixels, C channels.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from trainer.data.copies import digest
from trainer.data.images import BadImage, Pixels, portions, quiet_pillow
from trainer.data.material import Fill, Material
from trainer.data.splits import Selection, SplitName
from trainer.data.store import images_file

Item = TypeVar("Item")
T = TypeVar("T")
Progress = Callable[[int, int], None]  # images done, of how many

_BLOCK_BYTES = 2**18  # of pixels a task: small enough that the last ones end together


@dataclass(frozen=True, slots=True)
class _Rows:
    """A file of images that is being filled."""

    descriptor: int
    offset: int  # bytes before the first image

    def write(self, first: int, images: Pixels) -> None:
        """Write images from row `first` on."""
        place, rest = self.offset + first * images[0].nbytes, images.reshape(-1).data
        while rest:
            written = os.pwrite(self.descriptor, rest, place)
            place, rest = place + written, rest[written:]


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the images."""

    bad: list[BadImage]  # could not be decoded; their rows are black
    digests: Mapping[SplitName, list[bytes]]  # of the pixels of each row; copies share theirs


@dataclass(frozen=True, slots=True)
class _Filled:
    """What became of one block."""

    bad: list[BadImage]
    digests: list[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """Neighbouring rows of one file: the task of one thread."""

    split: SplitName
    rows: _Rows
    first: int
    fill: Fill
    numbers: NDArray[np.int64]  # of the images, within their part
    shape: tuple[int, int, int]  # H, W, C

    def write(self) -> _Filled:
        images = np.zeros((len(self.numbers), *self.shape), dtype=np.uint8)
        bad = self.fill(self.numbers, images)
        self.rows.write(self.first, images)
        return _Filled(bad, list(map(digest, images)))


def write_images(
    root: Path,
    material: Material,
    splits: Mapping[SplitName, Selection],
    *,
    on_progress: Progress | None,
) -> Written:
    """Write the images of all splits, and take the digests of their pixels while they are at hand."""
    blocks: list[_Block] = []
    with ExitStack() as files:
        for split, chosen in splits.items():
            shape = (len(chosen.numbers), *material.image_shape)
            rows = files.enter_context(_created(root / images_file(split), shape))
            blocks += _blocks(split, rows, material.parts[chosen.part].fill, chosen.numbers, material.image_shape)
        found = in_parallel(_Block.write, blocks, weigh=lambda block: len(block.numbers), on_progress=on_progress)
    digests: dict[SplitName, list[bytes]] = {split: [] for split in splits}
    for block, filled in zip(blocks, found, strict=True):
        digests[block.split] += filled.digests
    return Written([bad for filled in found for bad in filled.bad], digests)


def in_parallel(
    work: Callable[[Item], T],
    items: Sequence[Item],
    *,
    weigh: Callable[[Item], int],
    on_progress: Progress | None,
) -> list[T]:
    """Return the results in the order of the items; progress is told in this thread, in what items weigh."""
    done, total = 0, sum(map(weigh, items))
    with quiet_pillow():
        pool = ThreadPoolExecutor(max(2, num_processors()))
        try:
            weights = {pool.submit(work, item): weigh(item) for item in items}
            for future in as_completed(weights):
                future.result()
                done += weights[future]
                if on_progress:
                    on_progress(done, total)
            return [future.result() for future in weights]
        finally:
            pool.shutdown(cancel_futures=True)


def num_processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _created(path: Path, shape: tuple[int, ...]) -> Iterator[_Rows]:
    """Create an array file of the given shape, its pixels still missing."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        file.flush()
        yield _Rows(file.fileno(), file.tell())


def _blocks(
    split: SplitName, rows: _Rows, fill: Fill, numbers: NDArray[np.int64], shape: tuple[int, int, int]
) -> Iterator[_Block]:
    for some in portions(len(numbers), shape, num_bytes=_BLOCK_BYTES):
        mine = numbers[some.start : some.stop]
        yield _Block(split=split, rows=rows, first=some.start, fill=fill, numbers=mine, shape=shape)
