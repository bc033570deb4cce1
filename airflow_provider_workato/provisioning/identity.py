"""Tell whether an existing connection is the one that a task means."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_workato.arguments import is_cut, is_plain, is_stored_form
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
        return f"{self.decides} {unicodedata.normalize('NFC', self._wanted.strip())[:255]}"

    @property
    def decides(self) -> str:
        """The field that decides."""
        return "name" if self.external_id is None else "external_id"

    @property
    def list_filter(self) -> str | None:
        """The external id to ask the list for, ``None`` if the server may store it in another form."""
        return self.external_id if self.external_id and is_plain(self.external_id) else None

    @property
    def _wanted(self) -> str:
        return (self.name if self.external_id is None else self.external_id) or ""

    def is_certain_of(self, row: WorkatoConnection) -> bool:
        """Tell whether the match *row* is certain.

        A name alone is not, since other folders may hold the same name, and the beginning of a text is not.

        :param row: a connection from the list.
        """
        if self.is_cut_in(row):
            return False
        return self.external_id is not None or (
            self.folder_id is not None and row.get("folder_id") == self.folder_id
        )

    def is_cut_in(self, row: WorkatoConnection) -> bool:
        """Tell whether *row* shows only the beginning of the text that decides.

        :param row: a connection from the list.
        """
        return is_cut(str(row.get(self.decides, "")), self._wanted)

    def among(self, rows: Iterable[WorkatoConnection]) -> list[WorkatoConnection]:
        """Return the connections that match; if some match to the letter, only those.

        :param rows: connections from the list.
        :raises WorkatoResponseError: if one lacks the name or external id that decides.
        """
        matches = [row for row in rows if self.matches(row)]
        return [row for row in matches if row[self.decides] == self._wanted] or matches

    def matches(self, row: WorkatoConnection) -> bool:
        """Tell whether *row* is the connection meant.

        :param row: a connection from the list.
        :raises WorkatoResponseError: if *row* lacks the name or external id that decides.
        """
        decides = self.decides
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
        shown = row[decides]
        return shown == self._wanted or (isinstance(shown, str) and is_stored_form(shown, self._wanted))

    def __str__(self) -> str:
        said = {
            "external_id": self.external_id,
            "name": None if self.external_id else self.name,
            "provider": self.provider,
            "folder_id": self.folder_id,
            "parent_id": self.parent_id,
        }
        return ", ".join(f"{key}={value!r}" for key, value in said.items() if value is not None)
