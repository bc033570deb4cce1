"""The history of every connection."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from airflow_provider_workato.sandbox.workspace.connection import StoredConnection

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
