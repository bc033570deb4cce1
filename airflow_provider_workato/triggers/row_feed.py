"""One poll for many waits: a list wakes only the waits whose rows changed."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from airflow_provider_workato.exceptions import WorkatoError, for_traceback
from airflow_provider_workato.progress import next_reminder
from airflow_provider_workato.triggers.snapshots import PollFailed, Snapshot

if TYPE_CHECKING:
    from airflow_provider_workato.triggers.rows import ListedConnection

log = logging.getLogger(__name__)

#: The event loop runs other tasks after this many waits were checked, or this many woken.
_CHECKED, _WOKEN = 1000, 50

#: The most waits that are reminded after one list; the others follow after the next.
_REMINDED = 500


class RowSubscription:
    """The lists that one wait gets: the first ones, then those in which one of its rows changed.

    :param ids: the connections that it waits for.
    :param since: every list is passed on until one was fetched at this moment or later (monotonic clock).
    """

    __slots__ = ("_error", "_ids", "_item", "_reminded", "_seen", "_since", "_waiter", "remind_at")

    def __init__(self, ids: tuple[int, ...], since: float) -> None:
        self._ids = ids
        self._since = since
        self._seen: tuple[ListedConnection | None, ...] | None = None
        self._item: Snapshot | PollFailed | None = None
        self._error: WorkatoError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._reminded = False
        self.remind_at = 0.0
        self._plan_reminder(time.monotonic())

    def _plan_reminder(self, now: float) -> None:
        self.remind_at = self._since + next_reminder(now - self._since)

    def remind(self, now: float) -> None:
        """Wake the wait, which has lasted for long, and plan its next reminder.

        :param now: this moment, on the clock of ``time.monotonic()``.
        """
        self._reminded = True
        self._plan_reminder(now)
        self._wake()

    def offer(self, item: Snapshot | PollFailed) -> bool:
        """Pass *item* on if it is news for this wait; return whether it is.

        :param item: the newest list.
        """
        if isinstance(item, Snapshot):
            rows = tuple(map(item.rows.get, self._ids))
            if rows == self._seen:
                return False
            self._seen = rows if item.moment >= self._since else None
        else:
            # The list after a failed poll is news in any case.
            self._seen = None
        self._item = item
        self._wake()
        return True

    def fail(self, error: WorkatoError) -> None:
        """End the subscription with an error.

        :param error: why there are no more lists.
        """
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def next(self) -> Snapshot | PollFailed | None:
        """Wait for news and return it, or ``None`` if it is time for a reminder.

        :raises WorkatoError: if the poll has ended.
        """
        while self._item is None:
            if self._error is not None:
                raise for_traceback(self._error)
            if self._reminded:
                self._reminded, self._waiter = False, None
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        item, self._item, self._waiter = self._item, None, None
        return item


class RowFeed:
    """Hands the lists of one poll to many waits.

    Airflow's own shared stream wakes every trigger for every list at the same time. Ten thousand triggers
    would hold the triggerer's event loop for most of a second.
    """

    def __init__(self) -> None:
        self._subscriptions: dict[RowSubscription, None] = {}
        #: No reminder is due before this moment, so that most lists cost no look at each wait.
        self._next_reminder = math.inf
        self.task: asyncio.Task[None]

    @property
    def in_use(self) -> bool:
        """Whether anything is subscribed."""
        return bool(self._subscriptions)

    def subscribe(self, ids: tuple[int, ...], *, since: float) -> RowSubscription:
        """Add a subscription.

        :param ids: the connections.
        :param since: every list is passed on until one was fetched at this moment or later.
        """
        subscription = RowSubscription(ids, since)
        self._subscriptions[subscription] = None
        self._next_reminder = min(self._next_reminder, subscription.remind_at)
        return subscription

    def unsubscribe(self, subscription: RowSubscription) -> None:
        """Remove a subscription.

        :param subscription: what :meth:`subscribe` gave.
        """
        self._subscriptions.pop(subscription, None)

    async def run(self, lists: AsyncGenerator[Snapshot | PollFailed, None]) -> None:
        """Hand the lists out until cancelled.

        :param lists: the lists.
        """
        try:
            async with aclosing(lists):
                async for item in lists:
                    await self._hand_out(item)
                    await self._remind()
        except Exception as error:
            log.exception("Polling the list of connections ended.")
            reason = WorkatoError(f"Polling the list of connections ended ({type(error).__name__}).")
            for subscription in self._subscriptions:
                subscription.fail(reason)

    async def _hand_out(self, item: Snapshot | PollFailed) -> None:
        woken = 0
        for number, subscription in enumerate(list(self._subscriptions), 1):
            # Offering to a subscription that has left does no harm.
            woken += subscription.offer(item)
            if number % _CHECKED == 0 or woken >= _WOKEN:
                woken = 0
                await asyncio.sleep(0)
        # Let the waits end before the next poll begins: after the last one there is none.
        await asyncio.sleep(0)

    async def _remind(self) -> None:
        now = time.monotonic()
        if now < self._next_reminder:
            return
        self._next_reminder = math.inf
        reminded = 0
        for number, subscription in enumerate(list(self._subscriptions), 1):
            if subscription.remind_at <= now and reminded < _REMINDED:
                subscription.remind(now)
                reminded += 1
                if reminded % _WOKEN == 0:
                    await asyncio.sleep(0)
            elif number % _CHECKED == 0:
                await asyncio.sleep(0)
            self._next_reminder = min(self._next_reminder, subscription.remind_at)
