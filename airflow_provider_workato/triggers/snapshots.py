"""The newest list of connections, fetched once for all who wait for it.

Workato allows 60 list calls a minute, so a workspace is polled once however many triggers watch it.
Airflow 3.3 shares the poll itself; elsewhere the triggers of one process meet here.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_workato.exceptions import WorkatoAuthError, WorkatoError
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.links.connections import connection_url

if TYPE_CHECKING:
    from airflow_provider_workato.models import Connection

log = logging.getLogger(__name__)

#: Lists that somebody asked for are this many seconds apart at least: twelve a minute, of the sixty allowed.
SOON = 5.0

T = TypeVar("T")

#: What makes two lists the same one: the Airflow connection and the filters.
ListKey = tuple[str, tuple[tuple[str, Any], ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All connections at one moment.

    :param rows: the connections by id. Shared by all triggers: not to be changed.
    :param moment: when the list was asked for, in seconds since the epoch.
    :param web_url: where people open a connection, with ``{}`` for its id.
    """

    rows: Mapping[int, Connection] = field(repr=False)
    moment: float
    web_url: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class PollFailed:
    """A poll that did not give a list, though the next one may.

    :param error: why.
    :param moment: when, in seconds since the epoch.
    """

    error: WorkatoError
    moment: float


class SnapshotSource:
    """Fetches one list for all triggers of this process that want it.

    :param key: the Airflow connection and the filters.
    """

    _sources: ClassVar[dict[ListKey, SnapshotSource]] = {}

    def __init__(self, key: ListKey) -> None:
        self._key = key
        self._wakers: set[asyncio.Event] = set()
        self._latest: Snapshot | PollFailed | None = None
        self._flight: asyncio.Future[Snapshot | PollFailed] | None = None
        self._hook: WorkatoConnectionsHook | None = None

    @classmethod
    @contextmanager
    def joined(cls, key: ListKey) -> Iterator[tuple[SnapshotSource, asyncio.Event]]:
        """Give the source that all users of *key* share, and what :meth:`ask` sets.

        The last user takes the list along.

        :param key: the Airflow connection and the filters.
        """
        source, waker = cls._sources.setdefault(key, cls(key)), asyncio.Event()
        source._wakers.add(waker)  # noqa: SLF001
        try:
            yield source, waker
        finally:
            source._wakers.discard(waker)  # noqa: SLF001
            if not source._wakers:  # noqa: SLF001
                cls._sources.pop(key, None)

    @classmethod
    def ask(cls, key: ListKey) -> None:
        """Have the list fetched soon: somebody needs one that is newer than the newest.

        :param key: the Airflow connection and the filters.
        """
        if source := cls._sources.get(key):
            for waker in source._wakers:  # noqa: SLF001
                waker.set()

    @classmethod
    def newest(cls, key: ListKey) -> Snapshot | None:
        """Return the newest list that somebody fetched, without a call.

        :param key: the Airflow connection and the filters.
        """
        source = cls._sources.get(key)
        latest = source._latest if source else None  # noqa: SLF001
        return latest if isinstance(latest, Snapshot) else None

    async def get(self, *, max_age: float) -> Snapshot | PollFailed:
        """Return a list not older than *max_age*; all who ask meanwhile share one call.

        :param max_age: seconds.
        :raises WorkatoError: if it is one that no later poll can cure.
        """
        if self._latest is not None and time.time() - self._latest.moment < max_age:
            return self._latest
        loop = asyncio.get_running_loop()
        if self._flight is None or self._flight.done() or self._flight.get_loop() is not loop:
            self._flight = _in_thread(self._poll)
        return await asyncio.shield(self._flight)

    def _poll(self) -> Snapshot | PollFailed:
        before = self._latest.rows if isinstance(self._latest, Snapshot) else {}
        try:
            self._latest = self._fetch(before)
        except AirflowFailException:
            raise
        except WorkatoError as error:
            self._latest = PollFailed(error, time.time())
        return self._latest

    def _fetch(self, before: Mapping[int, Connection]) -> Snapshot:
        conn_id = self._key[0]
        if self._hook is None:
            self._hook = WorkatoConnectionsHook(conn_id)
        try:
            return self._read(self._hook, before)
        except WorkatoAuthError:
            # A wait can outlive its token: look once whether a new one was put in place.
            fresh = WorkatoConnectionsHook(conn_id)
            if fresh.settings.token.reveal() == self._hook.settings.token.reveal():
                raise
            self._hook.close()
            self._hook = fresh
        log.info("The API token of Airflow connection %s was replaced; using the new one.", conn_id)
        return self._read(self._hook, before)

    def _read(self, hook: WorkatoConnectionsHook, before: Mapping[int, Connection]) -> Snapshot:
        asked_at = time.time()
        rows: dict[int, Connection] = {}
        for row in hook.iter_connections(include_runtime_connections=True, **dict(self._key[1])):
            # An unchanged row is kept: one list is in memory, not two.
            known = before.get(row["id"])
            rows[row["id"]] = known if known == row else row
        return Snapshot(rows, asked_at, connection_url(hook.settings, "{}"))


async def follow(key: ListKey, *, interval: float) -> AsyncGenerator[Snapshot | PollFailed, None]:
    """Yield the list again and again, for ever.

    :param key: the Airflow connection and the filters.
    :param interval: seconds between two lists.
    :raises WorkatoError: one that no later poll can cure.
    """
    with SnapshotSource.joined(key) as (source, waker):
        max_age = interval
        while True:
            waker.clear()
            item = await source.get(max_age=max_age)
            yield item
            max_age = interval
            with suppress(TimeoutError):
                await asyncio.wait_for(waker.wait(), _left(item, interval))
                max_age = min(SOON, interval)
                await asyncio.sleep(_left(item, max_age))


def _left(item: Snapshot | PollFailed, seconds: float) -> float:
    return max(0.0, item.moment + seconds - time.time())


def _in_thread(function: Callable[[], T]) -> asyncio.Future[T]:
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
