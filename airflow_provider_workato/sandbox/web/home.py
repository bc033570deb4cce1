"""Pages for people with a browser: the workspace, and each of its connections."""

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


@router.get("/connections/{connection_id:int}")
async def connection_page(sandbox: TheSandbox, connection_id: int) -> Response:
    """Show a connection, at the path that it has in Workato's web application."""
    connection = sandbox.workspace.connections.get(connection_id)
    if connection is None:
        text = f"There is no connection {connection_id} in this workspace. It was deleted, or never there."
        return page("notice.html", title="Not found", text=text, status=404)
    folder = sandbox.workspace.folders.find(connection.folder_id)
    about = {
        "Number": connection.id,
        "App": connection.provider,
        "Status": connection.authorization_status or "not connected",
        "Error": connection.authorization_error,
        "Authorized at": connection.authorized_at,
        "Lost at": connection.connection_lost_at,
        "Lost because": connection.connection_lost_reason,
        "Folder": folder.name if folder else connection.folder_id,
        "Parent": connection.parent_id,
        "External id": connection.external_id,
        "Created at": connection.created_at,
        "Updated at": connection.updated_at,
    }
    return page("connection.html", title=connection.name, about=about)
