"""The page at the root: the workspace for people with a browser."""

from __future__ import annotations

from fastapi import APIRouter, Response

from airflow_provider_workato.sandbox.sandbox import TheSandbox
from airflow_provider_workato.sandbox.web.pages import page

router = APIRouter(include_in_schema=False)

_MAX_SHOWN = 100


@router.get("/")
async def home(sandbox: TheSandbox) -> Response:
    """Show the newest connections."""
    connections = sandbox.workspace.connections
    newest = [connections[connection_id] for connection_id in sorted(connections, reverse=True)[:_MAX_SHOWN]]
    counts = {"Connections": len(connections), "Calls": sandbox.log.counts()["total"]}
    return page("home.html", title="Workspace", counts=counts, connections=newest)
