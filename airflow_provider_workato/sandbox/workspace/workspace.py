"""The workspace's state: its connections and folders, and the lists made of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from airflow_provider_workato.sandbox.workspace import seeds
from airflow_provider_workato.sandbox.workspace.bodies import ListFilter
from airflow_provider_workato.sandbox.workspace.changes import ChangeLog
from airflow_provider_workato.sandbox.workspace.connection import StoredConnection
from airflow_provider_workato.sandbox.workspace.refusals import not_found

# Enough for the different lists that a fleet of waiting clients asks for.
_MAX_CACHED_LISTS = 16


class Workspace:
    """Connections and folders. Whatever changes a connection goes through here, so that no list is stale."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Restore the state at start."""
        self.folders = {folder.id: folder for folder in seeds.FOLDERS}
        self.connections = {connection.id: connection for connection in seeds.initial_connections()}
        self.created = 0
        self._next_id = seeds.FIRST_NEW_ID
        self._lists: dict[ListFilter, bytes] = {}
        self.changes = ChangeLog()
        for connection in self.connections.values():
            self.changes.record(connection.id, connection)

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
            if len(self._lists) >= _MAX_CACHED_LISTS:
                self._lists.clear()
            rows = (connection.json(with_tags=wanted.with_tags) for connection in self._select(wanted))
            self._lists[wanted] = b"[" + b",".join(rows) + b"]"
        return self._lists[wanted]

    def _select(self, wanted: ListFilter) -> Iterator[StoredConnection]:
        exact = {
            key: value
            for key in ("folder_id", "project_id", "parent_id", "external_id", "provider")
            if (value := getattr(wanted, key)) is not None
        }
        after = wanted.updated_after
        if after is not None and after.tzinfo is None:
            after = after.replace(tzinfo=UTC)
        for connection_id in sorted(self.connections, reverse=True):
            connection = self.connections[connection_id]
            if connection.is_runtime_user and not wanted.with_runtime_users:
                continue
            if any(getattr(connection, key) != value for key, value in exact.items()):
                continue
            if after is not None and datetime.fromisoformat(connection.updated_at) <= after:
                continue
            yield connection

    def summary(self, *, with_connections: bool) -> dict[str, Any]:
        """Describe the whole workspace. It holds no credentials, so nothing is left out.

        :param with_connections: False leaves out the connections, which may be many.
        """
        by_status: dict[str, int] = {}
        for connection in self.connections.values():
            key = str(connection.authorization_status)
            by_status[key] = by_status.get(key, 0) + 1
        result: dict[str, Any] = {
            "counts": {"connections": len(self.connections), "by_status": by_status, "created": self.created},
            "folders": [asdict(folder) for folder in self.folders.values()],
        }
        if with_connections:
            result["connections"] = [connection.describe() for connection in self.connections.values()]
        return result

    def add(self, connection: StoredConnection) -> StoredConnection:
        """Add a connection and return it.

        :param connection: the connection.
        """
        self.place(connection, folder_id=connection.folder_id)
        self.connections[connection.id] = connection
        self._lists.clear()
        self.changes.record(connection.id, connection)
        return connection

    def remove(self, connection_id: int) -> None:
        """Remove a connection.

        :param connection_id: the connection.
        """
        del self.connections[connection_id]
        self._lists.clear()
        self.changes.record(connection_id)

    def place(self, connection: StoredConnection, *, folder_id: int) -> None:
        """Put a connection into a folder and its project.

        :param connection: the connection.
        :param folder_id: the folder.
        """
        folder = self.folders.get(folder_id)
        connection.folder_id = folder_id
        connection.project_id = folder.project_id if folder else None

    def changed(self, connection: StoredConnection) -> None:
        """Record that a connection changed.

        :param connection: the connection.
        """
        connection.touch()
        self._lists.clear()
        self.changes.record(connection.id, connection)

    def take_id(self) -> int:
        """Return an id that no connection has or had."""
        taken = self._next_id
        self._next_id += 1
        return taken

    def skip_id(self, connection_id: int) -> None:
        """Keep an id, and those below it, from being taken.

        :param connection_id: the id.
        """
        self._next_id = max(self._next_id, connection_id + 1)
