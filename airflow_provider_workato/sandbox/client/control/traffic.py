"""Read the request log, and set quotas and tokens."""

from __future__ import annotations

from typing import Any, Literal

from airflow_provider_workato.sandbox.client.control.caller import ControlCaller


class TrafficControl(ControlCaller):
    """Read the request log and set the quotas."""

    def requests(self, *, operation: str | None = None, since: int = 0) -> list[dict[str, Any]]:
        """Return the logged API calls, oldest first.

        :param operation: only calls of this operation.
        :param since: only calls with a greater ``seq``.
        """
        params: dict[str, Any] = {"since": since}
        if operation is not None:
            params["operation"] = operation
        rows: list[dict[str, Any]] = self.call("GET", "requests", params=params)["requests"]
        return rows

    def counts(self) -> dict[str, Any]:
        """Return ``total``, ``by_operation``, ``by_status`` and ``too_many_requests``."""
        return self.call("GET", "requests/counts")

    def clear_requests(self) -> None:
        """Clear the request log."""
        self.call("DELETE", "requests")

    def changes(self, *, since: int = 0) -> list[dict[str, Any]]:
        """Return every state of every connection, oldest first, with the monotonic time it began.

        :param since: only changes with a greater ``seq``.
        """
        rows: list[dict[str, Any]] = self.call("GET", "changes", params={"since": since})["changes"]
        return rows

    def set_tokens(self, *tokens: str) -> None:
        """Accept these API tokens and no others.

        :param tokens: the tokens.
        """
        self.call("POST", "tokens", json={"accept": list(tokens)})

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
        return self.call("POST", "quota", json=body)
