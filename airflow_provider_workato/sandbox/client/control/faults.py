"""Add faults, and release the calls that they hold."""

from __future__ import annotations

from typing import Any

from airflow_provider_workato.sandbox.client.control.caller import ControlCaller
from airflow_provider_workato.sandbox.client.waiting import wait_until


class FaultControl(ControlCaller):
    """Add faults, and release the calls that they hold."""

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
        :param times: number of calls it happens to, None for no limit.
        :param skip: number of calls that pass before.
        :param performed: whether the call is carried out, None for the fault's default.
        :param parameters: the fault's parameters.
        """
        body = {"fault": fault, "operation": operation, "times": times, "skip": skip, "performed": performed}
        return self.call("POST", "faults", json={**body, **parameters})

    def faults(self) -> list[dict[str, Any]]:
        """Return the active fault rules."""
        rules: list[dict[str, Any]] = self.call("GET", "faults")["rules"]
        return rules

    def clear_faults(self) -> None:
        """Remove all fault rules. Held calls stay held."""
        self.call("DELETE", "faults")

    def held(self) -> list[dict[str, Any]]:
        """Return the held calls."""
        rows: list[dict[str, Any]] = self.call("GET", "held")["held"]
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
        """Release the held calls and return their number."""
        released: int = self.call("POST", "release")["released"]
        return released
