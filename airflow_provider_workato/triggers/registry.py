"""The lists that this process polls, and their subscribers."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

from airflow_provider_workato.triggers.row_feed import RowFeed, RowSubscription
from airflow_provider_workato.triggers.snapshots import (
    ListKey,
    PollFailed,
    Snapshot,
    SnapshotSource,
    Subscription,
)


class SnapshotRegistry:
    """The lists that the triggers of this process share: a source for each list, a feed for each interval."""

    def __init__(self) -> None:
        self._sources: dict[ListKey, SnapshotSource] = {}
        self._feeds: dict[tuple[ListKey, float, asyncio.AbstractEventLoop], RowFeed] = {}

    @contextmanager
    def subscribe(self, key: ListKey, interval: float) -> Iterator[tuple[SnapshotSource, Subscription]]:
        """Yield the source of a list and a subscription to it.

        The source and its list are dropped when the last subscriber leaves.

        :param key: the Airflow connection and the filters.
        :param interval: seconds between two lists.
        """
        source = self._sources.setdefault(key, SnapshotSource(key))
        subscription = source.subscribe(interval)
        try:
            yield source, subscription
        finally:
            source.unsubscribe(subscription)
            if not source.in_use:
                self._sources.pop(key, None)

    @contextmanager
    def subscribe_to_rows(
        self, key: ListKey, interval: float, *, ids: tuple[int, ...], since: float
    ) -> Iterator[RowSubscription]:
        """Yield a subscription to some rows of a list, which is polled for as long as there is one.

        :param key: the Airflow connection and the filters.
        :param interval: seconds between two lists.
        :param ids: the connections.
        :param since: every list is passed on until one was fetched at this moment or later (monotonic clock).
        """
        loop = asyncio.get_running_loop()
        feed = self._feeds.get((key, interval, loop))
        if feed is None or feed.task.done():
            feed = self._feeds[key, interval, loop] = RowFeed()
            # A new context: one trigger's log must not get the messages of a shared task.
            feed.task = loop.create_task(
                feed.run(self.follow(key, interval=interval)), context=contextvars.Context()
            )
        subscription = feed.subscribe(ids, since=since)
        try:
            yield subscription
        finally:
            feed.unsubscribe(subscription)
            if not feed.in_use:
                feed.task.cancel()
                if self._feeds.get((key, interval, loop)) is feed:
                    del self._feeds[key, interval, loop]

    def request_refresh(self, key: ListKey, interval: float) -> None:
        """Request a newer list before the interval is over.

        :param key: the Airflow connection and the filters.
        :param interval: the subscribers with this interval get it (seconds).
        """
        if source := self._sources.get(key):
            source.request_refresh(interval)

    def latest(self, key: ListKey, *, max_age: float) -> Snapshot | PollFailed | None:
        """Return the result of the latest poll, without a call.

        :param key: the Airflow connection and the filters.
        :param max_age: seconds; an older result is ignored.
        """
        source = self._sources.get(key)
        return source.latest(max_age=max_age) if source else None

    def in_use(self, key: ListKey | None = None) -> bool:
        """Tell whether a list is polled.

        :param key: the list; any list by default.
        """
        return key in self._sources if key is not None else bool(self._sources)

    async def follow(self, key: ListKey, *, interval: float) -> AsyncGenerator[Snapshot | PollFailed, None]:
        """Yield the list at each interval, without end.

        :param key: the Airflow connection and the filters.
        :param interval: seconds between two lists.
        """
        with self.subscribe(key, interval) as (source, subscription):
            item = await source.get(max_age=interval)
            while True:
                yield item
                item = await source.after(item, subscription)


#: The lists of this process.
REGISTRY = SnapshotRegistry()
