"""The routes of the developer API: connections, and what the vendor's clients ask for beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from airflow_provider_workato.sandbox import bodies
from airflow_provider_workato.sandbox.connection import StoredConnection, timestamp
from airflow_provider_workato.sandbox.folders import ROOT_FOLDER_ID
from airflow_provider_workato.sandbox.providers import CONNECTORS, OAUTH_PROVIDERS, provider_title
from airflow_provider_workato.sandbox.sandbox import TheSandbox
from airflow_provider_workato.sandbox.traffic import Operation

router = APIRouter(prefix="/api")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """The part of a list that a request asks for.

    :param number: number of the page, from 1.
    :param size: number of items on a page.
    """

    number: int
    size: int

    def of(self, items: Sequence[T]) -> Sequence[T]:
        """Return the page of a list.

        :param items: the whole list.
        """
        return items[(self.number - 1) * self.size : self.number * self.size]


# A function, since older versions of FastAPI cannot read the annotations of a class.
def requested_page(
    page: Annotated[int, Query(ge=1)] = 1,
    per_page: Annotated[int, Query(ge=1, le=100)] = 100,
) -> Page:
    """Return the page that a request asks for.

    :param page: number of the page, from 1.
    :param per_page: number of items on a page.
    """
    return Page(page, per_page)


Id = Annotated[int, Path(ge=1)]
ThePage = Annotated[Page, Depends(requested_page)]


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
    connection_id: Id,
    redirect_url: bodies.WebUrl | None = None,
    callback_url: bodies.WebUrl | None = None,  # noqa: ARG001 - accepted and not called, see GUESSES.md
) -> dict[str, Any]:
    """Issue a new link to the consent page."""
    connection = sandbox.workspace.find(connection_id)
    if connection.provider not in OAUTH_PROVIDERS:
        raise bodies.not_found()
    return {"data": {"url": _consent_url(sandbox, request, connection=connection, redirect_url=redirect_url)}}


@router.put("/connections/{connection_id}", name=Operation.UPDATE_CONNECTION)
async def update_connection(
    sandbox: TheSandbox, connection_id: Id, wanted: bodies.UpdateConnection | None = None
) -> Response:
    """Update a connection."""
    return _shown(sandbox.calls.update(connection_id, wanted or bodies.UpdateConnection()))


@router.post("/connections/{connection_id}/disconnect", name=Operation.DISCONNECT_CONNECTION)
async def disconnect_connection(
    sandbox: TheSandbox, connection_id: Id, wanted: bodies.DisconnectConnection | None = None
) -> dict[str, Any]:
    """Disconnect a connection."""
    sandbox.calls.disconnect(connection_id, force=wanted is not None and wanted.force)
    return {"success": True, "status": "disconnected"}


@router.delete("/connections/{connection_id}", name=Operation.DELETE_CONNECTION)
async def delete_connection(sandbox: TheSandbox, connection_id: Id) -> dict[str, Any]:
    """Delete a connection."""
    sandbox.calls.delete(connection_id)
    return {"success": True, "status": "deleted"}


@router.post("/connections/{connection_id}/pick_list", name=Operation.GET_PICKLIST)
async def get_picklist(sandbox: TheSandbox, connection_id: Id, wanted: bodies.GetPicklist) -> dict[str, Any]:
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


@router.get("/users/me", name=Operation.GET_WORKSPACE)
async def get_workspace() -> dict[str, Any]:
    """Describe the workspace."""
    now = timestamp()
    return {
        "id": 17293,
        "name": "Sandbox workspace",
        "created_at": "2019-06-19T19:53:16.886-07:00",
        "plan_id": "sandbox",
        "current_billing_period_start": now,
        "current_billing_period_end": now,
        "recipes_count": 0,
        "active_recipes_count": 0,
        "company_name": None,
        "location": None,
        "email": "sandbox@example.com",
        "root_folder_id": ROOT_FOLDER_ID,
    }


@router.get("/folders", name=Operation.LIST_FOLDERS)
async def list_folders(
    sandbox: TheSandbox, page: ThePage, parent_id: int = ROOT_FOLDER_ID, *, with_nested_folders: bool = False
) -> list[dict[str, Any]]:
    """List the folders below a folder, by default the root folder: directly below it, or on all levels."""
    folders = sandbox.workspace.folders.below(parent_id, nested=with_nested_folders)
    return [folder.body() for folder in page.of(folders)]


@router.get("/folders/{folder_id}", name=Operation.GET_FOLDER)
async def get_folder(sandbox: TheSandbox, folder_id: Id) -> dict[str, Any]:
    """Return a folder."""
    return sandbox.workspace.folders.get(folder_id).body()


@router.post("/folders", name=Operation.CREATE_FOLDER)
async def create_folder(sandbox: TheSandbox, wanted: bodies.CreateFolder) -> dict[str, Any]:
    """Create a folder, or a project if it has no parent."""
    return sandbox.folder_calls.create(wanted).body()


@router.put("/folders/{folder_id}", name=Operation.UPDATE_FOLDER)
async def update_folder(sandbox: TheSandbox, folder_id: Id, wanted: bodies.UpdateFolder) -> dict[str, Any]:
    """Rename or move a folder."""
    return sandbox.folder_calls.update(folder_id, wanted).body()


@router.delete("/folders/{folder_id}", name=Operation.DELETE_FOLDER)
async def delete_folder(sandbox: TheSandbox, folder_id: Id, *, force: bool = False) -> dict[str, Any]:
    """Delete a folder."""
    sandbox.folder_calls.delete(folder_id, force=force)
    return {"success": True}


@router.get("/projects", name=Operation.LIST_PROJECTS)
async def list_projects(sandbox: TheSandbox, page: ThePage) -> list[dict[str, Any]]:
    """List the projects."""
    return [folder.project_body() for folder in page.of(sandbox.workspace.folders.projects())]


@router.put("/projects/{project_id}", name=Operation.UPDATE_PROJECT)
async def update_project(sandbox: TheSandbox, project_id: Id, wanted: bodies.UpdateProject) -> dict[str, Any]:
    """Rename or describe a project."""
    return sandbox.folder_calls.update_project(project_id, wanted).project_body()


@router.delete("/projects/{project_id}", name=Operation.DELETE_PROJECT)
async def delete_project(sandbox: TheSandbox, project_id: Id) -> dict[str, Any]:
    """Delete a project with all that is in it."""
    sandbox.folder_calls.delete_project(project_id)
    return {"success": True}


@router.get("/export_manifests/folder_assets", name=Operation.LIST_FOLDER_ASSETS)
async def list_folder_assets() -> dict[str, Any]:
    """Return an empty list, so that ``workato pull`` finds an empty project."""
    return {"result": {"assets": []}}


@router.get("/integrations/all", name=Operation.LIST_CONNECTORS)
async def list_connectors(page: ThePage) -> dict[str, Any]:
    """List the connectors, without their triggers and actions."""
    items = [
        {
            "name": name,
            "title": provider_title(name),
            "categories": [],
            "oauth": name in OAUTH_PROVIDERS,
            "deprecated": False,
            "secondary": name.endswith("_secondary"),
            "triggers": [],
            "actions": [],
        }
        for name in page.of(sorted(CONNECTORS))
    ]
    return {"items": items, "count": len(CONNECTORS), "page": page.number, "per_page": page.size}


@router.get("/custom_connectors", name=Operation.LIST_CUSTOM_CONNECTORS)
async def list_custom_connectors() -> dict[str, Any]:
    """Return an empty list: the sandbox has no custom connectors."""
    return {"result": []}


@router.get("/recipes", name=Operation.LIST_RECIPES)
async def list_recipes() -> dict[str, Any]:
    """Return an empty list: the sandbox has no recipes."""
    return {"items": []}
