"""Lists of connections as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from airflow_provider_workato.sandbox.workspace.bodies import ListFilter
from airflow_provider_workato.sandbox.workspace.connection import StoredConnection

# Enough for the different lists that a fleet of waiting clients asks for.
_MAX_CACHED = 16

_EXACT_FILTERS = ("folder_id", "project_id", "parent_id", "external_id", "provider")


class ListCache:
    """Lists of connections as JSON, by filter. Clear it whenever a connection changes."""

    def __init__(self) -> None:
        self._lists: dict[ListFilter, bytes] = {}

    def clear(self) -> None:
        """Drop every list."""
        self._lists.clear()

    def json(self, wanted: ListFilter, connections: Iterable[StoredConnection]) -> bytes:
        """Return the matching connections as a JSON array, newest id first.

        :param wanted: the filter.
        :param connections: all connections, read only if the list is not cached.
        """
        if wanted not in self._lists:
            if len(self._lists) >= _MAX_CACHED:
                self.clear()
            matching = sorted(filter(_matcher(wanted), connections), key=lambda row: row.id, reverse=True)
            rows = (connection.json(with_tags=wanted.with_tags) for connection in matching)
            self._lists[wanted] = b"[" + b",".join(rows) + b"]"
        return self._lists[wanted]


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
