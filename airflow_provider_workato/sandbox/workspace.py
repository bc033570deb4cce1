"""The workspace's state: its connections and folders, and the history of every connection."""

from __future__ import annotations

import itertools
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from airflow_provider_workato.sandbox.bodies import ListFilter, not_found
from airflow_provider_workato.sandbox.connection import StoredConnection
from airflow_provider_workato.sandbox.folders import Folder, Folders

# The fields that identify a connection, and those that a wait reads.
_RECORDED = (
    "name",
    "provider",
    "folder_id",
    "project_id",
    "parent_id",
    "external_id",
    "authorization_status",
    "authorized_at",
    "connection_lost_at",
)
_KEPT = 100_000

# Enough for the different lists that a fleet of waiting clients asks for.
_MAX_CACHED = 16

_EXACT_FILTERS = ("folder_id", "project_id", "parent_id", "external_id", "provider")

# Above all ids at start.
_FIRST_NEW_ID = 18009027


class ChangeLog:
    """The states of connections, oldest first."""

    def __init__(self) -> None:
        self._changes: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._numbers = itertools.count(1)

    def record(self, connection_id: int, connection: StoredConnection | None = None) -> None:
        """Record the state of a connection.

        :param connection_id: the connection's id.
        :param connection: the connection, None if it was deleted.
        """
        state = None if connection is None else {key: getattr(connection, key) for key in _RECORDED}
        self._changes.append(
            {"seq": next(self._numbers), "at": time.monotonic(), "id": connection_id, "connection": state}
        )

    def entries(self, *, since: int) -> Iterator[dict[str, Any]]:
        """Return the changes, oldest first.

        :param since: only changes with a greater ``seq``.
        """
        return (change for change in self._changes if change["seq"] > since)


class Workspace:
    """Connections and folders. Every change to a connection goes through here, so that no list is stale."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Restore the state at start."""
        self.folders = Folders()
        self.connections: dict[int, StoredConnection] = {}
        self.created = 0
        self.changes = ChangeLog()
        self._lists: dict[ListFilter, bytes] = {}
        self._next_id = _FIRST_NEW_ID
        for connection in _initial_connections():
            self.add(connection)

    def find(self, connection_id: int) -> StoredConnection:
        """Return a connection.

        :param connection_id: the connection.
        :raises Refused: with 404 if there is no such connection.
        """
        try:
            return self.connections[connection_id]
        except KeyError:
            raise not_found() from None

    def list_json(self, wanted: ListFilter) -> bytes:
        """Return the matching connections as a JSON array, newest id first.

        :param wanted: the filter.
        """
        if wanted not in self._lists:
            if len(self._lists) >= _MAX_CACHED:
                self._lists.clear()
            matching = filter(_matcher(wanted), self.connections.values())
            newest_first = sorted(matching, key=lambda connection: connection.id, reverse=True)
            rows = (connection.json(with_tags=wanted.with_tags) for connection in newest_first)
            self._lists[wanted] = b"[" + b",".join(rows) + b"]"
        return self._lists[wanted]

    def add(self, connection: StoredConnection) -> StoredConnection:
        """Add a connection and return it.

        :param connection: the connection.
        """
        self.place(connection, folder_id=connection.folder_id)
        self.connections[connection.id] = connection
        self._record(connection.id, connection)
        return connection

    def remove(self, connection_id: int) -> None:
        """Remove a connection.

        :param connection_id: the connection.
        """
        del self.connections[connection_id]
        self._record(connection_id, None)

    def changed(self, connection: StoredConnection) -> None:
        """Record that a connection changed.

        :param connection: the connection.
        """
        connection.touch()
        self._record(connection.id, connection)

    def place(self, connection: StoredConnection, *, folder_id: int) -> None:
        """Put a connection into a folder and its project.

        :param connection: the connection.
        :param folder_id: the folder.
        """
        folder = self.folders.find(folder_id)
        connection.folder_id = folder_id
        connection.project_id = folder.project_id if folder else None

    def connections_in(self, folders: Iterable[Folder]) -> list[StoredConnection]:
        """Return the connections directly in these folders.

        :param folders: the folders.
        """
        ids = {folder.id for folder in folders}
        return [connection for connection in self.connections.values() if connection.folder_id in ids]

    def take_id(self) -> int:
        """Return an id that no connection has or had."""
        taken = self._next_id
        self._next_id += 1
        return taken

    def reserve_id(self, connection_id: int) -> None:
        """Keep an id, and those below it, from being taken.

        :param connection_id: the id.
        """
        self._next_id = max(self._next_id, connection_id + 1)

    def describe(self, *, with_connections: bool) -> dict[str, Any]:
        """Return counts, folders and connections. The workspace holds no credentials, so nothing is left out.

        :param with_connections: False leaves out the connections, which may be many.
        """
        connections = self.connections.values()
        by_status = Counter(str(connection.authorization_status) for connection in connections)
        described: dict[str, Any] = {
            "counts": {
                "connections": len(connections),
                "by_status": dict(by_status),
                "created": self.created,
            },
            "folders": [asdict(folder) for folder in self.folders],
        }
        if with_connections:
            described["connections"] = [connection.describe() for connection in connections]
        return described

    def _record(self, connection_id: int, connection: StoredConnection | None) -> None:
        self._lists.clear()
        self.changes.record(connection_id, connection)


def _initial_connections() -> Iterator[StoredConnection]:
    """Return the connections at start: one established OAuth connection that can be a parent."""
    stamp = "2015-05-26T15:53:52.532-07:00"
    yield StoredConnection(
        id=36,
        name="ACME Production Salesforce connection",
        provider="salesforce",
        folder_id=4515,
        project_id=302,
        authorized_at=stamp,
        authorization_status="success",
        created_at=stamp,
        updated_at=stamp,
        tags=["tag-ANgeffPL-3gxQwA"],
    )


def _matcher(wanted: ListFilter) -> Callable[[StoredConnection], bool]:
    exact = {key: value for key in _EXACT_FILTERS if (value := getattr(wanted, key)) is not None}
    after = wanted.updated_after
    if after is not None and after.tzinfo is None:
        after = after.replace(tzinfo=UTC)

    def matches(connection: StoredConnection) -> bool:
        if connection.is_runtime_user and not wanted.with_runtime_users:
            return False
        if any(getattr(connection, key) != value for key, value in exact.items()):
            return False
        return after is None or datetime.fromisoformat(connection.updated_at) > after

    return matches
