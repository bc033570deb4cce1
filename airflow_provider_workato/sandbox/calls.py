"""What the API's endpoints do to the workspace."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from airflow_provider_workato.sandbox.bodies import (
    CreateConnection,
    CreateFolder,
    CreateRuntimeUserConnection,
    GetPicklist,
    UpdateConnection,
    UpdateFolder,
    UpdateProject,
    bad_request,
    forbidden,
    invalid,
    rejected,
)
from airflow_provider_workato.sandbox.connection import (
    CredentialOutcome,
    StoredConnection,
    authorization_error,
    check_credentials,
    timestamp,
)
from airflow_provider_workato.sandbox.folders import ROOT_FOLDER_ID, Folder
from airflow_provider_workato.sandbox.providers import (
    OAUTH_ONLY_PROVIDERS,
    OAUTH_PROVIDERS,
    picklist_rows,
    provider_error,
)
from airflow_provider_workato.sandbox.workspace import Workspace

_STATUSES = {
    CredentialOutcome.ACCEPTED: "success",
    CredentialOutcome.FAILED: "failed",
    CredentialOutcome.EXCEPTION: "exception",
}


class ApiCalls:
    """The rules of the calls for connections. Each raises :class:`Refused` for what the API refuses.

    :param workspace: the workspace they read and change.
    :param any_provider: accept every well-formed provider name, not only those of known connectors.
    """

    def __init__(self, workspace: Workspace, *, any_provider: bool) -> None:
        self._workspace = workspace
        self._any_provider = any_provider

    def create(self, wanted: CreateConnection) -> StoredConnection:
        """Create a connection, and test its credentials if there are any.

        :param wanted: the request.
        """
        errors = self._placement_errors(
            provider=wanted.provider, folder_id=wanted.folder_id, parent_id=wanted.parent_id
        )
        refusal = provider_error(wanted.provider, any_provider=self._any_provider)
        if refusal is not None:
            errors["provider"] = [refusal]
        outcomes = _outcomes(wanted.input, errors=errors)
        if errors:
            raise invalid(errors)
        connection = self._add(
            StoredConnection(
                id=self._workspace.take_id(),
                name=wanted.name,
                provider=wanted.provider,
                folder_id=wanted.folder_id or ROOT_FOLDER_ID,
                parent_id=wanted.parent_id,
                external_id=wanted.external_id,
                custom_oauth_profile_id=wanted.custom_oauth_profile_id,
                outcomes=outcomes,
            )
        )
        if outcomes and not wanted.shell_connection:
            self._test(connection)
        return connection

    def update(self, connection_id: int, wanted: UpdateConnection) -> StoredConnection:
        """Change what the request names and nothing else. New credentials are tested at once.

        :param connection_id: the connection.
        :param wanted: the request.
        """
        connection = self._workspace.find(connection_id)
        errors = self._placement_errors(
            provider=connection.provider, folder_id=wanted.folder_id, parent_id=wanted.parent_id
        )
        outcomes = _outcomes(wanted.input, errors=errors)
        if errors:
            raise invalid(errors)
        if wanted.name is not None:
            connection.name = wanted.name
        if wanted.folder_id is not None:
            self._workspace.place(connection, folder_id=wanted.folder_id)
        for key in ("parent_id", "external_id", "custom_oauth_profile_id"):
            if key in wanted.model_fields_set:
                setattr(connection, key, getattr(wanted, key))
        self._workspace.changed(connection)
        if outcomes:
            connection.outcomes.update(outcomes)
            if wanted.shell_connection:
                connection.set_status(None)
                self._workspace.changed(connection)
            else:
                self._test(connection)
        return connection

    def disconnect(self, connection_id: int, *, force: bool) -> None:
        """Take the authorization away. Doing so twice succeeds.

        :param connection_id: the connection.
        :param force: do it even if active recipes use the connection.
        """
        connection = self._workspace.find(connection_id)
        if connection.active_recipes and not force:
            raise rejected("You can't disconnect a connection used by active recipes")
        connection.outcomes.clear()
        connection.set_status(None)
        self._workspace.changed(connection)

    def delete(self, connection_id: int) -> None:
        """Delete a connection that nothing uses.

        :param connection_id: the connection.
        """
        connection = self._workspace.find(connection_id)
        if connection.active_recipes:
            raise rejected("You can't delete a connection used by active recipes")
        if connection.audit_log_streaming:
            raise rejected("You can't delete a connection used by audit log streaming")
        self._workspace.remove(connection_id)

    def create_runtime_user(self, wanted: CreateRuntimeUserConnection) -> StoredConnection:
        """Create a runtime user connection below an established OAuth connection.

        :param wanted: the request.
        """
        parent = self._workspace.find(wanted.parent_id)
        if parent.provider not in OAUTH_PROVIDERS or not parent.is_established or parent.is_runtime_user:
            raise invalid({"parent_id": ["must be an established OAuth connection"]})
        errors = self._placement_errors(
            provider=parent.provider, folder_id=wanted.folder_id, parent_id=parent.id
        )
        if errors:
            raise invalid(errors)
        return self._add(
            StoredConnection(
                id=self._workspace.take_id(),
                name=wanted.name or f"{parent.name} (runtime user)",
                provider=parent.provider,
                folder_id=wanted.folder_id,
                parent_id=parent.id,
                external_id=wanted.external_id,
                is_runtime_user=True,
            )
        )

    def picklist(self, connection_id: int, wanted: GetPicklist) -> list[list[Any]]:
        """Return the rows of a picklist. The connection must be authorized.

        :param connection_id: the connection.
        :param wanted: the request.
        """
        connection = self._workspace.find(connection_id)
        if not connection.is_established:
            raise bad_request("The connection is not authorized")
        return picklist_rows(
            provider=connection.provider,
            name=wanted.pick_list_name,
            parameters=wanted.pick_list_params or {},
        )

    def _add(self, connection: StoredConnection) -> StoredConnection:
        self._workspace.created += 1
        return self._workspace.add(connection)

    def _test(self, connection: StoredConnection) -> None:
        if connection.provider in OAUTH_ONLY_PROVIDERS:
            error = f"{connection.provider} OAuth connection is not valid, it needs a person to authorize it"
            connection.set_status("exception", error=error)
        else:
            outcome = max(connection.outcomes.values())
            connection.set_status(
                _STATUSES[outcome], error=authorization_error(provider=connection.provider, outcome=outcome)
            )
        self._workspace.changed(connection)

    def _placement_errors(
        self, *, provider: str, folder_id: int | None, parent_id: int | None
    ) -> dict[str, list[str]]:
        errors: dict[str, list[str]] = {}
        if folder_id is not None and self._workspace.folders.find(folder_id) is None:
            errors["folder_id"] = ["is not a folder of this workspace"]
        if parent_id is not None:
            parent = self._workspace.connections.get(parent_id)
            if parent is None:
                errors["parent_id"] = ["is not a connection of this workspace"]
            elif parent.provider != provider:
                errors["parent_id"] = ["must be a connection of the same provider"]
        return errors


class FolderCalls:
    """The rules of the calls for folders and projects. Each raises :class:`Refused` for what the API refuses.

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


def _outcomes(
    credentials: dict[str, Any] | None, *, errors: dict[str, list[str]]
) -> dict[str, CredentialOutcome]:
    outcomes = {key: check_credentials(value) for key, value in (credentials or {}).items()}
    if CredentialOutcome.MALFORMED in outcomes.values():
        errors["input"] = ["is not valid for this provider"]
    return outcomes
