"""The folders and projects of the workspace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from airflow_provider_workato.sandbox.bodies import not_found

ROOT_FOLDER_ID = 10294

_CREATED_AT = "2015-05-26T15:53:52.532-07:00"


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder. A project is a folder directly below the root folder.

    :param project_id: the project that the folder is or belongs to, None for the root folder.
    :param description: what a project is for.
    """

    id: int
    name: str
    parent_id: int | None
    project_id: int | None
    description: str | None = None
    created_at: str = _CREATED_AT
    updated_at: str = _CREATED_AT

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
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }

    def project_body(self) -> dict[str, Any]:
        """Return the project as the API shows it."""
        return {
            "id": self.project_id,
            "description": self.description,
            "folder_id": self.id,
            "name": self.name,
        }


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
        self._by_id: dict[int, Folder] = {}
        self._last_id = 0
        self._last_project_id = 0
        self.add(FOLDERS)

    def __iter__(self) -> Iterator[Folder]:
        return iter(self._by_id.values())

    def find(self, folder_id: int) -> Folder | None:
        """Return a folder, or None.

        :param folder_id: the folder.
        """
        return self._by_id.get(folder_id)

    def get(self, folder_id: int) -> Folder:
        """Return a folder.

        :param folder_id: the folder.
        :raises Refused: with 404 if there is no such folder.
        """
        folder = self.find(folder_id)
        if folder is None:
            raise not_found()
        return folder

    def add(self, folders: Iterable[Folder]) -> None:
        """Add folders. A folder with the same id is replaced.

        :param folders: the folders.
        """
        for folder in folders:
            self._by_id[folder.id] = folder
            self._last_id = max(self._last_id, folder.id)
            self._last_project_id = max(self._last_project_id, folder.project_id or 0)

    def remove(self, folders: Iterable[Folder]) -> None:
        """Remove folders.

        :param folders: the folders.
        """
        for folder in folders:
            del self._by_id[folder.id]

    def take_id(self) -> int:
        """Return an id that no folder has or had."""
        self._last_id += 1
        return self._last_id

    def take_project_id(self) -> int:
        """Return an id that no project has or had."""
        self._last_project_id += 1
        return self._last_project_id

    def below(self, parent_id: int, *, nested: bool = False) -> list[Folder]:
        """Return the folders directly below another.

        :param parent_id: the other folder.
        :param nested: return those on all levels below it.
        :raises Refused: with 404 if there is no such folder.
        """
        self.get(parent_id)
        found = [folder for folder in self if folder.parent_id == parent_id]
        if nested:
            found += [below for folder in found[:] for below in self.below(folder.id, nested=True)]
        return found

    def projects(self) -> list[Folder]:
        """Return the projects."""
        return [folder for folder in self if folder.is_project]

    def project(self, project_id: int) -> Folder:
        """Return the folder of a project.

        :param project_id: the project.
        :raises Refused: with 404 if there is no such project.
        """
        for folder in self.projects():
            if folder.project_id == project_id:
                return folder
        raise not_found()
