"""The routes for the workspace, its folders and its connectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Path, Query

from airflow_provider_workato.sandbox.sandbox import TheSandbox
from airflow_provider_workato.sandbox.traffic.operations import Operation
from airflow_provider_workato.sandbox.workspace import bodies
from airflow_provider_workato.sandbox.workspace.connection import timestamp
from airflow_provider_workato.sandbox.workspace.connectors import CONNECTORS
from airflow_provider_workato.sandbox.workspace.folders import ROOT_FOLDER_ID
from airflow_provider_workato.sandbox.workspace.providers import OAUTH_PROVIDERS, provider_title

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
