"""What makes two connections the same one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_workato.exceptions import WorkatoResponseError

if TYPE_CHECKING:
    from airflow_provider_workato.client.answers import WorkatoConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What makes two connections the same one.

    With an external id it is that and the provider, within the folder and under the parent if those
    are given; without one it is name, provider and parent, within the folder if that is given.
    """

    provider: str | None
    name: str | None = None
    folder_id: int | None = None
    parent_id: int | None = None
    external_id: str | None = None

    @property
    def key(self) -> str:
        """What all that could mean the same connection have in common."""
        return f"name {self.name}" if self.external_id is None else f"external_id {self.external_id}"

    def is_certain_of(self, row: WorkatoConnection) -> bool:
        """Tell whether *row*, which matches, cannot be another's: a name is unique in a folder at best.

        :param row: a connection from the list.
        """
        return self.external_id is not None or (
            self.folder_id is not None and row.get("folder_id") == self.folder_id
        )

    def matches(self, row: WorkatoConnection) -> bool:
        """Tell whether *row* is the connection meant.

        :param row: a connection from the list.
        :raises WorkatoResponseError: if it could be, and leaves out the key that decides.
        """
        decides = "name" if self.external_id is None else "external_id"
        wanted: dict[str, Any] = {"provider": self.provider, "folder_id": self.folder_id}
        if self.external_id is not None:
            wanted["parent_id"] = self.parent_id
        elif row.get("parent_id", self.parent_id) != self.parent_id:
            return False
        # A key that an answer leaves out proves nothing: better to meet an existing
        # connection twice than to make a second one.
        if not all(value is None or row.get(key, value) == value for key, value in wanted.items()):
            return False
        if decides not in row:
            # It may be somebody else's: to give it these credentials would be worse than to stop.
            raise WorkatoResponseError(
                f"Workato's list shows no {decides} for connection {row['id']}, so it cannot be told whether "
                f"it is the one meant ({self}). Nothing was made or changed.",
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
