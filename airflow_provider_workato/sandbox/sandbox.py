"""Everything a running sandbox holds, in one place."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from airflow_provider_workato.sandbox.faults import FaultRules
from airflow_provider_workato.sandbox.grants import Grants
from airflow_provider_workato.sandbox.holds import Holds
from airflow_provider_workato.sandbox.quota import Quota, QuotaGuard
from airflow_provider_workato.sandbox.recording import RequestLog
from airflow_provider_workato.sandbox.workspace import Workspace


class Sandbox:
    """
    The workspace and what surrounds it. One event loop uses it, so it needs no locks.

    :param token: the API token that is accepted at start
    :param quota: limits at start
    """

    def __init__(self, *, token: str, quota: Quota) -> None:
        self._token = token
        self.tokens = {token}
        self.workspace = Workspace()
        self.grants = Grants()
        self.quota = QuotaGuard(quota)
        self.faults = FaultRules()
        self.holds = Holds()
        self.log = RequestLog()

    def reset(self) -> None:
        """Put everything back to how it was at start, and let go of calls that are being held."""
        self.tokens = {self._token}
        self.workspace.reset()
        self.grants.clear()
        self.quota.reset()
        self.faults.clear()
        self.holds.release()
        self.log.clear()


def _sandbox_of(request: Request) -> Sandbox:
    sandbox: Sandbox = request.app.state.sandbox
    return sandbox


#: The sandbox that serves a request, for route handlers.
TheSandbox = Annotated[Sandbox, Depends(_sandbox_of)]
