"""Tell whether an existing connection is the one that a task means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_workato.exceptions import WorkatoResponseError

if TYPE_CHECKING:
    from airflow_provider_workato.client.answers import WorkatoConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The fields that identify a connection.

    With an external id: external id and provider, and folder and parent if given. Without one: name, provider
    and parent, and folder if given.
    """

    provider: str | None
    name: str | None = None
    folder_id: int | None = None
    parent_id: int | None = None
    external_id: str | None = None

    @property
    def key(self) -> str:
        """A string shared by all identities that could mean the same connection, for the lock."""
        return f"name {self.name}" if self.external_id is None else f"external_id {self.external_id}"

    def is_certain_of(self, row: WorkatoConnection) -> bool:
        """Tell whether the match *row* is certain. A name alone is not: other folders may hold the same name.

        :param row: a connection from the list.
        """
        return self.external_id is not None or (
            self.folder_id is not None and row.get("folder_id") == self.folder_id
        )

    def matches(self, row: WorkatoConnection) -> bool:
        """Tell whether *row* is the connection meant.

        :param row: a connection from the list.
        :raises WorkatoResponseError: if *row* lacks the name or external id that decides.
        """
        decides = "name" if self.external_id is None else "external_id"
        wanted: dict[str, Any] = {"provider": self.provider, "folder_id": self.folder_id}
        if self.external_id is not None:
            wanted["parent_id"] = self.parent_id
        elif row.get("parent_id", self.parent_id) != self.parent_id:
            return False
        # A key that the answer leaves out counts as equal: a false match is safer than a second connection.
        if not all(value is None or row.get(key, value) == value for key, value in wanted.items()):
            return False
        if decides not in row:
            # It may have another owner; giving it these credentials would be worse than stopping.
            raise WorkatoResponseError(
                f"Workato's list shows no {decides} for connection {row['id']}, so the provider cannot tell "
                f"whether it is the one meant ({self}). Nothing was created or changed.",
                status=200,
                operation="list_connections",
            )
        return bool(row[decides] == getattr(self, decides))

    def __str__(self) -> str:
        said = {
            "external_id": self.external_id,
            "name": None if self.external_id else self.name,
            "provider": self.provider,
            "folder_id": self.folder_id,
            "parent_id": self.parent_id,
        }
        return ", ".join(f"{key}={value!r}" for key, value in said.items() if value is not None)
