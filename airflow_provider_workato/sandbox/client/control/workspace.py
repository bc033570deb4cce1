"""See and change the workspace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from airflow_provider_workato.sandbox.client.control.caller import ControlCaller


class WorkspaceControl(ControlCaller):
    """See and change the workspace's connections and folders."""

    def state(self, *, connections: bool = True) -> dict[str, Any]:
        """Return ``counts``, ``folders`` and ``connections``.

        :param connections: False leaves the connections out.
        """
        return self.call("GET", "state", params={"connections": str(connections).lower()})

    def connections(self) -> list[dict[str, Any]]:
        """Return every connection, runtime user connections included, oldest first."""
        rows: list[dict[str, Any]] = self.state()["connections"]
        return rows

    def connection(self, connection_id: int) -> dict[str, Any]:
        """Return one connection.

        :param connection_id: the connection.
        """
        return next(row for row in self.connections() if row["id"] == connection_id)

    def seed(
        self, connections: Sequence[Mapping[str, Any]] = (), *, count: int = 0, **like: Any
    ) -> list[int]:
        """Add connections and return their ids.

        :param connections: connections to add as they are.
        :param count: number of similar connections to add.
        :param like: the fields these have in common; ``folders`` adds folders.
        """
        body = {"connections": [dict(row) for row in connections], "count": count, **like}
        ids: list[int] = self.call("POST", "seed", json=body)["ids"]
        return ids

    def authorize(self, connection_id: int) -> dict[str, Any]:
        """Authorize a connection, as a person would.

        :param connection_id: the connection.
        """
        return self.call("POST", f"connections/{connection_id}/authorize")

    def authorize_all(self, connection_ids: Sequence[int] | None = None) -> list[int]:
        """Authorize many connections at the same instant and return their ids.

        :param connection_ids: the connections, None for all without a status.
        """
        body = {"ids": None if connection_ids is None else list(connection_ids)}
        ids: list[int] = self.call("POST", "connections/authorize", json=body)["ids"]
        return ids

    def fail(
        self,
        connection_id: int,
        *,
        error: str = "Authorization failed",
        status: Literal["failed", "exception"] = "failed",
    ) -> dict[str, Any]:
        """Let an attempt to authorize fail.

        :param connection_id: the connection.
        :param error: the new ``authorization_error``.
        :param status: the new ``authorization_status``.
        """
        return self.call("POST", f"connections/{connection_id}/fail", json={"error": error, "status": status})

    def lose(
        self,
        connection_id: int,
        *,
        reason: str = "Account credentials refresh failed",
        status: Literal["failed", "exception"] | None = None,
    ) -> dict[str, Any]:
        """Lose a connection, as a refused token refresh does.

        :param connection_id: the connection.
        :param reason: the new ``connection_lost_reason``.
        :param status: the new ``authorization_status``, None to leave it.
        """
        return self.call(
            "POST", f"connections/{connection_id}/lose", json={"reason": reason, "status": status}
        )

    def delete(self, connection_id: int) -> None:
        """Delete a connection as a person would.

        :param connection_id: the connection.
        """
        self.call("POST", f"connections/{connection_id}/delete")

    def use(
        self, connection_id: int, *, active_recipes: int = 0, audit_log_streaming: bool = False
    ) -> dict[str, Any]:
        """Set what uses a connection. One in use cannot be deleted.

        :param connection_id: the connection.
        :param active_recipes: number of active recipes that use it.
        :param audit_log_streaming: whether audit log streaming uses it.
        """
        body = {"active_recipes": active_recipes, "audit_log_streaming": audit_log_streaming}
        return self.call("POST", f"connections/{connection_id}/use", json=body)
