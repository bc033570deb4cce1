"""The workspace: its connections and folders, and what each call does to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from airflow_provider_workato.sandbox import seeds
from airflow_provider_workato.sandbox.answers import bad_request, invalid, not_found, rejected
from airflow_provider_workato.sandbox.bodies import (
    CreateConnection,
    CreateRuntimeUserConnection,
    GetPicklist,
    ListFilter,
    UpdateConnection,
)
from airflow_provider_workato.sandbox.connection import Connection, timestamp
from airflow_provider_workato.sandbox.picklists import picklist_rows
from airflow_provider_workato.sandbox.recording import ChangeLog
from airflow_provider_workato.sandbox.rules import (
    OAUTH_ONLY_PROVIDERS,
    OAUTH_PROVIDERS,
    Verdict,
    is_known_provider,
    judge,
    refusal_text,
)

# As many different list answers are kept as a fleet of waiting clients is likely to ask for.
_CACHED_LISTS = 16


class Workspace:
    """State and rules; it knows nothing of HTTP beyond the shapes of its answers."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Put everything back to how it was at start."""
        self.folders = {folder.id: folder for folder in seeds.FOLDERS}
        self.connections = {connection.id: connection for connection in seeds.initial_connections()}
        self.created = 0
        self._next_id = seeds.FIRST_NEW_ID
        self._lists: dict[ListFilter, bytes] = {}
        self.changes = ChangeLog()
        for connection in self.connections.values():
            self.changes.note(connection.id, connection)

    # Reading

    def find(self, connection_id: int) -> Connection:
        """
        Return a connection, or refuse with 404.

        :param connection_id: its id
        """
        try:
            return self.connections[connection_id]
        except KeyError:
            raise not_found() from None

    def list_json(self, wanted: ListFilter) -> bytes:
        """
        Return the JSON array of the connections that match, newest id first.

        :param wanted: the filter
        """
        if wanted not in self._lists:
            if len(self._lists) >= _CACHED_LISTS:
                self._lists.clear()
            rows = (connection.json(with_tags=wanted.with_tags) for connection in self._select(wanted))
            self._lists[wanted] = b"[" + b",".join(rows) + b"]"
        return self._lists[wanted]

    def _select(self, wanted: ListFilter) -> Iterator[Connection]:
        exact = {
            key: value
            for key in ("folder_id", "project_id", "parent_id", "external_id", "provider")
            if (value := getattr(wanted, key)) is not None
        }
        after = wanted.updated_after
        if after is not None and after.tzinfo is None:
            after = after.replace(tzinfo=UTC)
        for connection_id in sorted(self.connections, reverse=True):
            connection = self.connections[connection_id]
            if connection.is_runtime_user and not wanted.with_runtime_users:
                continue
            if any(getattr(connection, key) != value for key, value in exact.items()):
                continue
            if after is not None and datetime.fromisoformat(connection.updated_at) <= after:
                continue
            yield connection

    def picklist(self, connection_id: int, wanted: GetPicklist) -> list[list[Any]]:
        """
        Return the rows of a picklist; the connection must be usable.

        :param connection_id: its id
        :param wanted: name and parameters of the list
        """
        connection = self.find(connection_id)
        if not connection.is_established:
            raise bad_request("The connection is not authorized")
        return picklist_rows(
            provider=connection.provider,
            name=wanted.pick_list_name,
            parameters=wanted.pick_list_params or {},
        )

    # Writing, as the API does it

    def create(self, wanted: CreateConnection) -> Connection:
        """
        Make a connection, and test it when credentials come with it.

        :param wanted: what to make
        """
        errors = self._placement_errors(
            provider=wanted.provider, folder_id=wanted.folder_id, parent_id=wanted.parent_id
        )
        if not is_known_provider(wanted.provider):
            errors["provider"] = ["is not included in the list"]
        verdicts = _verdicts(wanted.input, errors=errors)
        if errors:
            raise invalid(errors)
        connection = self._add(
            Connection(
                id=self._take_id(),
                name=wanted.name,
                provider=wanted.provider,
                folder_id=wanted.folder_id or seeds.ROOT_FOLDER_ID,
                parent_id=wanted.parent_id,
                external_id=wanted.external_id,
                verdicts=verdicts,
            )
        )
        self.created += 1
        if verdicts and not wanted.shell_connection:
            self._test(connection)
        return connection

    def update(self, connection_id: int, wanted: UpdateConnection) -> Connection:
        """
        Change what was sent and leave the rest; new credentials are tested at once.

        :param connection_id: its id
        :param wanted: what to change
        """
        connection = self.find(connection_id)
        errors = self._placement_errors(
            provider=connection.provider, folder_id=wanted.folder_id, parent_id=wanted.parent_id
        )
        verdicts = _verdicts(wanted.input, errors=errors)
        if errors:
            raise invalid(errors)
        if wanted.name is not None:
            connection.name = wanted.name
        if wanted.folder_id is not None:
            self._place(connection, folder_id=wanted.folder_id)
        for key in ("parent_id", "external_id"):
            if key in wanted.model_fields_set:
                setattr(connection, key, getattr(wanted, key))
        self._changed(connection)
        if verdicts:
            connection.verdicts.update(verdicts)
            if wanted.shell_connection:
                connection.set_status(None)
                self._changed(connection)
            else:
                self._test(connection)
        return connection

    def disconnect(self, connection_id: int, *, force: bool) -> None:
        """
        Take the authorization away; a second time is a success too.

        :param connection_id: its id
        :param force: do it though active recipes use it
        """
        connection = self.find(connection_id)
        if connection.active_recipes and not force:
            raise rejected("You can't disconnect a connection used by active recipes")
        connection.verdicts.clear()
        connection.set_status(None)
        self._changed(connection)

    def delete(self, connection_id: int) -> None:
        """
        Remove a connection unless something uses it.

        :param connection_id: its id
        """
        connection = self.find(connection_id)
        if connection.active_recipes:
            raise rejected("You can't delete a connection used by active recipes")
        if connection.audit_log_streaming:
            raise rejected("You can't delete a connection used by audit log streaming")
        del self.connections[connection_id]
        self._lists.clear()
        self.changes.note(connection_id)

    def create_runtime_user(self, wanted: CreateRuntimeUserConnection) -> Connection:
        """
        Make a runtime user connection below an established OAuth connection.

        :param wanted: what to make
        """
        parent = self.find(wanted.parent_id)
        if parent.provider not in OAUTH_PROVIDERS or not parent.is_established or parent.is_runtime_user:
            raise invalid({"parent_id": ["must be an established OAuth connection"]})
        errors = self._placement_errors(
            provider=parent.provider, folder_id=wanted.folder_id, parent_id=parent.id
        )
        if errors:
            raise invalid(errors)
        self.created += 1
        return self._add(
            Connection(
                id=self._take_id(),
                name=wanted.name or f"{parent.name} (runtime user)",
                provider=parent.provider,
                folder_id=wanted.folder_id,
                parent_id=parent.id,
                external_id=wanted.external_id,
                is_runtime_user=True,
            )
        )

    # Writing, as people and the outer world do it

    def authorize(self, connection_id: int) -> Connection:
        """
        Authorize a connection as a person would.

        :param connection_id: its id
        """
        return self._settle(connection_id, status="success", error=None)

    def fail(self, connection_id: int, *, status: str, error: str) -> Connection:
        """
        Let an attempt to authorize end badly.

        :param connection_id: its id
        :param status: ``failed`` or ``exception``
        :param error: text shown with it
        """
        return self._settle(connection_id, status=status, error=error)

    def _settle(self, connection_id: int, *, status: str, error: str | None) -> Connection:
        connection = self.find(connection_id)
        connection.set_status(status, error=error)
        self._changed(connection)
        return connection

    def lose(self, connection_id: int, *, reason: str, status: str | None) -> Connection:
        """
        Lose a connection as a refused token refresh does.

        :param connection_id: its id
        :param reason: text shown with it
        :param status: what the status becomes, or None to leave it as it is
        """
        connection = self.find(connection_id)
        connection.connection_lost_at = timestamp()
        connection.connection_lost_reason = reason
        if status is not None:
            connection.authorization_status = status
            connection.authorization_error = reason
        self._changed(connection)
        return connection

    def use(self, connection_id: int, *, active_recipes: int, audit_log_streaming: bool) -> Connection:
        """
        Say what uses a connection, and so keeps it from being deleted.

        :param connection_id: its id
        :param active_recipes: how many started recipes
        :param audit_log_streaming: whether audit log streaming does
        """
        connection = self.find(connection_id)
        connection.active_recipes = active_recipes
        connection.audit_log_streaming = audit_log_streaming
        return connection

    def seed(self, rows: Iterable[dict[str, Any]]) -> list[int]:
        """
        Put connections in, whatever their state.

        :param rows: fields of :class:`~airflow_provider_workato.sandbox.seeds.SeedRow`
        """
        ids = []
        for row in rows:
            fields = {**row, "id": row.get("id") or self._take_id()}
            if fields["authorization_status"] == "success" and fields["authorized_at"] is None:
                fields["authorized_at"] = timestamp()
            ids.append(self._add(Connection(**fields)).id)
        self._next_id = (
            max(self._next_id, *(connection_id + 1 for connection_id in ids)) if ids else self._next_id
        )
        return ids

    def add_folders(self, folders: Iterable[seeds.Folder]) -> None:
        """
        Put folders in.

        :param folders: the folders
        """
        self.folders.update({folder.id: folder for folder in folders})

    def summary(self, *, with_connections: bool) -> dict[str, Any]:
        """
        Describe the workspace for a reader: everything there is, for there are no credentials in it.

        :param with_connections: leave out the rows, which may be many
        """
        by_status: dict[str, int] = {}
        for connection in self.connections.values():
            key = str(connection.authorization_status)
            by_status[key] = by_status.get(key, 0) + 1
        result: dict[str, Any] = {
            "counts": {"connections": len(self.connections), "by_status": by_status, "created": self.created},
            "folders": [asdict(folder) for folder in self.folders.values()],
        }
        if with_connections:
            result["connections"] = [describe(connection) for connection in self.connections.values()]
        return result

    # Shared steps

    def _add(self, connection: Connection) -> Connection:
        self._place(connection, folder_id=connection.folder_id)
        self.connections[connection.id] = connection
        self._lists.clear()
        self.changes.note(connection.id, connection)
        return connection

    def _place(self, connection: Connection, *, folder_id: int) -> None:
        folder = self.folders.get(folder_id)
        connection.folder_id = folder_id
        connection.project_id = folder.project_id if folder else None

    def _changed(self, connection: Connection) -> None:
        connection.touch()
        self._lists.clear()
        self.changes.note(connection.id, connection)

    def _take_id(self) -> int:
        taken = self._next_id
        self._next_id += 1
        return taken

    def _test(self, connection: Connection) -> None:
        if connection.provider in OAUTH_ONLY_PROVIDERS:
            error = f"{connection.provider} OAuth connection is not valid, it needs a person to authorize it"
            connection.set_status("exception", error=error)
        else:
            verdict = max(connection.verdicts.values())
            statuses = {Verdict.ACCEPTED: "success", Verdict.FAILED: "failed", Verdict.EXCEPTION: "exception"}
            connection.set_status(
                statuses[verdict], error=refusal_text(provider=connection.provider, verdict=verdict)
            )
        self._changed(connection)

    def _placement_errors(
        self, *, provider: str, folder_id: int | None, parent_id: int | None
    ) -> dict[str, list[str]]:
        errors: dict[str, list[str]] = {}
        if folder_id is not None and folder_id not in self.folders:
            errors["folder_id"] = ["is not a folder of this workspace"]
        if parent_id is not None:
            parent = self.connections.get(parent_id)
            if parent is None:
                errors["parent_id"] = ["is not a connection of this workspace"]
            elif parent.provider != provider:
                errors["parent_id"] = ["must be a connection of the same provider"]
        return errors


def _verdicts(credentials: dict[str, Any] | None, *, errors: dict[str, list[str]]) -> dict[str, Verdict]:
    verdicts = {key: judge(value) for key, value in (credentials or {}).items()}
    if Verdict.MALFORMED in verdicts.values():
        errors["input"] = ["is not valid for this provider"]
    return verdicts


def describe(connection: Connection) -> dict[str, Any]:
    """
    Return a connection with what the API does not show.

    :param connection: the connection
    """
    return {
        **connection.body(with_tags=True),
        "is_runtime_user": connection.is_runtime_user,
        "active_recipes": connection.active_recipes,
        "audit_log_streaming": connection.audit_log_streaming,
    }
