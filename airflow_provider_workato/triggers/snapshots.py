"""The newest list of connections, fetched once for all triggers of a process.

Workato allows 60 list calls a minute, so one poll serves any number of triggers.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_workato.client.settings import WorkatoSettings
from airflow_provider_workato.exceptions import WorkatoAuthError, WorkatoConfigurationError, WorkatoError
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.links.connections import connection_url
from airflow_provider_workato.triggers.rows import read_rows
from airflow_provider_workato.triggers.threads import in_thread
from airflow_provider_workato.version_compat import read_connection, triggerer_can_hang

if TYPE_CHECKING:
    from airflow_provider_workato.triggers.rows import ListedConnection

log = logging.getLogger(__name__)

#: A requested refresh is fetched once this many seconds have passed without another request, so that one
#: list serves tasks that start together.
SOON = 2.0

#: The longest time in seconds that a request waits for others, and the shortest between two such refreshes.
TOGETHER = 30.0

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


class Subscription:
    """One subscriber of a source: its interval, and whether it requested an earlier list.

    :param interval: seconds between two lists.
    """

    __slots__ = ("interval", "requested", "wake")

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.requested = False
        self.wake = asyncio.Event()


class SnapshotSource:
    """Fetches one list for all its subscribers in this process.

    :param key: the Airflow connection and the filters.
    """

    def __init__(self, key: ListKey) -> None:
        self._key = key
        self._subscriptions: set[Subscription] = set()
        self._latest: Snapshot | PollFailed | None = None
        #: The rows of the latest successful poll.
        self._rows: Mapping[int, ListedConnection] = {}
        self._flight: asyncio.Task[Snapshot | PollFailed] | None = None
        self._hook: WorkatoConnectionsHook | None = None
        self._first_request = self._last_request = math.inf
        self._requested_list = -math.inf

    @property
    def in_use(self) -> bool:
        """Whether anything is subscribed."""
        return bool(self._subscriptions)

    def subscribe(self, interval: float) -> Subscription:
        """Add a subscription.

        :param interval: seconds between two lists.
        """
        subscription = Subscription(interval)
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Remove a subscription.

        :param subscription: what :meth:`subscribe` returned.
        """
        self._subscriptions.discard(subscription)

    def request_refresh(self, interval: float) -> None:
        """Request a newer list before the interval is over.

        :param interval: the subscribers with this interval get it (seconds).
        """
        self._last_request = time.monotonic()
        self._first_request = min(self._first_request, self._last_request)
        for subscription in self._subscriptions:
            if subscription.interval == interval and not subscription.requested:
                subscription.requested = True
                subscription.wake.set()

    def latest(self, *, max_age: float) -> Snapshot | PollFailed | None:
        """Return the result of the latest poll, without a call.

        :param max_age: seconds; an older result is ignored.
        """
        latest = self._latest
        return latest if latest is not None and time.monotonic() - latest.moment < max_age else None

    async def get(self, *, max_age: float) -> Snapshot | PollFailed:
        """Return a list not older than *max_age*. Concurrent callers share one request.

        :param max_age: seconds.
        """
        if latest := self.latest(max_age=max_age):
            return latest
        loop = asyncio.get_running_loop()
        if self._flight is None or self._flight.done() or self._flight.get_loop() is not loop:
            # A separate task: cancelling a trigger must not interrupt the lookup of the Airflow connection,
            # which would break the triggerer of Airflow 3.0 and 3.1. A new context keeps its messages out of
            # that trigger's log.
            self._flight = loop.create_task(self._poll(), context=contextvars.Context())
        return await asyncio.shield(self._flight)

    async def after(self, item: Snapshot | PollFailed, subscription: Subscription) -> Snapshot | PollFailed:
        """Return the next result after *item*, at the subscription's interval or earlier on request.

        :param item: the result that the subscriber has.
        :param subscription: the subscriber.
        """
        while True:
            latest = self._latest
            if subscription.requested and latest is not None and latest.moment > item.moment:
                subscription.requested = False
                return latest
            now, due = time.monotonic(), item.moment + subscription.interval
            if now >= due:
                subscription.requested = False
                return await self.get(max_age=subscription.interval)
            early = self._early_list() if subscription.requested else math.inf
            if now >= early:
                subscription.requested = False
                self._requested_list = now
                return await self.get(max_age=0)
            subscription.wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(due, early) - now):
                    await subscription.wake.wait()

    def _early_list(self) -> float:
        quiet = min(self._last_request + SOON, self._first_request + TOGETHER)
        return max(quiet, self._requested_list + TOGETHER)

    async def _poll(self) -> Snapshot | PollFailed:
        self._first_request = self._last_request = math.inf
        try:
            self._latest = await self._fetch(self._rows)
            self._rows = self._latest.rows
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
        for subscription in self._subscriptions:
            if subscription.requested:
                subscription.wake.set()
        return self._latest

    async def _fetch(self, before: Mapping[int, ListedConnection]) -> Snapshot:
        hook = self._hook
        # After a failure, a user may have corrected the Airflow connection.
        if hook is None or isinstance(self._latest, PollFailed):
            hook = await self._current_hook()
        try:
            return await in_thread(partial(self._read, hook, before))
        except WorkatoAuthError:
            # If the rejected token has been replaced meanwhile, try again at once.
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

    def _read(self, hook: WorkatoConnectionsHook, before: Mapping[int, ListedConnection]) -> Snapshot:
        asked_at = time.monotonic()
        raws = hook.raw_connections(include_runtime_connections=True, **dict(self._key[1]))
        rows = read_rows(raws, before)
        return Snapshot(rows, asked_at, connection_url(hook.settings, "{}"))


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
