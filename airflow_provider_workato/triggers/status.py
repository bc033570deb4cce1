"""The trigger that tells an asset when a connection's status changed.

Use it with Airflow's ``AssetWatcher`` (Airflow 3.0 and later) to run a DAG when a connection becomes
authorized, fails, or is lost.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_workato.authorization import State, state_of
from airflow_provider_workato.exceptions import WorkatoConfigurationError
from airflow_provider_workato.models import to_optional_id
from airflow_provider_workato.triggers.base import ConnectionListTrigger
from airflow_provider_workato.triggers.snapshots import Snapshot

if TYPE_CHECKING:
    from airflow_provider_workato.models import Connection

#: The changes that can be watched.
CHANGES: tuple[str, ...] = (State.AUTHORIZED.value, State.FAILED.value, State.LOST.value)

#: What was told, by connection: its state, and for a lost one since when.
Marks = dict[str, str]


class WorkatoConnectionStatusTrigger(ConnectionListTrigger):
    """Fire once for each connection that becomes authorized, fails, or is lost.

    What is so already when the watch begins does not fire. What changed while no triggerer ran fires when
    one is back, if Airflow has an asset state store (3.3 and later). An event's payload is
    ``{"change": "lost", "connection": {...}}``. Errors never fire the asset.

    All watches and waits of a triggerer with the same interval share one list call per interval.

    :param connection_id: watch this connection only.
    :param external_id: watch only the connections with this external id.
    :param folder_id: watch only the connections directly in this folder.
    :param provider: watch only the connections of this app, for example ``salesforce``.
    :param changes: what to tell: ``authorized``, ``failed``, ``lost``.
    :param workato_conn_id: the Airflow connection with the API token.
    :param poke_interval: seconds between two lists.
    :raises WorkatoConfigurationError: if an argument is none of these.
    """

    #: Airflow hands an event over about a second after it was fired. What was told is noted only after
    #: that: a triggerer that dies in between tells it twice, rather than never.
    NOTE_AFTER = 3.0

    def __init__(
        self,
        *,
        connection_id: int | str | None = None,
        external_id: str | None = None,
        folder_id: int | str | None = None,
        provider: str | None = None,
        changes: Sequence[str] = CHANGES,
        workato_conn_id: str = "workato_default",
        poke_interval: float = 60.0,
    ) -> None:
        # The whole list is fetched, so that all watches of a workspace share it.
        super().__init__(workato_conn_id=workato_conn_id, poke_interval=poke_interval)
        self.changes = [str(change) for change in changes]
        if not self.changes or not set(self.changes) <= set(CHANGES):
            raise WorkatoConfigurationError(f"changes must be some of {', '.join(CHANGES)}.")
        wanted = {
            "id": to_optional_id(connection_id, what="connection_id"),
            "external_id": external_id,
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
        :raises WorkatoError: one that no later poll can cure.
        """
        started = time.time()
        told = await self._noted()
        try:
            async for item in shared_stream:
                if not isinstance(item, Snapshot) or item.moment < started:
                    continue
                now = self._marks(item)
                if told is None:
                    told = now
                    await self._note(told)
                    continue
                # One that the list misses may come back: a half-empty list must not make all of them news.
                now |= {number: mark for number, mark in told.items() if int(number) not in item.rows}
                fresh = {number: mark for number, mark in now.items() if told.get(number) != mark}
                for number in fresh:
                    row = item.rows[int(number)]
                    self.log.info("Connection %s: %s.", number, state_of(row).value)
                    yield TriggerEvent({"change": state_of(row).value, "connection": row})
                if now != told:
                    if fresh:
                        await asyncio.sleep(self.NOTE_AFTER)
                    told = now
                    await self._note(told)
        except Exception:
            # Airflow starts a failed watch again at once, for ever: not more often than it polls.
            self.log.exception("Watching the connections failed.")
            await asyncio.sleep(self.poke_interval)
            raise

    def _marks(self, snapshot: Snapshot) -> Marks:
        marks: Marks = {}
        for number, row in snapshot.rows.items():
            if all(row.get(name) == value for name, value in self._wanted.items()):
                state = state_of(row)
                if state.value in self.changes:
                    marks[str(number)] = _mark(row, state)
        return marks

    async def _noted(self) -> Marks | None:
        store = getattr(self, "asset_state_store", None)
        if store is None:
            return None
        try:
            marks = await store.aget(self._note_key)
        except Exception:
            self.log.exception("The asset state store cannot be read; watching from here on.")
            return None
        return marks if isinstance(marks, dict) else None

    async def _note(self, marks: Marks) -> None:
        store = getattr(self, "asset_state_store", None)
        if store is None:
            return
        try:
            await store.aset(self._note_key, marks)
        except Exception:
            self.log.exception("The asset state store cannot be written; a restart may miss a change.")

    @property
    def _note_key(self) -> str:
        watch = json.dumps(self.serialize()[1], sort_keys=True)
        return f"workato_{hashlib.sha256(watch.encode()).hexdigest()[:16]}"


def _mark(row: Connection, state: State) -> str:
    return f"{state.value} {row.get('connection_lost_at')}" if state is State.LOST else state.value
