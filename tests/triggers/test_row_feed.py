"""What a feed of rows costs and whom it wakes."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator

import pytest

from airflow_provider_workato.triggers import row_feed
from airflow_provider_workato.triggers.row_feed import RowFeed, RowSubscription
from airflow_provider_workato.triggers.snapshots import PollFailed, Snapshot


class Lists:
    """Lists that a test hands to a feed one at a time."""

    def __init__(self) -> None:
        self.given: asyncio.Queue[Snapshot] = asyncio.Queue()

    async def stream(self) -> AsyncGenerator[Snapshot | PollFailed, None]:
        while True:
            yield await self.given.get()
            self.given.task_done()

    async def give(self) -> None:
        """Hand out a list, and return once the feed asks for the next one."""
        await self.given.put(Snapshot({}, time.monotonic()))
        await self.given.join()


async def reminded(subscriptions: list[RowSubscription]) -> int:
    """Return how many have a reminder waiting, and take it."""
    found = 0
    for subscription in subscriptions:
        try:
            async with asyncio.timeout(0):
                found += await subscription.next() is None
        except TimeoutError:
            continue
    return found


def test_reminders_are_spread_over_the_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_feed, "next_reminder", lambda elapsed: 0.5 if elapsed < 0.5 else math.inf)
    monkeypatch.setattr(row_feed, "_REMINDED", 2)
    monkeypatch.setattr(row_feed, "_WOKEN", 1)

    async def scenario() -> list[int]:
        feed, lists = RowFeed(), Lists()
        waits = [feed.subscribe((1,), since=time.monotonic()) for _ in range(5)]
        task = asyncio.create_task(feed.run(lists.stream()))
        await lists.give()
        for wait in waits:
            assert await wait.next() is not None
        await asyncio.sleep(waits[-1].remind_at - time.monotonic())
        counts = []
        for _ in range(4):
            await lists.give()
            counts.append(await reminded(waits))
        task.cancel()
        return counts

    assert asyncio.run(scenario()) == [2, 2, 1, 0]
