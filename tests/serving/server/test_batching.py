"""Batches form of what has come while the last one was computed."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from serving.server.batching import Batcher, QueueFull

SHAPE = (2, 2, 1)


def image(value: int) -> NDArray[np.uint8]:
    return np.full(SHAPE, value, dtype=np.uint8)


class Model:
    """Answers with the first pixel; holds batches back until it is told to go."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.may_go = threading.Event()
        self.may_go.set()

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.may_go.wait(10)
        self.sizes.append(len(images))
        if (images == 255).any():
            raise ValueError("it broke")
        return np.stack([images[:, 0, 0, 0], np.zeros(len(images))], axis=1).astype(np.float32)


def run(model: Model, story: Callable[[Batcher], Awaitable[None]], *, capacity: int = 100, largest: int = 8) -> None:
    async def whole() -> None:
        batcher = Batcher(answer=model, largest_batch=largest, capacity=capacity)
        batcher.start()
        await story(batcher)
        await batcher.close()

    asyncio.run(whole())


def test_each_gets_its_own_answer_and_what_waits_goes_together() -> None:
    model = Model()

    async def story(batcher: Batcher) -> None:
        model.may_go.clear()
        first = asyncio.create_task(batcher.probabilities([image(1)]))
        await asyncio.sleep(0.05)
        others = [asyncio.create_task(batcher.probabilities([image(n)])) for n in range(2, 14)]
        await asyncio.sleep(0.05)
        assert batcher.num_waiting == 12
        model.may_go.set()
        rows = [row for rows in await asyncio.gather(first, *others) for row in rows]
        assert [int(row[0]) for row in rows] == list(range(1, 14))

    run(model, story)
    assert model.sizes == [1, 8, 4]


def test_a_lonely_request_waits_for_nobody() -> None:
    model = Model()

    async def story(batcher: Batcher) -> None:
        for value in range(3):
            async with asyncio.timeout(1):
                assert int((await batcher.probabilities([image(value)]))[0][0]) == value

    run(model, story)
    assert model.sizes == [1, 1, 1]


def test_who_finds_the_queue_full_is_told_when_to_come_again() -> None:
    model = Model()

    async def story(batcher: Batcher) -> None:
        model.may_go.clear()
        running = asyncio.create_task(batcher.probabilities([image(0)]))
        await asyncio.sleep(0.05)
        waiting = asyncio.create_task(batcher.probabilities([image(1)] * 3))
        await asyncio.sleep(0)
        with pytest.raises(QueueFull) as refused:
            await batcher.probabilities([image(2)] * 2)
        assert refused.value.retry_seconds >= 1
        assert batcher.num_waiting == 3, "those that were refused take no room"
        model.may_go.set()
        await asyncio.gather(running, waiting)

    run(model, story, capacity=4)


def test_a_batch_that_fails_takes_no_other_one_with_it() -> None:
    model = Model()

    async def story(batcher: Batcher) -> None:
        with pytest.raises(ValueError, match="it broke"):
            await batcher.probabilities([image(255)])
        assert int((await batcher.probabilities([image(7)]))[0][0]) == 7

    run(model, story)


def test_what_a_client_no_longer_waits_for_is_not_computed() -> None:
    model = Model()

    async def story(batcher: Batcher) -> None:
        model.may_go.clear()
        running = asyncio.create_task(batcher.probabilities([image(0)]))
        await asyncio.sleep(0.05)
        gone = asyncio.create_task(batcher.probabilities([image(1)] * 5))
        stays = asyncio.create_task(batcher.probabilities([image(2)]))
        await asyncio.sleep(0.01)
        gone.cancel()
        await asyncio.sleep(0.01)
        model.may_go.set()
        await asyncio.gather(running, stays)

    run(model, story)
    assert model.sizes == [1, 1]


def test_closing_answers_what_waits() -> None:
    model = Model()
    told: list[int] = []

    async def whole() -> None:
        batcher = Batcher(answer=model, largest_batch=2, capacity=10, told=lambda size, seconds: told.append(size))
        batcher.start()
        asked = asyncio.create_task(batcher.probabilities([image(n) for n in range(5)]))
        await asyncio.sleep(0)
        await batcher.close()
        assert len(await asked) == 5

    asyncio.run(whole())
    assert told == [2, 2, 1]
