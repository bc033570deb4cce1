"""The trigger that tells an asset when a connection's status changed.

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
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_workato.arguments import parse_time, to_optional_id
from airflow_provider_workato.authorization import State, state_of
from airflow_provider_workato.exceptions import WorkatoConfigurationError
from airflow_provider_workato.triggers.base import ConnectionListTrigger
from airflow_provider_workato.triggers.snapshots import (
    PollFailed,
    Snapshot,
    SnapshotSource,
    in_thread,
    starting_with,
)
from airflow_provider_workato.version_compat import asset_stores

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow_provider_workato.client.answers import WorkatoConnection

#: The changes that can be watched.
CHANGES: tuple[str, ...] = (State.AUTHORIZED.value, State.FAILED.value, State.LOST.value)

#: What was told, by connection: its state, and for a lost one since when.
Marks = dict[int, str]


class WorkatoConnectionStatusTrigger(ConnectionListTrigger):
    """Fire once for each connection that becomes authorized, fails, or is lost.

    What is so already when the watch begins does not fire; a change up to one *poke_interval* before can, if
    other triggers were polling then. What changed while no triggerer ran fires when
    one is back, if Airflow has an asset state store (3.3 and later). An event's payload is
    ``{"change": "lost", "connection": {...}}``. Errors never fire the asset: after a poll that failed the
    watch goes on with the next one.

    All watches and waits of a triggerer with the same interval share one list call per interval. What was
    told is noted in the store when it changed: about 50 kB for a workspace of 50,000 connections.

    :param connection_id: watch this connection only.
    :param external_id: watch only the connections with this external id.
    :param folder_id: watch only the connections directly in this folder.
    :param provider: watch only the connections of this app, for example ``salesforce``.
    :param changes: what to tell: ``authorized``, ``failed``, ``lost``.
    :param workato_conn_id: the Airflow connection with the API token.
    :param poke_interval: seconds between two lists, greater than 0; also a string or a ``timedelta``.
    :raises WorkatoConfigurationError: if an argument is none of these.
    """

    #: Airflow hands an event over about a second after it was fired. What was told is noted only after
    #: that: a triggerer that dies in between tells it twice, rather than never.
    NOTE_AFTER = 3.0

    #: How many seconds a watch that failed waits at least before Airflow may start it again.
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
        # The whole list is fetched, so that all watches of a workspace share it.
        super().__init__(workato_conn_id=workato_conn_id, poke_interval=poke_interval)
        self.changes = [str(change) for change in changes]
        if not self.changes or not set(self.changes) <= set(CHANGES):
            raise WorkatoConfigurationError(f"changes must be some of {', '.join(CHANGES)}.")
        if external_id is not None and not isinstance(external_id, (int, str)):
            raise WorkatoConfigurationError("external_id must be a string.")
        wanted = {
            "id": to_optional_id(connection_id, what="connection_id"),
            "external_id": None if external_id is None else str(external_id),
            "folder_id": to_optional_id(folder_id, what="folder_id"),
            "provider": provider,
        }
        self._wanted = {name: value for name, value in wanted.items() if value is not None}

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, which hold no secret."""
        return (
            "airflow_provider_workato.triggers.status.WorkatoConnectionStatusTrigger",
            {
                "connection_id": self._wanted.get("id"),
                "external_id": self._wanted.get("external_id"),
                "folder_id": self._wanted.get("folder_id"),
                "provider": self._wanted.get("provider"),
                "changes": self.changes,
                "workato_conn_id": self.workato_conn_id,
                "poke_interval": self.poke_interval,
            },
        )

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[Any]
    ) -> AsyncGenerator[TriggerEvent, None]:
        """Tell what changed from one list to the next.

        :param shared_stream: the lists.
        """
        started = time.monotonic()
        stores = asset_stores(self)
        noted: tuple[Marks | None, bool] | None = None
        known: Mapping[int, WorkatoConnection] = {}
        newest = SnapshotSource.newest(self.list_key(self.serialize()[1]), max_age=self.poke_interval)
        held = newest if isinstance(newest, Snapshot) else None
        try:
            async for item in starting_with(held, shared_stream):
                if isinstance(item, PollFailed):
                    self.log.warning("%s The watch goes on with the next poll.", item.error)
                    continue
                if noted is None and (noted := await self._noted(stores)) is None:
                    continue
                told, complete = noted
                first, told = told is None, told or {}
                # An older list will do to begin with: without it, a watch that joins others would see
                # nothing until their next list. It must not undo what a note says.
                if item.moment < started and not first:
                    continue
                # Beside the loop: the first look at a large workspace takes a moment.
                changed, fresh = await in_thread(partial(self._compare, item, known, told))
                known = item.rows
                for number in [] if first else fresh:
                    row = item.rows[number]
                    self.log.info("Connection %s: %s.", number, state_of(row).value)
                    yield TriggerEvent({"change": state_of(row).value, "connection": row})
                if changed or not complete:
                    if fresh and not first:
                        await asyncio.sleep(self.NOTE_AFTER)
                    complete = await self._note(stores, told)
                noted = told, complete
        except Exception:
            # Airflow starts a failed watch again at once, for ever: no more often than it polls.
            self.log.exception("Watching the connections failed.")
            await asyncio.sleep(max(self.poke_interval, self.REST))
            raise

    def _compare(
        self, snapshot: Snapshot, known: Mapping[int, WorkatoConnection], told: Marks
    ) -> tuple[bool, list[int]]:
        """Bring *told* up to date; return whether it changed and what is news.

        A connection that the list misses keeps its mark: it may come back, and a half-empty list must not
        make news of all the others. So does one that leaves the watched folder.
        """
        changed, fresh = False, []
        for number, row in snapshot.rows.items():
            # The list keeps the object of a row that did not change.
            if known.get(number) is row or not self._watches(row):
                continue
            mark = self._mark(row)
            if mark == told.get(number):
                continue
            changed = True
            if mark is None:
                del told[number]
            else:
                told[number] = mark
                fresh.append(number)
        return changed, fresh

    def _watches(self, row: WorkatoConnection) -> bool:
        return all(row.get(name) == value for name, value in self._wanted.items())

    def _mark(self, row: WorkatoConnection) -> str | None:
        state = state_of(row)
        if state.value not in self.changes:
            return None
        return _lost_mark(row.get("connection_lost_at")) if state is State.LOST else state.value

    async def _noted(self, stores: Sequence[Any]) -> tuple[Marks | None, bool] | None:
        """Return the newest note of the watched assets, and whether each of them has it.

        ``None`` if there may be a note, but it cannot be read now.
        """
        notes, unread = [], False
        for store in stores:
            try:
                notes.append(await store.aget(self._note_key))
            except Exception:
                self.log.exception("The asset state store cannot be read; trying again at the next list.")
                notes.append(None)
                unread = True
        found = [note for note in notes if isinstance(note, dict) and isinstance(note.get("at"), float)]
        if not found:
            return None if unread else (None, not stores)
        newest = max(found, key=lambda note: note["at"])
        marks = await in_thread(partial(_unpacked, newest.get("told")))
        return marks, marks is not None and all(note == newest for note in notes)

    async def _note(self, stores: Sequence[Any], told: Marks) -> bool:
        if not stores:
            return True
        note = {"at": time.time(), "told": await in_thread(partial(_packed, told))}
        written = True
        for store in stores:
            try:
                await store.aset(self._note_key, note)
            except Exception:
                self.log.exception("The asset state store cannot be written; a restart may miss a change.")
                written = False
        return written

    @property
    def _note_key(self) -> str:
        watch = json.dumps(self.serialize()[1], sort_keys=True)
        return f"workato_{hashlib.sha256(watch.encode()).hexdigest()[:16]}"


def _lost_mark(lost_at: object) -> str:
    """Return the mark of a loss: the same for one instant, in whatever time zone Workato gives it."""
    moment = parse_time(lost_at)
    if moment is not None and moment.tzinfo is not None:
        # The first and the last day of the calendar exist in some time zones only.
        with suppress(OverflowError):
            moment = moment.astimezone(UTC)
    return f"{State.LOST.value} {moment.isoformat() if moment is not None else lost_at}"


def _packed(told: Marks) -> str:
    """Return *told* in as few bytes as it takes: the ids by mark, each as its distance from the last."""
    ids: dict[str, list[int]] = {}
    for number in sorted(told):
        ids.setdefault(told[number], []).append(number)
    steps = {
        mark: [after - before for before, after in itertools.pairwise([0, *numbers])]
        for mark, numbers in ids.items()
    }
    return base64.b64encode(zlib.compress(json.dumps(steps, separators=(",", ":")).encode(), 9)).decode()


def _unpacked(text: object) -> Marks | None:
    lost = f"{State.LOST.value} "
    try:
        steps = json.loads(zlib.decompress(base64.b64decode(str(text))))
        return {
            number: mark
            for noted, each in steps.items()
            for mark in [_lost_mark(noted.removeprefix(lost)) if noted.startswith(lost) else noted]
            for number in itertools.accumulate(each)
        }
    except (ValueError, TypeError, AttributeError, zlib.error):
        return None
