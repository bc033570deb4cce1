"""The buttons of the pages: change a connection as a person or an app would."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import RedirectResponse

from airflow_provider_workato.sandbox.sandbox import TheSandbox
from airflow_provider_workato.sandbox.web.control_bodies import FailConnection, LoseConnection
from airflow_provider_workato.sandbox.web.pages import page
from airflow_provider_workato.sandbox.workspace.refusals import Refused

router = APIRouter(include_in_schema=False, prefix="/connections/{connection_id:int}")

# Only the name of a page, not a URL, or any site could use the sandbox for redirects.
Origin = Annotated[Literal["workspace", "connection"], Query(alias="from")]

# Relative, so that it also works behind a proxy that serves the sandbox below another path.
_HOME = "../../"


@router.post("/authorize")
async def authorize(sandbox: TheSandbox, connection_id: int, origin: Origin = "workspace") -> Response:
    """Authorize a connection, as a person would."""
    if connection_id in sandbox.workspace.connections:
        sandbox.external_changes.authorize(connection_id)
    return _back(connection_id, origin)


@router.post("/fail")
async def fail(sandbox: TheSandbox, connection_id: int, origin: Origin = "workspace") -> Response:
    """Let an attempt to authorize fail."""
    how = FailConnection()
    if connection_id in sandbox.workspace.connections:
        sandbox.external_changes.fail(connection_id, status=how.status, error=how.error)
    return _back(connection_id, origin)


@router.post("/lose")
async def lose(sandbox: TheSandbox, connection_id: int, origin: Origin = "workspace") -> Response:
    """Lose a connection, as a refused token refresh does."""
    how = LoseConnection()
    if connection_id in sandbox.workspace.connections:
        sandbox.external_changes.lose(connection_id, status=how.status, reason=how.reason)
    return _back(connection_id, origin)


@router.post("/delete")
async def delete(sandbox: TheSandbox, connection_id: int) -> Response:
    """Delete a connection, unless something uses it."""
    try:
        if connection_id in sandbox.workspace.connections:
            sandbox.calls.delete(connection_id)
    except Refused as refused:
        return page("notice.html", title="Not deleted", text=f"{refused}.", home=_HOME, status=409)
    return _back(connection_id, "workspace")


def _back(connection_id: int, origin: str) -> Response:
    path = f"../{connection_id}" if origin == "connection" else _HOME
    return RedirectResponse(path, status_code=303)
