"""How long an event loop is held at a time."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Self


class LoopWatch:
    """Watches the running event loop while the block runs."""

    #: Seconds between two looks.
    STEP = 0.005

    def __init__(self) -> None:
        #: The longest time in seconds for which nothing else could run.
        self.longest = 0.0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _watch(self) -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(self.STEP)
            self.longest = max(self.longest, time.perf_counter() - began - self.STEP)
