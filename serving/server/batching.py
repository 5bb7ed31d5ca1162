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

from serving.server.lanes import Lanes

Image = NDArray[np.uint8]  # (H, W, C)
Row = NDArray[np.float32]  # (K,)
Answer = Callable[[NDArray[np.uint8]], NDArray[np.float32]]  # images (N, H, W, C) to probabilities (N, K)
LANE_SECONDS = 0.002  # until a batch beside the first one looks again whether a core is idle
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


@dataclass(slots=True, kw_only=True)
class Batcher:
    """Answers images in batches, each on a thread of its own; belongs to one event loop.

    One batch at a time, and more where `lanes` says that a core has nothing to do.
    """

    answer: Answer
    largest_batch: int
    capacity: int  # images that wait at most
    lanes: Lanes | None = None
    told: Callable[[int, float], None] = lambda size, seconds: None  # of each batch: its images, and what it took
    _queue: deque[_Waiting] = field(default_factory=deque)
    _has_come: asyncio.Event = field(default_factory=asyncio.Event)
    _is_left: asyncio.Event = field(default_factory=asyncio.Event)  # some waits beside a batch: other lanes may look
    _busy_since: dict[int, float] = field(default_factory=dict)  # as `time.monotonic` gives it, by lane
    _threads: ThreadPoolExecutor | None = None
    _tasks: "list[asyncio.Task[None]]" = field(default_factory=list)
    _image_seconds: float = 0.01

    def start(self) -> None:
        """Begin; within a running event loop."""
        number = 1 if self.lanes is None else self.lanes.most
        self._threads = ThreadPoolExecutor(number, "answers")
        self._tasks = [asyncio.create_task(self._run(lane), name=f"batches {lane}") for lane in range(number)]

    async def close(self) -> None:
        """Answer what waits, then stop."""
        while self._queue or self._busy_since:
            await asyncio.sleep(0.01)
        for task in self._tasks:
            task.cancel()
        if self._threads is not None:
            self._threads.shutdown(wait=False)

    @property
    def busy_seconds(self) -> float:
        """Return how long the batch that takes longest now has been computed; 0 if there is none."""
        now = time.monotonic()
        return max((now - since for since in tuple(self._busy_since.values())), default=0.0)

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
        loop = asyncio.get_running_loop()
        waiting = [_Waiting(image, loop.create_future()) for image in images]
        self._queue.extend(waiting)
        self._has_come.set()
        if self._busy_since:
            self._is_left.set()
        try:
            return await asyncio.gather(*(item.answer for item in waiting))
        except asyncio.CancelledError:
            for item in waiting:  # the client is gone: what was not begun need not be
                item.answer.cancel()
            raise

    async def _run(self, lane: int) -> None:
        signal = self._has_come if lane == 0 else self._is_left
        while True:
            await signal.wait()
            if lane > 0 and self._queue and not self._others_idle():
                await asyncio.sleep(LANE_SECONDS)
                continue
            batch = self._next_batch()
            if self._queue:
                self._is_left.set()
            if batch:
                await self._compute(lane, batch)
            else:
                signal.clear()

    async def _compute(self, lane: int, batch: "list[_Waiting]") -> None:
        began = self._begin(lane)
        images = np.stack([item.image for item in batch])
        try:
            rows = await asyncio.get_running_loop().run_in_executor(self._threads, self.answer, images)
        except Exception as error:  # noqa: BLE001  -- whatever the graph does is the answer of this batch alone
            _fail(batch, error)
        else:
            _deliver(batch, rows)
        took = time.monotonic() - began
        self._end(lane)
        self._image_seconds += SMOOTHING * (took / len(batch) - self._image_seconds)
        self.told(len(batch), took)

    def _begin(self, lane: int) -> float:
        now = self._busy_since[lane] = time.monotonic()
        if self.lanes is not None:
            self.lanes.begin()
        return now

    def _end(self, lane: int) -> None:
        del self._busy_since[lane]
        if self.lanes is not None:
            self.lanes.end()

    def _others_idle(self) -> bool:
        """Say whether a batch more may begin, and what waits would take longer than beginning one."""
        return self.lanes is not None and len(self._queue) * self._image_seconds > LANE_SECONDS and self.lanes.is_free()

    def _next_batch(self) -> "list[_Waiting]":
        """Take what waits; where another batch could begin beside this one, half of it."""
        share = len(self._queue)
        if share > 1 and self._others_idle():
            share = (share + 1) // 2
        batch: list[_Waiting] = []
        while self._queue and len(batch) < min(share, self.largest_batch):
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
