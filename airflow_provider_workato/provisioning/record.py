"""What a create has to remember beyond its process, and to tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from airflow_provider_workato.client.answers import WorkatoConnection

#: What a task did to the connection that it made sure of.
Outcome: TypeAlias = Literal["created", "changed", "reused"]


class Record:
    """The record of a create that keeps nothing and tells nobody."""

    def read(self) -> dict[str, Any]:
        """Return the latest record, which an earlier try may have left; an empty dict if there is none."""
        return {}

    def write(self, record: dict[str, Any]) -> None:
        """Replace the record.

        :param record: JSON values only, without credentials.
        """

    def before_use(self, connection: WorkatoConnection, *, changes: bool) -> None:
        """Raise an error if a connection that exists must stay as it is. The connection is locked meanwhile.

        :param connection: the connection.
        :param changes: whether it is about to be changed.
        """

    def known(self, connection: WorkatoConnection, *, outcome: Outcome) -> None:
        """Receive the connection: as soon as it is known to exist, and again after a change.

        :param connection: the connection; nothing in it quotes the credentials.
        :param outcome: whether this task created it, in this try or an earlier one, or changes it.
        """
