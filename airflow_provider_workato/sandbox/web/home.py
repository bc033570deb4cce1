"""The page at the root: what is in the workspace, for a person who looks in with a browser."""

from __future__ import annotations

from html import escape

from fastapi import APIRouter, Response

from airflow_provider_workato.sandbox.sandbox import TheSandbox
from airflow_provider_workato.sandbox.web.pages import facts, page

router = APIRouter(include_in_schema=False)

_SHOWN = 100


@router.get("/")
async def home(sandbox: TheSandbox) -> Response:
    """Show the newest connections."""
    connections = sandbox.workspace.connections
    newest = [connections[connection_id] for connection_id in sorted(connections, reverse=True)[:_SHOWN]]
    rows = "".join(
        f"<tr><td>{row.id}</td><td>{escape(row.name)}</td><td>{escape(row.provider)}</td>"
        f"<td>{escape(row.authorization_status or 'not connected')}</td></tr>"
        for row in newest
    )
    table = f"<table><tr><th>Number<th>Name<th>App<th>Status</tr>{rows}</table>"
    counts = {"Connections": str(len(connections)), "Calls": str(sandbox.log.counts()["total"])}
    return page(title="Workspace", body=facts(counts) + table, width="56rem")
