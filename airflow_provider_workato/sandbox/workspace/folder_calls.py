"""What the endpoints of folders and projects do to the workspace."""

from __future__ import annotations

from dataclasses import replace

from airflow_provider_workato.sandbox.workspace.bodies import CreateFolder, UpdateFolder, UpdateProject
from airflow_provider_workato.sandbox.workspace.connection import timestamp
from airflow_provider_workato.sandbox.workspace.folders import ROOT_FOLDER_ID, Folder
from airflow_provider_workato.sandbox.workspace.refusals import forbidden, invalid
from airflow_provider_workato.sandbox.workspace.workspace import Workspace


class FolderCalls:
    """The rules of the calls. Each raises :class:`Refused` for what the API refuses.

    :param workspace: the workspace they read and change.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def create(self, wanted: CreateFolder) -> Folder:
        """Create a folder, or a project if it has no parent.

        :param wanted: the request.
        """
        folders = self._workspace.folders
        parent = folders.find(ROOT_FOLDER_ID if wanted.parent_id is None else wanted.parent_id)
        if parent is None:
            raise invalid({"parent_id": ["is not a folder of this workspace"]})
        now = timestamp()
        folder = Folder(
            id=folders.take_id(),
            name=wanted.name,
            parent_id=parent.id,
            project_id=folders.take_project_id() if parent.id == ROOT_FOLDER_ID else parent.project_id,
            created_at=now,
            updated_at=now,
        )
        folders.add([folder])
        return folder

    def update(self, folder_id: int, wanted: UpdateFolder) -> Folder:
        """Rename or move a folder. What is in it moves along, also to another project.

        :param folder_id: the folder.
        :param wanted: the request.
        """
        folders = self._workspace.folders
        folder = _ordinary(folders.get(folder_id), refusal="Cannot update folder")
        parent_id = folder.parent_id if wanted.parent_id is None else wanted.parent_id
        parent = None if parent_id is None else folders.find(parent_id)
        if parent is None or parent.project_id is None:
            raise invalid({"parent_id": ["is not a project or folder of this workspace"]})
        inside = self._with_contents(folder)
        if parent in inside:
            raise invalid({"parent_id": ["is in the folder itself"]})
        changed = replace(
            folder, name=wanted.name or folder.name, parent_id=parent.id, updated_at=timestamp()
        )
        folders.add(replace(each, project_id=parent.project_id) for each in (changed, *inside[1:]))
        if parent.project_id != folder.project_id:
            for connection in self._workspace.connections_in(inside):
                self._workspace.place(connection, folder_id=connection.folder_id)
                self._workspace.changed(connection)
        return folders.get(folder_id)

    def delete(self, folder_id: int, *, force: bool) -> None:
        """Delete a folder.

        :param folder_id: the folder.
        :param force: delete what is in it, too.
        """
        folder = _ordinary(self._workspace.folders.get(folder_id), refusal="Cannot destroy folder")
        self._delete(folder, force=force)

    def update_project(self, project_id: int, wanted: UpdateProject) -> Folder:
        """Rename or describe a project.

        :param project_id: the project.
        :param wanted: the request.
        """
        project = self._workspace.folders.project(project_id)
        changes = wanted.model_dump(exclude_unset=True)
        changed = replace(project, **{**changes, "name": wanted.name or project.name}, updated_at=timestamp())
        self._workspace.folders.add([changed])
        return changed

    def delete_project(self, project_id: int) -> None:
        """Delete a project with all that is in it.

        :param project_id: the project.
        """
        self._delete(self._workspace.folders.project(project_id), force=True)

    def _delete(self, folder: Folder, *, force: bool) -> None:
        folders = self._with_contents(folder)
        connections = self._workspace.connections_in(folders)
        if (len(folders) > 1 or connections) and not force:
            raise forbidden("Cannot destroy folder")
        if any(connection.is_in_use for connection in connections):
            raise forbidden("Cannot destroy folder")
        for connection in connections:
            self._workspace.remove(connection.id)
        self._workspace.folders.remove(folders)

    def _with_contents(self, folder: Folder) -> list[Folder]:
        return [folder, *self._workspace.folders.below(folder.id, nested=True)]


def _ordinary(folder: Folder, *, refusal: str) -> Folder:
    """Return the folder, unless it is the root or a project: projects have endpoints of their own."""
    if folder.parent_id in (None, ROOT_FOLDER_ID):
        raise forbidden(refusal)
    return folder
