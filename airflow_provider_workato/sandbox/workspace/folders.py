"""The folders and projects of the workspace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from airflow_provider_workato.sandbox.workspace.bodies import CreateFolder
from airflow_provider_workato.sandbox.workspace.refusals import invalid, not_found

ROOT_FOLDER_ID = 10294

_CREATED_AT = "2015-05-26T15:53:52.532-07:00"


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder. A project is a folder directly below the root folder.

    :param project_id: the project that the folder is or belongs to, None for the root folder.
    """

    id: int
    name: str
    parent_id: int | None
    project_id: int | None

    @property
    def is_project(self) -> bool:
        """Whether the folder is a project."""
        return self.parent_id == ROOT_FOLDER_ID and self.project_id is not None

    def body(self) -> dict[str, Any]:
        """Return the folder as the API shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "parent_id": self.parent_id,
            "is_project": self.is_project,
            "project_id": self.project_id,
            "created_at": _CREATED_AT,
            "updated_at": _CREATED_AT,
        }

    def project_body(self) -> dict[str, Any]:
        """Return the project as the API shows it."""
        return {"id": self.project_id, "description": None, "folder_id": self.id, "name": self.name}


#: The folders at start.
FOLDERS = (
    Folder(id=ROOT_FOLDER_ID, name="Home", parent_id=None, project_id=None),
    Folder(id=1892, name="Jira", parent_id=ROOT_FOLDER_ID, project_id=301),
    Folder(id=4515, name="Sales", parent_id=ROOT_FOLDER_ID, project_id=302),
    Folder(id=28940, name="Outreach", parent_id=4515, project_id=302),
    Folder(id=26204321, name="End users", parent_id=ROOT_FOLDER_ID, project_id=303),
)


class Folders:
    """The folders, by id."""

    def __init__(self) -> None:
        self._by_id = {folder.id: folder for folder in FOLDERS}

    def __iter__(self) -> Iterator[Folder]:
        return iter(self._by_id.values())

    def find(self, folder_id: int) -> Folder | None:
        """Return a folder, or None.

        :param folder_id: the folder.
        """
        return self._by_id.get(folder_id)

    def add(self, folders: Iterable[Folder]) -> None:
        """Add folders. A folder with the same id is replaced.

        :param folders: the folders.
        """
        self._by_id.update({folder.id: folder for folder in folders})

    def below(self, parent_id: int) -> list[Folder]:
        """Return the folders directly below another.

        :param parent_id: the other folder.
        :raises Refused: with 404 if there is no such folder.
        """
        if self.find(parent_id) is None:
            raise not_found()
        return [folder for folder in self if folder.parent_id == parent_id]

    def projects(self) -> list[Folder]:
        """Return the projects."""
        return [folder for folder in self if folder.is_project]

    def create(self, wanted: CreateFolder) -> Folder:
        """Create a folder, or a project if it has no parent.

        :param wanted: the request.
        :raises Refused: with 400 if there is no such parent.
        """
        parent = self.find(ROOT_FOLDER_ID if wanted.parent_id is None else wanted.parent_id)
        if parent is None:
            raise invalid({"parent_id": ["is not a folder of this workspace"]})
        project_id = parent.project_id
        if parent.id == ROOT_FOLDER_ID:
            project_id = max((folder.project_id or 0 for folder in self), default=0) + 1
        folder = Folder(id=max(self._by_id) + 1, name=wanted.name, parent_id=parent.id, project_id=project_id)
        self.add([folder])
        return folder
