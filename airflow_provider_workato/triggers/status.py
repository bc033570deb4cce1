"""The trigger that updates an asset when a connection's status changes.

Use it with Airflow's ``AssetWatcher`` (Airflow 3.0 and later) to run a DAG when a connection becomes
authorized, fails, or is lost.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import json
import time
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Hashable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_workato.arguments import parse_time, to_optional_id
from airflow_provider_workato.authorization import State
from airflow_provider_workato.exceptions import WorkatoConfigurationError
from airflow_provider_workato.progress import schedule_text
from airflow_provider_workato.triggers.base import ConnectionListTrigger
from airflow_provider_workato.triggers.registry import REGISTRY
from airflow_provider_workato.triggers.snapshots import PollFailed, Snapshot
from airflow_provider_workato.triggers.threads import in_thread
from airflow_provider_workato.version_compat import asset_stores

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow_provider_workato.triggers.rows import ListedConnection

#: The changes that can be watched.
CHANGES: tuple[str, ...] = (State.AUTHORIZED.value, State.FAILED.value, State.LOST.value)

#: What was reported, by connection id: the state, and the time of a loss.
Reported = dict[int, str]


@dataclass(frozen=True, slots=True)
class Memory:
    """What a watch has reported so far.

    :param reported: the reports; ``None`` before the watch's very first list.
    :param stored: whether the store of every watched asset has them.
    """

    reported: Reported | None
    stored: bool = field(kw_only=True)


class WorkatoConnectionStatusTrigger(ConnectionListTrigger):
    """Fire once for each connection that becomes authorized, fails, or is lost.

    States that already hold when the watch starts do not fire. A change up to one *poke_interval* earlier can
    fire, if other triggers were polling then. Changes from a time without a triggerer fire when one is back,
    if Airflow has an asset state store (3.3 and later). An event's payload is ``{"change": "lost",
    "connection": {...}}``. Errors do not fire: after a failed poll the watch continues with the next one.

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

    #: Airflow records an event about a second after it fired. Store the reports later than that (seconds): a
    #: triggerer that dies in between repeats a report rather than losing it.
    STORE_AFTER = 3.0

    #: The shortest time in seconds before Airflow may restart a failed watch.
    REST = 10.0

    def __init__(
        self,
        *,
        connection_id: int | str | None = None,
        external_id: int | str | None = None,
        folder_id: int | str | None = None,
        provider: str | None = None,
        changes: Sequence[str] = CHANGES,
        workato_conn_id: str = "workato_default",
        poke_interval: timedelta | float | str = 60.0,
    ) -> None:
        # Every watch uses the whole list, so that all watches of a workspace share it.
        super().__init__(workato_conn_id=workato_conn_id, poke_interval=poke_interval)
        self.changes = [] if isinstance(changes, str) else [str(change) for change in changes or ()]
        if not self.changes or not set(self.changes) <= set(CHANGES):
            raise WorkatoConfigurationError(
                f"changes must be a list of {', '.join(CHANGES)}, such as ['lost']."
            )
        if external_id is not None and not isinstance(external_id, (int, str)):
            raise WorkatoConfigurationError("external_id must be a string.")
        wanted = {
            "id": to_optional_id(connection_id, what="connection_id"),
            "external_id": None if external_id is None else str(external_id),
            "folder_id": to_optional_id(folder_id, what="folder_id"),
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

    def shared_stream_key(self) -> Hashable | None:
        """Return the key of the shared poll: the same for all watches of a list with the same interval."""
        return ("workato", self.list_key(self.serialize()[1]), self.poke_interval)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncGenerator[Snapshot | PollFailed, None]:
        """Poll the list for all watches of the group.

        Passes failed polls on instead of raising: a later one may succeed.

        :param kwargs: the arguments of one trigger of the group.
        """
        async with aclosing(REGISTRY.follow(cls.list_key(kwargs), interval=kwargs["poke_interval"])) as items:
            async for item in items:
                yield item

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch with a stream of its own, where Airflow shares none."""
        async with (
            aclosing(type(self).open_shared_stream(self.serialize()[1])) as stream,
            aclosing(self.filter_shared_stream(stream)) as events,
        ):
            async for event in events:
                yield event

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[Any]
    ) -> AsyncGenerator[TriggerEvent, None]:
        """Report the changes from one list to the next.

        :param shared_stream: the lists.
        """
        started = time.monotonic()
        stores = asset_stores(self)
        memory: Memory | None = None
        known: Mapping[int, ListedConnection] | None = None
        latest = REGISTRY.latest(self.list_key(self.serialize()[1]), max_age=self.poke_interval)
        try:
            async for item in _starting_with(latest if isinstance(latest, Snapshot) else None, shared_stream):
                if isinstance(item, PollFailed):
                    self.log.warning("%s The watch continues with the next poll.", item.error)
                    continue
                if memory is None:
                    if (memory := await self._load(stores)) is None:
                        continue
                    self.log.info(
                        "Watching for connections that become %s. %s The list has %d connections.",
                        " or ".join(self.changes),
                        schedule_text(self.poke_interval, None),
                        len(item.rows),
                    )
                first, reported = memory.reported is None, memory.reported or {}
                # Accept an older list first: a watch that joins others would otherwise see nothing until
                # their next list. It must not undo what the store has.
                if item.moment < started and not first:
                    continue
                # In a thread: the first comparison of a large workspace takes a moment.
                compared = partial(self._compare, item, known or {}, reported)
                changed, news, watched = await in_thread(compared)
                self._tell_if_none(watched, known)
                known = item.rows
                for number in [] if first else news:
                    row = item.rows[number]
                    self.log.info("Connection %s: %s.", number, row.state.value)
                    yield TriggerEvent({"change": row.state.value, "connection": row.connection()})
                stored = memory.stored
                if changed or not stored:
                    if news and not first:
                        await asyncio.sleep(self.STORE_AFTER)
                    stored = await self._store(stores, reported)
                memory = Memory(reported, stored=stored)
        except Exception:
            # Airflow restarts a failed watch at once, without end. Slow that down to the pace of the polls.
            self.log.exception("Watching the connections failed.")
            await asyncio.sleep(max(self.poke_interval, self.REST))
            raise

    def _compare(
        self, snapshot: Snapshot, known: Mapping[int, ListedConnection], reported: Reported
    ) -> tuple[bool, list[int], int]:
        """Bring *reported* up to date.

        A connection that is missing from the list or left the watched folder keeps its entry: it may come
        back, and an incomplete list must not make news of all the others.

        :return: whether it changed, the connections to report, and how many new or changed rows are watched.
        """
        changed, news, watched = False, [], 0
        for number, row in snapshot.rows.items():
            # An unchanged row is the same object as before.
            if known.get(number) is row or not self._watches(row):
                continue
            watched += 1
            report = self._report(row)
            if report == reported.get(number):
                continue
            changed = True
            if report is None:
                del reported[number]
            else:
                reported[number] = report
                news.append(number)
        return changed, news, watched

    def _tell_if_none(self, watched: int, known: Mapping[int, ListedConnection] | None) -> None:
        # Nothing else shows that a filter is misspelt.
        if known is None and self._filters and not watched:
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
        return _loss(row.fields().connection_lost_at) if row.state is State.LOST else row.state.value

    async def _load(self, stores: Sequence[Any]) -> Memory | None:
        """Return the reports from the newest of the watched assets' stores.

        ``None`` if a store cannot be read now and no other has them.
        """
        entries, unread = [], False
        for store in stores:
            try:
                entries.append(await store.aget(self._store_key))
            except Exception:
                self.log.exception("The asset state store cannot be read; trying again at the next list.")
                entries.append(None)
                unread = True
        found = [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("at"), float)]
        if not found:
            return None if unread else Memory(None, stored=not stores)
        newest = max(found, key=lambda entry: entry["at"])
        reported = await in_thread(partial(_unpacked, newest.get("told")))
        return Memory(reported, stored=reported is not None and all(entry == newest for entry in entries))

    async def _store(self, stores: Sequence[Any], reported: Reported) -> bool:
        if not stores:
            return True
        # Do not rename the keys: earlier releases read the entry, too.
        entry = {"at": time.time(), "told": await in_thread(partial(_packed, reported))}
        stored = True
        for store in stores:
            try:
                await store.aset(self._store_key, entry)
            except Exception:
                self.log.exception("The asset state store cannot be written; a restart may miss a change.")
                stored = False
        return stored

    @property
    def _store_key(self) -> str:
        watch = json.dumps(self.serialize()[1], sort_keys=True)
        return f"workato_{hashlib.sha256(watch.encode()).hexdigest()[:16]}"


async def _starting_with(
    first: Snapshot | None, stream: AsyncIterator[Snapshot | PollFailed]
) -> AsyncIterator[Snapshot | PollFailed]:
    if first is not None:
        yield first
    async for item in stream:
        yield item


def _loss(lost_at: object) -> str:
    """Return the report of a loss, which does not depend on the time zone of Workato's timestamp."""
    moment = parse_time(lost_at)
    if moment is not None and moment.tzinfo is not None:
        # The first and last day of the calendar overflow in some time zones.
        with suppress(OverflowError):
            moment = moment.astimezone(UTC)
    return f"{State.LOST.value} {moment.isoformat() if moment is not None else lost_at}"


def _packed(reported: Reported) -> str:
    """Return *reported* compressed: the ids by report, each as the difference to the one before."""
    ids: dict[str, list[int]] = {}
    for number in sorted(reported):
        ids.setdefault(reported[number], []).append(number)
    steps = {
        report: [after - before for before, after in itertools.pairwise([0, *numbers])]
        for report, numbers in ids.items()
    }
    return base64.b64encode(zlib.compress(json.dumps(steps, separators=(",", ":")).encode(), 9)).decode()


def _unpacked(packed: object) -> Reported | None:
    lost = f"{State.LOST.value} "
    try:
        steps = json.loads(zlib.decompress(base64.b64decode(str(packed))))
        return {
            number: report
            for stored, each in steps.items()
            for report in [_loss(stored.removeprefix(lost)) if stored.startswith(lost) else stored]
            for number in itertools.accumulate(each)
        }
    except (ValueError, TypeError, AttributeError, zlib.error):
        return None
