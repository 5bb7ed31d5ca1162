"""Requests of many clients become batches: what waits while a batch is computed is the next one.

Nothing is waited for on purpose: a batch is what has come meanwhile, so one lonely request is answered at once, and
under load batches grow by themselves. The queue is bounded; who finds it full is told to come again.
Shapes: H W pixels, C channels, K classes.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (H, W, C)
Row = NDArray[np.float32]  # (K,)
Answer = Callable[[NDArray[np.uint8]], NDArray[np.float32]]  # images (N, H, W, C) to probabilities (N, K)
SMOOTHING = 0.2  # of the seconds an image takes, by the last batch


class QueueFull(RuntimeError):  # noqa: N818  -- it says what is so
    """So many images wait that no more are taken; it says when to come again."""

    def __init__(self, retry_seconds: float) -> None:
        super().__init__("The queue is full.")
        self.retry_seconds = retry_seconds


@dataclass(slots=True)
class _Waiting:
    image: Image
    answer: "asyncio.Future[Row]"
    since: float  # as `time.monotonic` gives it


@dataclass(slots=True, kw_only=True)
class Batcher:
    """Answers images in batches, one batch at a time, on a thread of its own; belongs to one event loop."""

    answer: Answer
    largest_batch: int
    capacity: int  # images that wait at most
    told: Callable[[int, float], None] = lambda size, seconds: None  # of each batch: its images, and what it took
    busy_since: float | None = None  # as `time.monotonic` gives it: since when a batch has been computed
    _queue: deque[_Waiting] = field(default_factory=deque)
    _has_come: asyncio.Event = field(default_factory=asyncio.Event)
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "answers"))
    _task: "asyncio.Task[None] | None" = None
    _image_seconds: float = 0.01

    def start(self) -> None:
        """Begin; within a running event loop."""
        self._task = asyncio.create_task(self._run(), name="batches")

    async def close(self) -> None:
        """Answer what waits, then stop."""
        while self._queue or self.busy_since is not None:
            await asyncio.sleep(0.01)
        if self._task is not None:
            self._task.cancel()
        self._thread.shutdown(wait=False)

    @property
    def busy_seconds(self) -> float:
        """Return how long the present batch has been computed; 0 if there is none."""
        since = self.busy_since
        return 0.0 if since is None else time.monotonic() - since

    @property
    def num_waiting(self) -> int:
        """Return how many images wait."""
        return len(self._queue)

    async def probabilities(self, images: Sequence[Image]) -> Sequence[Row]:
        """Return the probabilities of images, which may be answered in different batches.

        Raises:
            QueueFull: If there is no room for all of them.
        """
        if len(self._queue) + len(images) > self.capacity:
            raise QueueFull(max(1.0, len(self._queue) * self._image_seconds))
        loop, now = asyncio.get_running_loop(), time.monotonic()
        waiting = [_Waiting(image, loop.create_future(), now) for image in images]
        self._queue.extend(waiting)
        self._has_come.set()
        try:
            return await asyncio.gather(*(item.answer for item in waiting))
        except asyncio.CancelledError:
            for item in waiting:  # the client is gone: what was not begun need not be
                item.answer.cancel()
            raise

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._has_come.wait()
            batch = self._next_batch()
            if not batch:
                self._has_come.clear()
                continue
            self.busy_since = began = time.monotonic()
            try:
                rows = await loop.run_in_executor(self._thread, self.answer, np.stack([item.image for item in batch]))
            except Exception as error:  # noqa: BLE001  -- whatever the graph does is the answer of this batch alone
                _fail(batch, error)
            else:
                _deliver(batch, rows)
            took = time.monotonic() - began
            self.busy_since = None
            self._image_seconds += SMOOTHING * (took / len(batch) - self._image_seconds)
            self.told(len(batch), took)

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        while self._queue and len(batch) < self.largest_batch:
            item = self._queue.popleft()
            if not item.answer.done():
                batch.append(item)
        return batch


def _deliver(batch: Sequence[_Waiting], rows: NDArray[np.float32]) -> None:
    for item, row in zip(batch, rows, strict=True):
        if not item.answer.done():
            item.answer.set_result(row)


def _fail(batch: Sequence[_Waiting], error: Exception) -> None:
    for item in batch:
        if not item.answer.done():
            item.answer.set_exception(error)
