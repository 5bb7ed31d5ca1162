"""A change of models, seen from inside: who was given the former one is answered by it."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from serving.server import service as module
from serving.server.pointer import InService, point_at
from serving.server.service import Holder
from serving.server.settings import Settings
from tests.serving.packages import SHAPE, make_package


def test_a_request_that_began_before_a_change_is_answered_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WATCH_SECONDS", 0.01)
    first, second = make_package(tmp_path / "first"), make_package(tmp_path / "second")
    settings = Settings(pointer=tmp_path / "pointer.json")
    point_at(settings.pointer, InService(str(first), "pets@champion", "1"))

    async def story() -> None:
        holder = Holder(settings)
        await holder.open()
        watch = asyncio.create_task(holder.watch())
        with holder.in_use() as former:
            point_at(settings.pointer, InService(str(second), "pets@champion", "2"))
            async with asyncio.timeout(10):
                while holder.now is former:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            async with asyncio.timeout(1):
                rows = await former.batcher.probabilities([np.zeros(SHAPE, dtype=np.uint8)])
            assert rows[0].argmax() == 0
            assert former.package.version == "1"
        with holder.in_use() as now:
            assert now.package.version == "2"
        watch.cancel()
        await holder.close()

    asyncio.run(story())
