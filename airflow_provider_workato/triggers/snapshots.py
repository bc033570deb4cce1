"""The newest list of connections, fetched once for all who wait for it.

Workato allows 60 list calls a minute, so a workspace is polled once however many triggers watch it.
Airflow 3.3 shares the poll itself; elsewhere the triggers of one process meet here.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from airflow_provider_workato.client.settings import WorkatoSettings
from airflow_provider_workato.exceptions import WorkatoAuthError, WorkatoConfigurationError, WorkatoError
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.links.connections import connection_url
from airflow_provider_workato.version_compat import read_connection

if TYPE_CHECKING:
    from airflow_provider_workato.client.answers import WorkatoConnection

log = logging.getLogger(__name__)

#: A list that waits asked for is fetched once none of them has asked for this many seconds, so that
#: tasks that start together are answered together.
SOON = 2.0

#: The most seconds for which a wait is held back for others, and the fewest between two such lists.
TOGETHER = 30.0

T = TypeVar("T")

#: What makes two lists the same one: the Airflow connection and the filters.
ListKey = tuple[str, tuple[tuple[str, Any], ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All connections at one moment.

    :param rows: the connections by id. Shared by all triggers: not to be changed.
    :param moment: when the list was asked for, on the clock of ``time.monotonic()``.
    :param web_url: where people open a connection, with ``{}`` for its id.
    """

    rows: Mapping[int, WorkatoConnection] = field(repr=False)
    moment: float
    web_url: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class PollFailed:
    """A poll that did not give a list, though the next one may.

    :param error: why.
    :param moment: when, on the clock of ``time.monotonic()``.
    """

    error: WorkatoError
    moment: float


class Seat:
    """One user of a source: how often it wants a list, and whether it asked for an earlier one.

    :param interval: seconds between two lists.
    """

    __slots__ = ("asked", "interval", "wake")

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.asked = False
        self.wake = asyncio.Event()


class SnapshotSource:
    """Fetches one list for all triggers of this process that want it.

    :param key: the Airflow connection and the filters.
    """

    _sources: ClassVar[dict[ListKey, SnapshotSource]] = {}

    def __init__(self, key: ListKey) -> None:
        self._key = key
        self._seats: set[Seat] = set()
        self._latest: Snapshot | PollFailed | None = None
        #: Those of the last good poll, however many failed since.
        self._rows: Mapping[int, WorkatoConnection] = {}
        self._flight: asyncio.Task[Snapshot | PollFailed] | None = None
        self._hook: WorkatoConnectionsHook | None = None
        self._first_ask = self._last_ask = math.inf
        self._asked_list = -math.inf

    @classmethod
    @contextmanager
    def joined(cls, key: ListKey, interval: float) -> Iterator[tuple[SnapshotSource, Seat]]:
        """Yield the source that all users of *key* share, and a seat at it.

        Drop the source and its list when the last user leaves.

        :param key: the Airflow connection and the filters.
        :param interval: seconds between two lists.
        """
        source, seat = cls._sources.setdefault(key, cls(key)), Seat(interval)
        source._seats.add(seat)  # noqa: SLF001
        try:
            yield source, seat
        finally:
            source._seats.discard(seat)  # noqa: SLF001
            if not source._seats:  # noqa: SLF001
                cls._sources.pop(key, None)

    @classmethod
    def ask(cls, key: ListKey, interval: float) -> None:
        """Request a newer list before the interval is over.

        :param key: the Airflow connection and the filters.
        :param interval: seconds between two lists of whoever asks.
        """
        source = cls._sources.get(key)
        if source is None:
            return
        source._last_ask = time.monotonic()  # noqa: SLF001
        source._first_ask = min(source._first_ask, source._last_ask)  # noqa: SLF001
        for seat in source._seats:  # noqa: SLF001
            if seat.interval == interval and not seat.asked:
                seat.asked = True
                seat.wake.set()

    @classmethod
    def newest(cls, key: ListKey, *, max_age: float) -> Snapshot | PollFailed | None:
        """Return what the newest poll gave, whoever made it, without a call.

        :param key: the Airflow connection and the filters.
        :param max_age: seconds. Anything older is none.
        """
        source = cls._sources.get(key)
        latest = source._latest if source else None  # noqa: SLF001
        return latest if latest is not None and time.monotonic() - latest.moment < max_age else None

    async def get(self, *, max_age: float) -> Snapshot | PollFailed:
        """Return a list not older than *max_age*; all who ask meanwhile share one call.

        :param max_age: seconds.
        """
        if self._latest is not None and time.monotonic() - self._latest.moment < max_age:
            return self._latest
        loop = asyncio.get_running_loop()
        if self._flight is None or self._flight.done() or self._flight.get_loop() is not loop:
            # A task of its own: a trigger that is cancelled must not leave a look-up half-way, which
            # breaks the triggerer of Airflow 3.0 and 3.1. Nor is this the business of one trigger's log.
            self._flight = loop.create_task(self._poll(), context=contextvars.Context())
        return await asyncio.shield(self._flight)

    async def after(self, item: Snapshot | PollFailed, seat: Seat) -> Snapshot | PollFailed:
        """Return what follows *item*, at the seat's interval or earlier if one of its users asked.

        :param item: what the seat got last.
        :param seat: the seat.
        """
        while True:
            latest = self._latest
            if seat.asked and latest is not None and latest.moment > item.moment:
                seat.asked = False
                return latest
            now, due = time.monotonic(), item.moment + seat.interval
            if now >= due:
                seat.asked = False
                return await self.get(max_age=seat.interval)
            early = self._early_list() if seat.asked else math.inf
            if now >= early:
                seat.asked = False
                self._asked_list = now
                return await self.get(max_age=0)
            seat.wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(due, early) - now):
                    await seat.wake.wait()

    def _early_list(self) -> float:
        return max(min(self._last_ask + SOON, self._first_ask + TOGETHER), self._asked_list + TOGETHER)

    async def _poll(self) -> Snapshot | PollFailed:
        self._first_ask = self._last_ask = math.inf
        try:
            self._latest = await self._fetch(self._rows)
            self._rows = self._latest.rows
        except WorkatoError as error:
            # The log of each wait has the message.
            log.debug("Fetching the list of connections failed.", exc_info=True)
            self._latest = PollFailed(error, time.monotonic())
        except Exception as error:
            log.exception("Fetching the list of connections failed.")
            self._latest = PollFailed(
                WorkatoError(f"Fetching the list of connections failed ({type(error).__name__})."),
                time.monotonic(),
            )
        for seat in self._seats:
            if seat.asked:
                seat.wake.set()
        return self._latest

    async def _fetch(self, before: Mapping[int, WorkatoConnection]) -> Snapshot:
        hook = self._hook
        # After a failure, the user may have corrected the Airflow connection.
        if hook is None or isinstance(self._latest, PollFailed):
            hook = await self._current_hook()
        try:
            return await in_thread(partial(self._read, hook, before))
        except WorkatoAuthError:
            # A rejected token is worth a second try at once, if it has been replaced.
            fresh = await self._current_hook()
            if fresh is hook:
                raise
        return await in_thread(partial(self._read, fresh, before))

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
        self._hook = WorkatoConnectionsHook.with_settings(settings)
        return self._hook

    def _read(self, hook: WorkatoConnectionsHook, before: Mapping[int, WorkatoConnection]) -> Snapshot:
        asked_at = time.monotonic()
        rows: dict[int, WorkatoConnection] = {}
        for row in hook.iter_connections(include_runtime_connections=True, **dict(self._key[1])):
            # An unchanged row is kept: one list is in memory, not two.
            known = before.get(row["id"])
            rows[row["id"]] = known if known == row else row
        return Snapshot(rows, asked_at, connection_url(hook.settings, "{}"))


async def follow(key: ListKey, *, interval: float) -> AsyncGenerator[Snapshot | PollFailed, None]:
    """Yield the list again and again, for ever.

    :param key: the Airflow connection and the filters.
    :param interval: seconds between two lists.
    """
    with SnapshotSource.joined(key, interval) as (source, seat):
        item = await source.get(max_age=interval)
        while True:
            yield item
            item = await source.after(item, seat)


async def starting_with(first: T | None, stream: AsyncIterator[T]) -> AsyncIterator[T]:
    """Yield *first*, if there is one, and then what *stream* yields.

    :param first: what was there before the stream.
    :param stream: the rest.
    """
    if first is not None:
        yield first
    async for item in stream:
        yield item


async def _settings(conn_id: str) -> WorkatoSettings:
    try:
        return await read_connection(conn_id, WorkatoSettings.from_airflow)
    except WorkatoError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a secrets backend raises
        kind = type(error).__name__
    # Not chained: what a secrets backend says of a connection can hold its credentials.
    raise WorkatoError(
        f"Airflow connection {conn_id!r} cannot be read ({kind}). Check that it exists and that the "
        "triggerer sees it: an environment variable has to be set there, too."
    )


def in_thread(function: Callable[[], T]) -> asyncio.Future[T]:
    """Run a blocking function beside the loop.

    The pool behind ``asyncio.to_thread`` is joined when a loop ends: a triggerer could not stop before
    the last call has had its turn and its answer.

    :param function: what to run.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(outcome: Callable[[], None]) -> None:
        # Nobody is left to be told once the loop is closed.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: None if future.done() else outcome())

    def run() -> None:
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            settle(partial(future.set_exception, error))
        else:
            settle(partial(future.set_result, result))

    threading.Thread(target=run, name="workato-poll", daemon=True).start()
    return future
