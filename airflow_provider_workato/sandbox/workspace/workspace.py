"""The workspace's state: its connections and folders."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_workato.sandbox.workspace import seeds
from airflow_provider_workato.sandbox.workspace.bodies import ListFilter
from airflow_provider_workato.sandbox.workspace.changes import ChangeLog
from airflow_provider_workato.sandbox.workspace.connection import StoredConnection
from airflow_provider_workato.sandbox.workspace.folders import Folder, Folders
from airflow_provider_workato.sandbox.workspace.lists import ListCache
from airflow_provider_workato.sandbox.workspace.refusals import not_found


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
        self._lists = ListCache()
        self._next_id = seeds.FIRST_NEW_ID
        for connection in seeds.initial_connections():
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
        return self._lists.json(wanted, self.connections.values())

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

    def _record(self, connection_id: int, connection: StoredConnection | None) -> None:
        self._lists.clear()
        self.changes.record(connection_id, connection)
