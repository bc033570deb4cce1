"""Changes that do not come through the API: people authorize connections, apps lose them, tests seed them.

People who have a link of :class:`ConsentLinks` do so on the consent page.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from airflow_provider_workato.sandbox.connection import StoredConnection, timestamp
from airflow_provider_workato.sandbox.workspace import Workspace


class ExternalChanges:
    """What people, apps and tests change.

    :param workspace: the workspace to change.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def authorize(self, connection_id: int) -> StoredConnection:
        """Authorize a connection, as a person would.

        :param connection_id: the connection.
        """
        return self._settle(connection_id, status="success", error=None)

    def fail(self, connection_id: int, *, status: str, error: str) -> StoredConnection:
        """Let an attempt to authorize fail.

        :param connection_id: the connection.
        :param status: ``failed`` or ``exception``.
        :param error: the new ``authorization_error``.
        """
        return self._settle(connection_id, status=status, error=error)

    def _settle(self, connection_id: int, *, status: str, error: str | None) -> StoredConnection:
        connection = self._workspace.find(connection_id)
        connection.set_status(status, error=error)
        self._workspace.changed(connection)
        return connection

    def lose(self, connection_id: int, *, reason: str, status: str | None) -> StoredConnection:
        """Lose a connection, as a refused token refresh does.

        :param connection_id: the connection.
        :param reason: the new ``connection_lost_reason``.
        :param status: the new ``authorization_status``, None to leave it.
        """
        connection = self._workspace.find(connection_id)
        connection.connection_lost_at = timestamp()
        connection.connection_lost_reason = reason
        if status is not None:
            connection.authorization_status = status
            connection.authorization_error = reason
        self._workspace.changed(connection)
        return connection

    def use(self, connection_id: int, *, active_recipes: int, audit_log_streaming: bool) -> StoredConnection:
        """Set what uses a connection. One in use cannot be deleted.

        :param connection_id: the connection.
        :param active_recipes: number of active recipes that use it.
        :param audit_log_streaming: whether audit log streaming uses it.
        """
        connection = self._workspace.find(connection_id)
        connection.active_recipes = active_recipes
        connection.audit_log_streaming = audit_log_streaming
        return connection

    def seed(self, rows: Iterable[dict[str, Any]]) -> list[int]:
        """Add connections in any state and return their ids. A connection with the same id is replaced.

        :param rows: fields of :class:`StoredConnection`.
        """
        rows = list(rows)
        # Reserve the given ids first, or a row without an id could take the id of another row.
        for row in rows:
            if row.get("id") is not None:
                self._workspace.reserve_id(row["id"])
        return [self._seed(row) for row in rows]

    def _seed(self, row: dict[str, Any]) -> int:
        fields = {**row, "id": row.get("id") or self._workspace.take_id()}
        if fields["authorization_status"] == "success" and fields["authorized_at"] is None:
            fields["authorized_at"] = timestamp()
        return self._workspace.add(StoredConnection(**fields)).id


@dataclass(slots=True, kw_only=True)
class ConsentLink:
    """A link to the consent page. It works once."""

    connection_id: int
    redirect_url: str | None
    outcome: str | None = None


class ConsentLinks:
    """The issued links, by the random ``state`` in their URL."""

    def __init__(self) -> None:
        self._by_state: dict[str, ConsentLink] = {}

    def issue(self, *, connection_id: int, redirect_url: str | None) -> str:
        """Issue a link and return its state.

        :param connection_id: the connection to be authorized.
        :param redirect_url: the URL to which the person is sent afterwards, if any.
        """
        state = secrets.token_urlsafe(24)
        self._by_state[state] = ConsentLink(connection_id=connection_id, redirect_url=redirect_url)
        return state

    def find(self, state: str) -> ConsentLink | None:
        """Return the link with this state, or None.

        :param state: the state from the page's URL.
        """
        return self._by_state.get(state)

    def clear(self) -> None:
        """Invalidate every link."""
        self._by_state.clear()
