"""The newest list of connections, fetched once for all who wait for it.

Workato allows 60 list calls a minute, so a workspace is polled once however many triggers watch it.
Airflow 3.3 shares the poll itself; elsewhere the triggers of one process meet here.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_workato.exceptions import WorkatoAuthError, WorkatoError
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.links.connections import connection_url

if TYPE_CHECKING:
    from airflow_provider_workato.models import Connection

log = logging.getLogger(__name__)

#: What makes two lists the same one: the Airflow connection and the filters.
ListKey = tuple[str, tuple[tuple[str, Any], ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All connections at one moment.

    :param rows: the connections by id. Shared by all triggers: not to be changed.
    :param taken_at: when the list was asked for, in seconds since the epoch.
    :param web_url: where people open a connection, with ``{}`` for its id.
    """

    rows: Mapping[int, Connection] = field(repr=False)
    taken_at: float
    web_url: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class PollFailed:
    """A poll that did not give a list, though the next one may.

    :param error: why.
    :param failed_at: when, in seconds since the epoch.
    """

    error: WorkatoError
    failed_at: float


class SnapshotSource:
    """Fetches one list for all triggers of this process that want it.

    :param key: the Airflow connection and the filters.
    """

    _sources: ClassVar[dict[ListKey, SnapshotSource]] = {}
    _registry: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, key: ListKey) -> None:
        self._conn_id, self._filters = key[0], dict(key[1])
        self._key = key
        self._users = 0
        self._lock = threading.Lock()
        self._latest: Snapshot | PollFailed | None = None
        self._hook: WorkatoConnectionsHook | None = None

    @classmethod
    def join(cls, key: ListKey) -> SnapshotSource:
        """Return the source that all users of *key* share; :meth:`leave` it in the end.

        :param key: the Airflow connection and the filters.
        """
        with cls._registry:
            source = cls._sources.setdefault(key, cls(key))
            source._users += 1  # noqa: SLF001
            return source

    def leave(self) -> None:
        """Give the source up; the last user takes its list along."""
        with self._registry:
            self._users -= 1
            if self._users == 0:
                self._sources.pop(self._key, None)

    @classmethod
    def newest(cls, key: ListKey) -> Snapshot | None:
        """Return the newest list that somebody fetched, without a call.

        :param key: the Airflow connection and the filters.
        """
        source = cls._sources.get(key)
        latest = source._latest if source else None  # noqa: SLF001
        return latest if isinstance(latest, Snapshot) else None

    def fetch(self, *, max_age: float) -> Snapshot | PollFailed:
        """Return a list not older than *max_age*, fetching it if need be. Blocks: call it in a thread.

        :param max_age: seconds.
        :raises WorkatoError: if it is one that no later poll can cure.
        """
        with self._lock:
            latest = self._latest
            if latest is not None and time.time() - _moment(latest) < max_age:
                return latest
            try:
                self._latest = self._fetch(latest.rows if isinstance(latest, Snapshot) else {})
            except AirflowFailException:
                raise
            except WorkatoError as error:
                self._latest = PollFailed(error, time.time())
            return self._latest

    def _fetch(self, before: Mapping[int, Connection]) -> Snapshot:
        if self._hook is None:
            self._hook = WorkatoConnectionsHook(self._conn_id)
        try:
            return self._read(self._hook, before)
        except WorkatoAuthError:
            # A wait can outlive its token: look once whether a new one was put in place.
            fresh = WorkatoConnectionsHook(self._conn_id)
            if fresh.settings.token.reveal() == self._hook.settings.token.reveal():
                raise
            self._hook.close()
            self._hook = fresh
        log.info("The API token of Airflow connection %s was replaced; using the new one.", self._conn_id)
        return self._read(self._hook, before)

    def _read(self, hook: WorkatoConnectionsHook, before: Mapping[int, Connection]) -> Snapshot:
        asked_at = time.time()
        rows: dict[int, Connection] = {}
        for row in hook.iter_connections(include_runtime_connections=True, **self._filters):
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
    source = SnapshotSource.join(key)
    try:
        while True:
            item = await asyncio.to_thread(source.fetch, max_age=interval)
            if isinstance(item, PollFailed):
                log.warning("The list of connections could not be read: %s", item.error)
            yield item
            await asyncio.sleep(max(0.0, _moment(item) + interval - time.time()))
    finally:
        source.leave()


def _moment(item: Snapshot | PollFailed) -> float:
    return item.taken_at if isinstance(item, Snapshot) else item.failed_at
