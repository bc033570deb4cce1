"""What the connection endpoints do to the workspace."""

from __future__ import annotations

from typing import Any

from airflow_provider_workato.sandbox.workspace.bodies import (
    CreateConnection,
    CreateRuntimeUserConnection,
    GetPicklist,
    UpdateConnection,
)
from airflow_provider_workato.sandbox.workspace.connection import StoredConnection
from airflow_provider_workato.sandbox.workspace.credentials import (
    CredentialOutcome,
    authorization_error,
    check_credentials,
)
from airflow_provider_workato.sandbox.workspace.folders import ROOT_FOLDER_ID
from airflow_provider_workato.sandbox.workspace.picklists import picklist_rows
from airflow_provider_workato.sandbox.workspace.providers import (
    OAUTH_ONLY_PROVIDERS,
    OAUTH_PROVIDERS,
    provider_error,
)
from airflow_provider_workato.sandbox.workspace.refusals import bad_request, invalid, rejected
from airflow_provider_workato.sandbox.workspace.workspace import Workspace

_STATUSES = {
    CredentialOutcome.ACCEPTED: "success",
    CredentialOutcome.FAILED: "failed",
    CredentialOutcome.EXCEPTION: "exception",
}


class ApiCalls:
    """The rules of the API's calls. Each raises :class:`Refused` for what the API refuses.

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


def _outcomes(
    credentials: dict[str, Any] | None, *, errors: dict[str, list[str]]
) -> dict[str, CredentialOutcome]:
    outcomes = {key: check_credentials(value) for key, value in (credentials or {}).items()}
    if CredentialOutcome.MALFORMED in outcomes.values():
        errors["input"] = ["is not valid for this provider"]
    return outcomes
