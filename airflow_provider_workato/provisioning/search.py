"""The list in which a create looks for its connection, and how long it may rely on it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_workato.client.connections import list_connections

if TYPE_CHECKING:
    from airflow_provider_workato.client.answers import WorkatoConnection
    from airflow_provider_workato.client.filters import ListFilters
    from airflow_provider_workato.client.transport import Transport
    from airflow_provider_workato.provisioning.locks import CreateCounter
    from airflow_provider_workato.redaction import Sealed

#: A create relies on a search no older than this, in seconds. A shorter time would cost most creates a second
#: list call, and Workato allows as few list calls as creates.
FRESH = 10.0

#: The creates of a set rely on one search for so many seconds, as long as nobody else on this machine creates
#: anything in the workspace.
FRESH_FOR_SET = 120.0


@dataclass(slots=True, kw_only=True)
class Search:
    """A list call that may have to be repeated.

    :param transport: sends the calls.
    :param filters: what to ask for.
    :param secrets: credentials that an app may have quoted in a message of an earlier change.
    """

    transport: Transport
    filters: ListFilters
    secrets: Sealed | None = None
    #: When the latest list was requested, on the clock of ``time.monotonic()``.
    at: float = field(init=False, default=0.0)

    def first(self) -> list[WorkatoConnection]:
        """Return the list with which a create begins. Its connection is locked meanwhile.

        :raises WorkatoError: if the call fails.
        """
        return self.again()

    def again(self) -> list[WorkatoConnection]:
        """Return a new list.

        :raises WorkatoError: if the call fails.
        """
        rows = list_connections(self.transport, self.filters, secrets=self.secrets)
        self.at = time.monotonic()
        return rows

    def is_fresh(self) -> bool:
        """Tell whether a create may rely on the latest list."""
        return time.monotonic() - self.at <= FRESH

    def count_own(self) -> None:
        """Note that the create that searches here has been sent, or its outcome recorded."""


@dataclass(slots=True, kw_only=True)
class SetSearch(Search):
    """The one list of a set of connections. Its creates come one after the other, one a second.

    :param counter: counts what any process on this machine creates in the workspace.
    """

    counter: CreateCounter
    _rows: list[WorkatoConnection] = field(init=False, default_factory=list)
    _counted: int | None = field(init=False, default=None)

    def first(self) -> list[WorkatoConnection]:
        """Return the latest list if it is fresh, otherwise a new one.

        It is from before the connection was locked: what another process created since may be the connection.

        :raises WorkatoError: if the call fails.
        """
        is_alone = self._counted is None or self.counter.read() == self._counted
        return self._rows if self.at and is_alone and self.is_fresh() else self.again()

    def again(self) -> list[WorkatoConnection]:
        """Return a new list.

        :raises WorkatoError: if the call fails.
        """
        # Before the call: what is created meanwhile may be missing in the answer.
        self._counted = self.counter.read()
        self._rows = Search.again(self)
        return self._rows

    def recent(self, connection_id: int) -> WorkatoConnection | None:
        """Return a connection as it was some seconds ago at most, ``None`` if it did not exist.

        :param connection_id: the connection.
        :raises WorkatoError: if the call fails.
        """
        rows = self._rows if Search.is_fresh(self) else self.again()
        return next((row for row in rows if row["id"] == connection_id), None)

    def is_fresh(self) -> bool:
        """Tell whether a create may rely on the latest list."""
        if self._counted is None or self.counter.read() != self._counted:
            return Search.is_fresh(self)
        return time.monotonic() - self.at <= FRESH_FOR_SET

    def count_own(self) -> None:
        """Note that a create of the set has been sent, or its outcome recorded."""
        if self._counted is not None:
            self._counted += 1
