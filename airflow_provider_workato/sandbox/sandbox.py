"""The state of a running sandbox."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from airflow_provider_workato.sandbox.faults.holds import Holds
from airflow_provider_workato.sandbox.faults.rules import FaultRules
from airflow_provider_workato.sandbox.traffic.quota import QuotaGuard, QuotaLimits
from airflow_provider_workato.sandbox.traffic.request_log import RequestLog
from airflow_provider_workato.sandbox.workspace.calls import ApiCalls
from airflow_provider_workato.sandbox.workspace.consent_links import ConsentLinks
from airflow_provider_workato.sandbox.workspace.external_changes import ExternalChanges
from airflow_provider_workato.sandbox.workspace.folder_calls import FolderCalls
from airflow_provider_workato.sandbox.workspace.workspace import Workspace


class Sandbox:
    """The state of a sandbox. Only one event loop uses it, so it needs no locks.

    :param token: the API token that is accepted at start.
    :param limits: the limits at start.
    :param any_provider: accept every well-formed provider name, not only those of known connectors.
    """

    def __init__(self, *, token: str, limits: QuotaLimits, any_provider: bool = False) -> None:
        self._token = token
        self.tokens = {token}
        self.workspace = Workspace()
        self.calls = ApiCalls(self.workspace, any_provider=any_provider)
        self.folder_calls = FolderCalls(self.workspace)
        self.external_changes = ExternalChanges(self.workspace)
        self.consent_links = ConsentLinks()
        self.quota = QuotaGuard(limits)
        self.faults = FaultRules()
        self.holds = Holds()
        self.log = RequestLog()

    def reset(self) -> None:
        """Restore the state at start and release the held calls."""
        self.tokens = {self._token}
        self.workspace.reset()
        self.consent_links.clear()
        self.quota.reset()
        self.faults.clear()
        self.holds.release()
        self.log.clear()


def _sandbox_of(request: Request) -> Sandbox:
    sandbox: Sandbox = request.app.state.sandbox
    return sandbox


#: The sandbox that serves a request, for route handlers.
TheSandbox = Annotated[Sandbox, Depends(_sandbox_of)]
