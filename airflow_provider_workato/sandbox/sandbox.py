"""The state of a running sandbox."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from airflow_provider_workato.sandbox.calls import ApiCalls, FolderCalls
from airflow_provider_workato.sandbox.exchange import Holds
from airflow_provider_workato.sandbox.external_changes import ConsentLinks, ExternalChanges
from airflow_provider_workato.sandbox.faults import FaultRules
from airflow_provider_workato.sandbox.traffic import QuotaGuard, QuotaLimits, RequestLog
from airflow_provider_workato.sandbox.workspace import Workspace


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
