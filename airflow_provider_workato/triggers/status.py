"""The trigger that updates an asset when a connection's status changes.

Use it with Airflow's ``AssetWatcher`` (Airflow 3.0 and later) to run a DAG when a connection becomes
authorized, fails, or is lost.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_workato.arguments import check_field, to_id
from airflow_provider_workato.authorization import State
from airflow_provider_workato.exceptions import WorkatoConfigurationError
from airflow_provider_workato.triggers.base import ConnectionListTrigger
from airflow_provider_workato.triggers.reports import Reported, Reports, loss
from airflow_provider_workato.triggers.shared_list import Follower, PollFailed, Snapshot, follow, in_thread
from airflow_provider_workato.version_compat import asset_stores
from airflow_provider_workato.wait import schedule_text

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow_provider_workato.triggers.rows import ListedConnection

#: The changes that can be watched.
CHANGES: tuple[str, ...] = (State.AUTHORIZED.value, State.FAILED.value, State.LOST.value)


class WorkatoConnectionStatusTrigger(ConnectionListTrigger):
    """Fire once for each connection that becomes authorized, fails, or is lost.

    States that already hold when the watch starts do not fire. A change up to one *poke_interval* earlier can
    fire, if other triggers were polling then. Changes from a time without a triggerer fire when one is back,
    if Airflow has an asset state store (3.3 and later) and only the interval was edited meanwhile. An event's
    payload is ``{"change": "lost", "connection": {...}}``. Errors do not fire: after a failed poll the watch
    continues with the next one.

    All watches of a triggerer, and the waits without list filters, share one list call per interval. The
    reports are stored when they change: about 50 kB for a workspace of 50,000 connections.

    :param connection_id: watch this connection only.
    :param external_id: watch only the connections with this external id.
    :param folder_id: watch only the connections directly in this folder.
    :param provider: watch only the connections of this app, for example ``salesforce``.
    :param changes: what to report: ``authorized``, ``failed``, ``lost``.
    :param workato_conn_id: the Airflow connection with the API token.
    :param poke_interval: seconds between two lists, greater than 0; also a string or a ``timedelta``.
    :raises WorkatoConfigurationError: if an argument is not valid.
    """

    #: The shortest time in seconds before Airflow may restart a failed watch.
    REST = 10.0

    def __init__(
        self,
        *,
        connection_id: int | str | None = None,
        external_id: int | str | None = None,
        folder_id: int | str | None = None,
        provider: str | None = None,
        changes: Collection[str] = CHANGES,
        workato_conn_id: str = "workato_default",
        poke_interval: timedelta | float | str = 60.0,
    ) -> None:
        # Every watch uses the whole list, so that all watches of a workspace share it.
        super().__init__(workato_conn_id=workato_conn_id, poke_interval=poke_interval)
        # Sorted, so that a watcher is the same trigger however its changes are written.
        self.changes = [] if isinstance(changes, str) else sorted({str(change) for change in changes or ()})
        if not self.changes or not set(self.changes) <= set(CHANGES):
            raise WorkatoConfigurationError(
                f"changes must be a list of {', '.join(CHANGES)}, such as ['lost'], not {changes!r}."
            )
        if external_id is not None and not isinstance(external_id, (int, str)):
            raise WorkatoConfigurationError("external_id must be a string.")
        wanted = {
            "id": None if connection_id is None else to_id(connection_id),
            "external_id": None if external_id is None else str(external_id),
            "folder_id": check_field("folder_id", folder_id),
            "provider": provider,
        }
        self._filters = {name: value for name, value in wanted.items() if value is not None}

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, which hold no secret."""
        return (
            "airflow_provider_workato.triggers.status.WorkatoConnectionStatusTrigger",
            {
                "connection_id": self._filters.get("id"),
                "external_id": self._filters.get("external_id"),
                "folder_id": self._filters.get("folder_id"),
                "provider": self._filters.get("provider"),
                "changes": self.changes,
                "workato_conn_id": self.workato_conn_id,
                "poke_interval": self.poke_interval,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch the list."""
        key = self.list_key(self.serialize()[1])
        with follow(key, interval=self.poke_interval) as follower:
            async with aclosing(self.events(_lists(follower))) as events:
                async for event in events:
                    yield event

    async def events(self, lists: AsyncIterator[Snapshot | PollFailed]) -> AsyncGenerator[TriggerEvent, None]:
        """Report the changes from one list to the next.

        :param lists: the lists.
        """
        started = time.monotonic()
        reports = Reports.shared(asset_stores(self), self._record_key, self._old_record_keys)
        # The rows of the newest list, and what they were compared with.
        known: Mapping[int, ListedConnection] = {}
        base: Reported | None = None
        is_begun = False
        try:
            async for item in lists:
                if isinstance(item, PollFailed):
                    self.log.warning("%s The watch continues with the next poll.", item.error)
                    continue
                async with reports.lock:
                    await reports.read()
                    if not is_begun:
                        is_begun = True
                        self.log.info(
                            "Watching for connections that become %s. %s The list has %d connections.",
                            " or ".join(self.changes),
                            schedule_text(self.poke_interval, None),
                            len(item.rows),
                        )
                    # Accept an older list first: a watch that joins others would otherwise see nothing until
                    # their next list. It must not undo what is recorded.
                    if item.moment < reports.moment or (item.moment < started and not reports.is_new):
                        continue
                    before = known if base is reports.reported else {}
                    # In a thread: the first comparison of a large workspace takes a moment.
                    compared = partial(self._compare, item, before, reports.reported)
                    changes, watched = await in_thread(compared)
                    if base is None and not watched:
                        self._tell_that_none()
                    is_new = reports.is_new
                    told = {} if is_new or not any(changes.values()) else await reports.reported_elsewhere()
                    known, base = item.rows, reports.reported
                    reports.moment, reports.is_new = item.moment, False
                    for number, report in changes.items():
                        fires = not is_new and report is not None and told.get(number) != report
                        reports.note(number, report, fires=fires)
                        if fires:
                            row = item.rows[number]
                            self.log.info("Connection %s: %s.", number, row.state.value)
                            yield TriggerEvent({"change": row.state.value, "connection": row.connection()})
                await reports.store()
        except Exception:
            # Airflow restarts a failed watch at once, without end. Slow that down to the pace of the polls.
            self.log.exception("Watching the connections failed.")
            await asyncio.sleep(max(self.poke_interval, self.REST))
            raise

    def _compare(
        self, snapshot: Snapshot, known: Mapping[int, ListedConnection], reported: Reported
    ) -> tuple[dict[int, str | None], int]:
        """Return what *reported* lacks, and how many new or changed rows are watched.

        A connection that is missing from the list or left the watched folder keeps its report: it may come
        back, and an incomplete list must not make news of all the others.
        """
        changes, watched = {}, 0
        for number, row in snapshot.rows.items():
            # An unchanged row is the same object as before.
            if known.get(number) is row or not self._watches(row):
                continue
            watched += 1
            report = self._report(row)
            if report != reported.get(number):
                changes[number] = report
        return changes, watched

    def _tell_that_none(self) -> None:
        # Nothing else shows that a filter is misspelt.
        if self._filters:
            filters = [f"{name}={value}" for name, value in self._filters.items()]
            self.log.info("No connection of the list has %s yet.", ", ".join(filters))

    def _watches(self, row: ListedConnection) -> bool:
        if not self._filters:
            return True
        if self._filters.get("id", row.id) != row.id:
            return False
        fields = row.fields()
        return all(getattr(fields, name) == value for name, value in self._filters.items())

    def _report(self, row: ListedConnection) -> str | None:
        if row.state.value not in self.changes:
            return None
        return loss(row.fields().connection_lost_at) if row.state is State.LOST else row.state.value

    @property
    def _record_key(self) -> str:
        return _key({"conn_id": self.workato_conn_id, "changes": self.changes, **self._filters})

    @property
    def _old_record_keys(self) -> list[str]:
        # They depended on the interval and on the order of the changes, too.
        given = self.serialize()[1]
        return [_key(given | {"changes": order}) for order in itertools.permutations(self.changes)]


async def _lists(follower: Follower) -> AsyncIterator[Snapshot | PollFailed]:
    while True:
        # Without ids, there are no reminders.
        if (item := await follower.next()) is not None:
            yield item


def _key(watch: Mapping[str, Any]) -> str:
    return f"workato_{hashlib.sha256(json.dumps(watch, sort_keys=True).encode()).hexdigest()[:16]}"
