"""The model that answers, and the change to another one without a request being lost."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from search.promotion.package import PackageError
from serving.predictor import Predictor, load_predictor
from serving.server import metrics
from serving.server.batching import Batcher
from serving.server.errors import Refused
from serving.server.lanes import Lanes
from serving.server.pointer import InService, read_pointer
from serving.server.settings import Settings
from trainer.data.filling import num_processors
from trainer.data.images import UNNAMED, BadImage, Pixels, decode_as, num_pixels

LANES = "lanes"  # folder beside the pointer
LEAVE_SECONDS = 0.01  # between two looks whether a service is still asked
WATCH_SECONDS = 0.5  # between two looks at the pointer
PIXELS_AT_ONCE = 100_000  # that are decoded where the request is read: handing them to a thread would take longer
# A progressive JPEG of a few kilobytes may make a decoder go over all pixels thousands of times.
JPEG, SCAN, MAX_SCANS = b"\xff\xd8", b"\xff\xda", 64
_log = logging.getLogger("autoclf.serve")


@dataclass(slots=True, eq=False)
class Service:
    """A model with its queue: each has one of its own, so that a change never mixes two."""

    package: InService
    predictor: Predictor
    batcher: Batcher
    users: int = 0  # requests that will still ask it

    async def close(self) -> None:
        """Wait until nobody will ask it any more, and answer what waits."""
        while self.users:
            await asyncio.sleep(LEAVE_SECONDS)
        await self.batcher.close()


@dataclass(slots=True)
class Holder:
    """Holds the service that new requests go to."""

    settings: Settings
    lanes: Lanes | None = None
    now: Service | None = None
    _decoders: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(num_processors(), "decoder"))
    _leaving: set["asyncio.Task[None]"] = field(default_factory=set)

    async def open(self) -> None:
        """Load what is in service.

        Raises:
            PackageError: If it is not sound.
        """
        self.lanes = Lanes(self.settings.pointer.parent / LANES, self.settings.lanes)
        num_pixels(b"?")  # Pillow loads its decoders now and not with the first request
        self.now = await self._load(read_pointer(self.settings.pointer))

    async def watch(self) -> None:
        """Go over to what the pointer names, whenever that changes; for as long as the server runs."""
        refused: InService | None = None
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            wanted = read_pointer(self.settings.pointer)
            if self.now is None or wanted in (self.now.package, refused):
                continue
            try:
                new = await self._load(wanted)
            except PackageError as error:
                refused = wanted
                metrics.MODEL_REFUSED.inc()
                _log.error("%s stays in service: %s", self.now.package, error)
                continue
            former, self.now = self.now, new
            metrics.MODEL.labels(former.package.model, former.package.version or "").set(0)
            leaving = asyncio.create_task(former.close())  # what it was asked it still answers
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)

    async def close(self) -> None:
        """Answer what waits."""
        if self.now is not None:
            await self.now.close()
        self._decoders.shutdown(wait=False, cancel_futures=True)

    @contextmanager
    def in_use(self) -> Iterator[Service]:
        """Yield the service that a new request goes to, which stays until the block ends.

        Raises:
            Refused: If there is none yet.
        """
        service = self.now
        if service is None:
            raise Refused(503, "not_ready", "The model is being loaded.", retry_seconds=1.0)
        service.users += 1
        try:
            yield service
        finally:
            service.users -= 1

    async def decode(self, service: Service, contents: Sequence[bytes]) -> list[Pixels | BadImage]:
        """Decode the images of a request for a model: small ones at once, large ones on other threads."""
        return list(await asyncio.gather(*(self._decode(service, content) for content in contents)))

    async def _decode(self, service: Service, content: bytes) -> Pixels | BadImage:
        if content.startswith(JPEG) and content.count(SCAN) > MAX_SCANS:
            return BadImage(UNNAMED, f"has more than {MAX_SCANS} scans")
        shape, most = service.predictor.manifest.image_shape, self.settings.max_pixels
        if (num_pixels(content) or 0) <= PIXELS_AT_ONCE:
            return decode_as(shape, content, max_pixels=most)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._decoders, lambda: decode_as(shape, content, max_pixels=most))

    async def _load(self, package: InService) -> Service:
        name, threads = package.model, self.settings.threads
        predictor = await asyncio.to_thread(load_predictor, Path(package.folder), name=name, threads=threads)
        batcher = Batcher(
            answer=predictor.probabilities,
            largest_batch=self.settings.largest_batch,
            capacity=self.settings.capacity,
            lanes=self.lanes,
            told=_count_batch,
        )
        batcher.start()
        metrics.MODEL.labels(package.model, package.version or "").set(1)
        return Service(package, predictor, batcher)


def _count_batch(size: int, seconds: float) -> None:
    metrics.BATCH_IMAGES.observe(size)
    metrics.BATCH_SECONDS.observe(seconds)
