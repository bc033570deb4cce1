"""The control API of a sandbox, as Python methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from airflow_provider_workato.sandbox.client.consent_form import click
from airflow_provider_workato.sandbox.client.waiting import wait_until


class _Control:
    """One caller of the control API, shared by the subjects below.

    :param url: the sandbox's URL.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def _call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        import requests

        response = requests.request(method, f"{self.url}/sandbox/{path}", timeout=60, **arguments)
        if not response.ok:
            raise RuntimeError(f"{method} /sandbox/{path}: {response.status_code} {response.text[:500]}")
        body: dict[str, Any] = response.json()
        return body


class WorkspaceControl(_Control):
    """See and change the workspace's connections and folders."""

    def state(self, *, connections: bool = True) -> dict[str, Any]:
        """Return ``counts``, ``folders`` and ``connections``.

        :param connections: False leaves the connections out.
        """
        return self._call("GET", "state", params={"connections": str(connections).lower()})

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
        ids: list[int] = self._call("POST", "seed", json=body)["ids"]
        return ids

    def authorize(self, connection_id: int) -> dict[str, Any]:
        """Authorize a connection, as a person would.

        :param connection_id: the connection.
        """
        return self._call("POST", f"connections/{connection_id}/authorize")

    def authorize_all(self, connection_ids: Sequence[int] | None = None) -> list[int]:
        """Authorize many connections at the same instant and return their ids.

        :param connection_ids: the connections, None for all without a status.
        """
        body = {"ids": None if connection_ids is None else list(connection_ids)}
        ids: list[int] = self._call("POST", "connections/authorize", json=body)["ids"]
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
        return self._call(
            "POST", f"connections/{connection_id}/fail", json={"error": error, "status": status}
        )

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
        return self._call(
            "POST", f"connections/{connection_id}/lose", json={"reason": reason, "status": status}
        )

    def delete(self, connection_id: int) -> None:
        """Delete a connection as a person would.

        :param connection_id: the connection.
        """
        self._call("POST", f"connections/{connection_id}/delete")

    def use(
        self, connection_id: int, *, active_recipes: int = 0, audit_log_streaming: bool = False
    ) -> dict[str, Any]:
        """Set what uses a connection. One in use cannot be deleted.

        :param connection_id: the connection.
        :param active_recipes: number of active recipes that use it.
        :param audit_log_streaming: whether audit log streaming uses it.
        """
        body = {"active_recipes": active_recipes, "audit_log_streaming": audit_log_streaming}
        return self._call("POST", f"connections/{connection_id}/use", json=body)


class TrafficControl(_Control):
    """Read the request log and set the quotas."""

    def requests(self, *, operation: str | None = None, since: int = 0) -> list[dict[str, Any]]:
        """Return the logged API calls, oldest first.

        :param operation: only calls of this operation.
        :param since: only calls with a greater ``seq``.
        """
        params: dict[str, Any] = {"since": since}
        if operation is not None:
            params["operation"] = operation
        rows: list[dict[str, Any]] = self._call("GET", "requests", params=params)["requests"]
        return rows

    def counts(self) -> dict[str, Any]:
        """Return ``total``, ``by_operation``, ``by_status`` and ``too_many_requests``."""
        return self._call("GET", "requests/counts")

    def clear_requests(self) -> None:
        """Clear the request log."""
        self._call("DELETE", "requests")

    def changes(self, *, since: int = 0) -> list[dict[str, Any]]:
        """Return every state that a connection has been in, oldest first, with the monotonic time it began.

        :param since: only changes with a greater ``seq``.
        """
        rows: list[dict[str, Any]] = self._call("GET", "changes", params={"since": since})["changes"]
        return rows

    def set_tokens(self, *tokens: str) -> None:
        """Accept these API tokens and no others.

        :param tokens: the tokens.
        """
        self._call("POST", "tokens", json={"accept": list(tokens)})

    def set_quota(
        self,
        *,
        list_per_minute: int | Literal["off"] | None = None,
        calls_per_second: int | Literal["off"] | None = None,
    ) -> dict[str, Any]:
        """Set the quotas and return them; None leaves a quota as it is.

        :param list_per_minute: list calls per minute.
        :param calls_per_second: all other connection calls per second.
        """
        body = {"list_per_minute": list_per_minute, "calls_per_second": calls_per_second}
        return self._call("POST", "quota", json=body)


class FaultControl(_Control):
    """Add faults, and release the calls that they hold back."""

    def add_fault(
        self,
        fault: str,
        *,
        operation: str = "*",
        times: int | None = 1,
        skip: int = 0,
        performed: bool | None = None,
        **parameters: Any,
    ) -> dict[str, Any]:
        """Add a fault rule and return it.

        :param fault: the fault's name.
        :param operation: the operation it applies to, ``*`` for all.
        :param times: how often it happens, None for no limit.
        :param skip: number of calls that pass before.
        :param performed: whether the call is carried out, None for the fault's default.
        :param parameters: the fault's parameters.
        """
        body = {"fault": fault, "operation": operation, "times": times, "skip": skip, "performed": performed}
        return self._call("POST", "faults", json={**body, **parameters})

    def faults(self) -> list[dict[str, Any]]:
        """Return the active fault rules."""
        rules: list[dict[str, Any]] = self._call("GET", "faults")["rules"]
        return rules

    def clear_faults(self) -> None:
        """Remove all fault rules. Held calls stay held."""
        self._call("DELETE", "faults")

    def held(self) -> list[dict[str, Any]]:
        """Return the held calls."""
        rows: list[dict[str, Any]] = self._call("GET", "held")["held"]
        return rows

    def wait_held(self, *, count: int = 1, deadline: float = 30.0) -> list[dict[str, Any]]:
        """Wait until calls are held, and return them.

        :param count: minimum number of calls.
        :param deadline: seconds after which to give up.
        :raises TimeoutError: if fewer calls are held at the deadline.
        """
        return wait_until(
            lambda: rows if len(rows := self.held()) >= count else [],
            deadline=deadline,
            what=f"the hold of {count} call(s)",
        )

    def release(self) -> int:
        """Let the held calls go on and return their number."""
        released: int = self._call("POST", "release")["released"]
        return released


class ConsentControl:
    """Click on the consent page."""

    def click_authorize(self, oauth_url: str) -> int:
        """Open a consent page, click Authorize and return the HTTP status of the response.

        :param oauth_url: the page's URL.
        """
        return click(oauth_url, label="Authorize")

    def click_deny(self, oauth_url: str) -> int:
        """Open a consent page, click Deny and return the HTTP status of the response.

        :param oauth_url: the page's URL.
        """
        return click(oauth_url, label="Deny")


class SandboxControl(WorkspaceControl, TrafficControl, FaultControl, ConsentControl):
    """The control API of a sandbox: workspace, traffic, faults and consent page.

    :param url: the sandbox's URL.
    """

    def reset(self) -> None:
        """Restore workspace, quotas, faults and request log to their state at start."""
        self._call("POST", "reset")
