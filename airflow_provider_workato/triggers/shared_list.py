"""One list of connections for all triggers of a process that need it.

Workato allows 60 list calls a minute, so one poll serves any number of waits and watches.
"""

from __future__ import annotations

import asyncio
import contextvars
import copy
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_workato.client.settings import WorkatoSettings
from airflow_provider_workato.exceptions import (
    WorkatoAuthError,
    WorkatoConfigurationError,
    WorkatoError,
)
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.links.connections import connection_url
from airflow_provider_workato.triggers.rows import read_rows
from airflow_provider_workato.version_compat import read_connection, triggerer_can_hang
from airflow_provider_workato.wait import next_reminder

if TYPE_CHECKING:
    from airflow_provider_workato.client.session import Version
    from airflow_provider_workato.triggers.rows import ListedConnection

T = TypeVar("T")

log = logging.getLogger(__name__)

#: A requested refresh is fetched once this many seconds have passed without another request, so that one
#: list serves tasks that start together.
SOON = 2.0

#: The longest time in seconds that a request waits for others, and the shortest between two such refreshes.
TOGETHER = 30.0

#: The event loop runs other tasks after this many followers were checked, or this many woken.
_CHECKED, _WOKEN = 1000, 50

#: The most waits that are reminded after one list; the others follow after the next.
_REMINDED = 500

#: Identifies a list: the Airflow connection and the filters.
ListKey = tuple[str, tuple[tuple[str, Any], ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All connections at one moment.

    :param rows: the connections by id. All triggers share them: do not change them.
    :param moment: when the list was requested, on the clock of ``time.monotonic()``.
    :param web_url: a connection's address in a browser, with ``{}`` for its id.
    """

    rows: Mapping[int, ListedConnection] = field(repr=False)
    moment: float
    web_url: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class PollFailed:
    """A failed poll. The next one may succeed.

    :param error: why.
    :param moment: when, on the clock of ``time.monotonic()``.
    """

    error: WorkatoError
    moment: float


class Follower:
    """What one trigger gets of a list: every list at its interval, or those in which one of its rows changed.

    :param shared: the list.
    :param interval: seconds between two lists.
    :param ids: the connections that it waits for; ``None`` for every list and no reminders.
    :param since: every list is passed on until one was fetched at this moment or later (monotonic clock).
    """

    __slots__ = (
        "_ids",
        "_item",
        "_moment",
        "_reminded",
        "_seen",
        "_shared",
        "_since",
        "_waiter",
        "interval",
        "remind_at",
        "requested",
    )

    def __init__(
        self, shared: SharedList, *, interval: float, ids: tuple[int, ...] | None, since: float
    ) -> None:
        self._shared = shared
        self.interval = interval
        self._ids = ids
        self._since = since
        #: When the newest list that it was offered at its interval or on request was fetched.
        self._moment = -math.inf
        self._seen: tuple[ListedConnection | None, ...] | None = None
        self._item: Snapshot | PollFailed | WorkatoError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._reminded = False
        self.requested = False
        self.remind_at = math.inf
        if ids is not None:
            self._plan_reminder(time.monotonic())

    @property
    def due(self) -> float:
        """When the next list is due."""
        return self._moment + self.interval

    def request_refresh(self) -> None:
        """Request a newer list before the interval is over."""
        self._shared.request_refresh(self.interval)

    def offer(self, item: Snapshot | PollFailed, now: float) -> bool:
        """Pass *item* on if it is due and news; return whether it is.

        :param item: the newest list.
        :param now: this moment, on the clock of ``time.monotonic()``.
        """
        if item.moment <= self._moment or (now < self.due and not self.requested):
            return False
        self._moment, self.requested = item.moment, False
        if isinstance(item, Snapshot) and self._ids is not None:
            rows = tuple(map(item.rows.get, self._ids))
            if rows == self._seen:
                return False
            self._seen = rows if item.moment >= self._since else None
        else:
            # The list after a failed poll is news in any case.
            self._seen = None
        self.give(item)
        return True

    def give(self, item: Snapshot | PollFailed | WorkatoError) -> None:
        """Pass *item* on.

        :param item: the newest list, or why there are no more.
        """
        self._item = item
        self._wake()

    def remind(self, now: float) -> None:
        """Wake the wait, which has lasted for long, and plan its next reminder.

        :param now: this moment, on the clock of ``time.monotonic()``.
        """
        self._reminded = True
        self._plan_reminder(now)
        self._wake()

    def _plan_reminder(self, now: float) -> None:
        self.remind_at = self._since + next_reminder(now - self._since)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def next(self) -> Snapshot | PollFailed | None:
        """Wait for news and return it, or ``None`` if it is time for a reminder.

        :raises WorkatoError: if the poll has ended.
        """
        while self._item is None and not self._reminded:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        item, self._item, self._waiter = self._item, None, None
        if isinstance(item, WorkatoError):
            raise copy.copy(item)
        self._reminded = self._reminded and item is not None
        return item


class SharedList:
    """Polls one list for all its followers in this process, until it has none.

    Airflow's own shared stream (3.3) wakes every trigger for every list at the same time. Ten thousand
    triggers would hold the triggerer's event loop for most of a second.

    :param key: the Airflow connection and the filters.
    """

    def __init__(self, key: ListKey) -> None:
        self._key = key
        self.followers: dict[Follower, None] = {}
        self._latest: Snapshot | PollFailed | None = None
        #: The rows of the latest successful poll.
        self._rows: Mapping[int, ListedConnection] = {}
        #: Its version, as this hook's token sees the list.
        self._version: Version | None = None
        self._hook: WorkatoConnectionsHook | None = None
        self._changed = asyncio.Event()
        #: Nobody is due before this moment.
        self._next_due = math.inf
        self._first_request = self._last_request = math.inf
        self._requested_list = -math.inf
        self.task: asyncio.Task[None]

    def start(self) -> None:
        """Poll in a task of its own.

        It ends by itself: cancelling a look-up of the Airflow connection would break the triggerer of Airflow
        3.0 and 3.1. A new context keeps its messages out of the log of the trigger that began it.
        """
        self.task = asyncio.get_running_loop().create_task(self._run(), context=contextvars.Context())

    def add(self, follower: Follower) -> None:
        """Add a follower, and give it the list that is there if its interval allows that.

        :param follower: the follower.
        """
        if latest := self.latest(max_age=follower.interval):
            follower.offer(latest, time.monotonic())
        self.followers[follower] = None
        self._next_due = min(self._next_due, follower.due)
        self._changed.set()

    def remove(self, follower: Follower) -> None:
        """Remove a follower.

        :param follower: the follower.
        """
        del self.followers[follower]
        if not self.followers:
            self._changed.set()

    def latest(self, *, max_age: float) -> Snapshot | PollFailed | None:
        """Return the result of the latest poll, without a call.

        :param max_age: seconds; an older result is ignored.
        """
        latest = self._latest
        return latest if latest is not None and time.monotonic() - latest.moment < max_age else None

    def request_refresh(self, interval: float) -> None:
        """Request a newer list before the interval is over.

        :param interval: the followers with this interval get it (seconds).
        """
        self._last_request = time.monotonic()
        self._first_request = min(self._first_request, self._last_request)
        for follower in self.followers:
            if follower.interval == interval:
                follower.requested = True
        self._changed.set()

    async def _run(self) -> None:
        try:
            while self.followers:
                now, early = time.monotonic(), self._early_list()
                if now < (wake_at := min(self._next_due, early)):
                    self._changed.clear()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(wake_at - now):
                            await self._changed.wait()
                    continue
                if now >= early:
                    self._requested_list = now
                latest = self._latest
                # Whoever is due takes the list that others have got, unless it is too old.
                if latest is None or now >= early or self._is_too_old(latest, now):
                    latest = await self.poll()
                await self.offer_all(latest)
        except Exception as error:
            log.exception("Polling the list of connections ended.")
            reason = WorkatoError(f"Polling the list of connections ended ({type(error).__name__}).")
            for follower in self.followers:
                follower.give(reason)

    def _early_list(self) -> float:
        quiet = min(self._last_request + SOON, self._first_request + TOGETHER)
        return max(quiet, self._requested_list + TOGETHER)

    def _is_too_old(self, latest: Snapshot | PollFailed, now: float) -> bool:
        return any(each.due <= now and latest.moment + each.interval <= now for each in self.followers)

    async def offer_all(self, item: Snapshot | PollFailed) -> None:
        """Offer *item* to every follower, and remind those that wait for long.

        :param item: the newest list.
        """
        self._next_due = math.inf
        now, woken, reminded = time.monotonic(), 0, 0
        for number, follower in enumerate(list(self.followers), 1):
            # Offering to a follower that has left does no harm.
            woken += follower.offer(item, now)
            if follower.remind_at <= now and reminded < _REMINDED:
                follower.remind(now)
                reminded += 1
                woken += 1
            self._next_due = min(self._next_due, follower.due)
            if number % _CHECKED == 0 or woken >= _WOKEN:
                woken = 0
                await asyncio.sleep(0)
        # Let the waits end before the next poll begins: after the last one there is none.
        await asyncio.sleep(0)

    async def poll(self) -> Snapshot | PollFailed:
        """Fetch the list."""
        try:
            self._latest = await self._fetch()
        except WorkatoError as error:
            # Each wait logs the message itself.
            log.debug("Fetching the list of connections failed.", exc_info=True)
            self._latest = PollFailed(error, time.monotonic())
        except Exception as error:
            log.exception("Fetching the list of connections failed.")
            self._latest = PollFailed(
                WorkatoError(f"Fetching the list of connections failed ({type(error).__name__})."),
                time.monotonic(),
            )
        # Whoever needs a still newer list requests it again.
        self._first_request = self._last_request = math.inf
        return self._latest

    async def _fetch(self) -> Snapshot:
        hook = self._hook
        # After a failure, a user may have corrected the Airflow connection.
        if hook is None or isinstance(self._latest, PollFailed):
            hook = await self._current_hook()
        try:
            return await in_thread(partial(self._read, hook))
        except WorkatoAuthError:
            # If the rejected token has been replaced meanwhile, try again at once.
            fresh = await self._current_hook()
            if fresh is hook:
                raise
        return await in_thread(partial(self._read, fresh))

    async def _current_hook(self) -> WorkatoConnectionsHook:
        """Read the Airflow connection again; return a new hook if any setting changed."""
        hook, conn_id = self._hook, self._key[0]
        try:
            settings = await _settings(conn_id)
        except WorkatoConfigurationError:
            raise
        except WorkatoError as error:
            if hook is None:
                raise
            log.warning("%s Using the settings read before.", error)
            return hook
        if hook is not None:
            if hook.settings == settings:
                return hook
            hook.close()
            log.info("Airflow connection %s was changed; using the new settings.", conn_id)
        self._hook, self._version = WorkatoConnectionsHook.with_settings(settings), None
        return self._hook

    def _read(self, hook: WorkatoConnectionsHook) -> Snapshot:
        asked_at = time.monotonic()
        version, parts = hook.poll_connections(
            self._version, include_runtime_connections=True, **dict(self._key[1])
        )
        if parts is not None:
            self._rows = read_rows(parts, self._rows)
        self._version = version
        return Snapshot(self._rows, asked_at, connection_url(hook.settings, "{}"))


#: The lists that this process polls, on each event loop.
LISTS: dict[tuple[ListKey, asyncio.AbstractEventLoop], SharedList] = {}


@contextmanager
def follow(
    key: ListKey, *, interval: float, ids: tuple[int, ...] | None = None, since: float = -math.inf
) -> Iterator[Follower]:
    """Follow a list, which is polled once for all its followers and dropped after the last.

    :param key: the Airflow connection and the filters.
    :param interval: seconds between two lists.
    :param ids: the connections to wait for; ``None`` for every list.
    :param since: every list is passed on until one was fetched at this moment or later (monotonic clock).
    """
    place = key, asyncio.get_running_loop()
    shared = LISTS.get(place)
    if shared is None or shared.task.done():
        shared = LISTS[place] = SharedList(key)
        shared.start()
    follower = Follower(shared, interval=interval, ids=ids, since=since)
    shared.add(follower)
    try:
        yield follower
    finally:
        shared.remove(follower)
        if not shared.followers and LISTS.get(place) is shared:
            del LISTS[place]


async def _settings(conn_id: str) -> WorkatoSettings:
    try:
        return await read_connection(conn_id, WorkatoSettings.from_airflow)
    except WorkatoError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a secrets backend raises
        kind = type(error).__name__
    if triggerer_can_hang():
        raise WorkatoError(
            f"Airflow connection {conn_id!r} cannot be read ({kind}). A triggerer of this Airflow can hang "
            "when it reads a stored connection. Update to Airflow 3.0.3 or later, or define the connection "
            f"in the triggerer's environment (AIRFLOW_CONN_{conn_id.upper()}) or in a secrets backend."
        )
    # Not chained: the message of a secrets backend can contain credentials.
    raise WorkatoError(
        f"Airflow connection {conn_id!r} cannot be read ({kind}). Check that it exists and that the "
        "triggerer can read it: an environment variable must be set there, too."
    )


def in_thread(function: Callable[[], T]) -> asyncio.Future[T]:
    """Run a blocking function in a daemon thread of its own.

    ``asyncio.to_thread`` would not do: its pool is joined when the loop ends, so a triggerer could not stop
    before the last call has its answer.

    :param function: the function.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(outcome: Callable[[], None]) -> None:
        # Once the loop is closed, the result is not needed any more.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: None if future.done() else outcome())

    def run() -> None:
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - raised where the future is awaited
            settle(partial(future.set_exception, error))
        else:
            settle(partial(future.set_result, result))

    threading.Thread(target=run, name="workato-poll", daemon=True).start()
    return future
