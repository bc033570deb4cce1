"""The routes for connections."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from airflow_provider_workato.sandbox.sandbox import TheSandbox
from airflow_provider_workato.sandbox.traffic.operations import Operation
from airflow_provider_workato.sandbox.workspace import bodies
from airflow_provider_workato.sandbox.workspace.connection import StoredConnection
from airflow_provider_workato.sandbox.workspace.providers import OAUTH_PROVIDERS
from airflow_provider_workato.sandbox.workspace.refusals import not_found

router = APIRouter(prefix="/api")

ConnectionId = Annotated[int, Path(ge=1)]


def _list_filter(
    *,
    folder_id: int | None = None,
    project_id: int | None = None,
    parent_id: int | None = None,
    external_id: str | None = None,
    provider: str | None = None,
    updated_after: datetime | None = None,
    include_runtime_connections: str | None = None,
    includes: Annotated[list[str] | None, Query(alias="includes[]")] = None,
) -> bodies.ListFilter:
    return bodies.ListFilter(
        folder_id=folder_id,
        project_id=project_id,
        parent_id=parent_id,
        external_id=external_id,
        provider=provider,
        updated_after=updated_after,
        with_runtime_users=include_runtime_connections == "true",
        with_tags="tags" in (includes or []),
    )


@router.get("/connections", name=Operation.LIST_CONNECTIONS)
async def list_connections(
    sandbox: TheSandbox, wanted: Annotated[bodies.ListFilter, Depends(_list_filter)]
) -> Response:
    """List connections."""
    return Response(sandbox.workspace.list_json(wanted), media_type="application/json")


@router.post("/connections", name=Operation.CREATE_CONNECTION)
async def create_connection(sandbox: TheSandbox, wanted: bodies.CreateConnection) -> Response:
    """Create a connection."""
    return _shown(sandbox.calls.create(wanted))


@router.post("/connections/runtime_user_connections", name=Operation.CREATE_RUNTIME_USER_CONNECTION)
async def create_runtime_user_connection(
    sandbox: TheSandbox, request: Request, wanted: bodies.CreateRuntimeUserConnection
) -> dict[str, Any]:
    """Create a runtime user connection and a link for its user."""
    connection = sandbox.calls.create_runtime_user(wanted)
    url = _consent_url(sandbox, request, connection=connection, redirect_url=wanted.redirect_url)
    return {"data": {"id": connection.id, "url": url}}


@router.get(
    "/connections/runtime_user_connections/{connection_id}/get_oauth_url", name=Operation.GET_OAUTH_URL
)
async def get_oauth_url(
    sandbox: TheSandbox,
    request: Request,
    connection_id: ConnectionId,
    redirect_url: bodies.WebUrl | None = None,
    callback_url: bodies.WebUrl | None = None,  # noqa: ARG001 - accepted and not called, see GUESSES.md
) -> dict[str, Any]:
    """Issue a new link to the consent page."""
    connection = sandbox.workspace.find(connection_id)
    if connection.provider not in OAUTH_PROVIDERS:
        raise not_found()
    return {"data": {"url": _consent_url(sandbox, request, connection=connection, redirect_url=redirect_url)}}


@router.put("/connections/{connection_id}", name=Operation.UPDATE_CONNECTION)
async def update_connection(
    sandbox: TheSandbox, connection_id: ConnectionId, wanted: bodies.UpdateConnection | None = None
) -> Response:
    """Update a connection."""
    return _shown(sandbox.calls.update(connection_id, wanted or bodies.UpdateConnection()))


@router.post("/connections/{connection_id}/disconnect", name=Operation.DISCONNECT_CONNECTION)
async def disconnect_connection(
    sandbox: TheSandbox, connection_id: ConnectionId, wanted: bodies.DisconnectConnection | None = None
) -> dict[str, Any]:
    """Disconnect a connection."""
    sandbox.calls.disconnect(connection_id, force=wanted is not None and wanted.force)
    return {"success": True, "status": "disconnected"}


@router.delete("/connections/{connection_id}", name=Operation.DELETE_CONNECTION)
async def delete_connection(sandbox: TheSandbox, connection_id: ConnectionId) -> dict[str, Any]:
    """Delete a connection."""
    sandbox.calls.delete(connection_id)
    return {"success": True, "status": "deleted"}


@router.post("/connections/{connection_id}/pick_list", name=Operation.GET_PICKLIST)
async def get_picklist(
    sandbox: TheSandbox, connection_id: ConnectionId, wanted: bodies.GetPicklist
) -> dict[str, Any]:
    """Return the rows of a picklist."""
    return {"data": sandbox.calls.picklist(connection_id, wanted)}


def _shown(connection: StoredConnection) -> Response:
    return Response(connection.json(with_tags=False), media_type="application/json")


def _consent_url(
    sandbox: TheSandbox, request: Request, *, connection: StoredConnection, redirect_url: str | None
) -> str:
    state = sandbox.consent_links.issue(connection_id=connection.id, redirect_url=redirect_url)
    address = request.url_for("consent_page").include_query_params(connection_id=connection.id, state=state)
    return str(address)
