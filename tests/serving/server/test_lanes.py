"""A worker takes an idle core for a batch more, and leaves it to whom it belongs."""

import asyncio
import os
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from serving.server.batching import Batcher
from serving.server.lanes import Lanes


class Model:
    """Takes a while, and knows how many batches were computed at the same time."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.sizes: list[int] = []
        self._lock = threading.Lock()

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.sizes.append(len(images))
        time.sleep(0.02 * len(images))
        with self._lock:
            self.now -= 1
        return np.zeros((len(images), 2), dtype=np.float32)


def answered(lanes: Lanes, num_images: int) -> Model:
    """Let a model answer so many images at once."""
    model = Model()

    async def whole() -> None:
        batcher = Batcher(answer=model, largest_batch=8, capacity=100, lanes=lanes)
        batcher.start()
        image = np.zeros((1, 1, 1), dtype=np.uint8)
        assert len(await batcher.probabilities([image] * num_images)) == num_images
        await batcher.close()

    asyncio.run(whole())
    assert sum(model.sizes) == num_images
    return model


def test_a_request_of_many_images_takes_idle_cores(tmp_path: Path) -> None:
    assert answered(Lanes(tmp_path, most=2), 16).most == 2
    assert answered(Lanes(tmp_path, most=1), 16).most == 1


def test_a_core_that_another_worker_uses_is_left_to_it(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path, most=2)
    (tmp_path / str(os.getppid())).write_bytes(b"\2")

    model = answered(lanes, 16)

    assert model.most == 1
    assert model.sizes == [8, 8], "nothing is halved for a core that is not there"


def test_what_a_dead_worker_left_counts_no_longer(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    (tmp_path / str(process.pid)).write_bytes(b"\2")

    assert answered(Lanes(tmp_path, most=2), 16).most == 2
    assert [path.name for path in tmp_path.iterdir()] == [str(os.getpid())]


def test_batches_are_counted_until_they_end(tmp_path: Path) -> None:
    lanes, seen = Lanes(tmp_path, most=2), Lanes(tmp_path, most=1)
    assert seen.is_free()
    seen.begin()

    assert not seen.is_free()
    seen.end()
    assert seen.is_free()
    assert lanes.is_free()
