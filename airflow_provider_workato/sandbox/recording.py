"""What happened, and when: the requests, never a body or a header, and the changes of connections."""

from __future__ import annotations

import itertools
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from airflow_provider_workato.sandbox.operations import Operation

# A change is noted by what tells connections apart and what a wait looks at.
_TOLD = (
    "name",
    "provider",
    "folder_id",
    "project_id",
    "parent_id",
    "external_id",
    "authorization_status",
    "authorized_at",
    "connection_lost_at",
)

# Enough for a quarter of an hour of a thousand clients polling; the counts go on beyond it.
_KEPT = 100_000


@dataclass(slots=True, kw_only=True)
class Entry:
    """One request; ``status`` stays None when no answer was begun."""

    seq: int
    at: float
    operation: Operation
    method: str
    path: str
    query: str
    status: int | None = None
    fault: str | None = None


class RequestLog:
    """The requests to ``/api/``, in the order they came."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._entries: deque[Entry] = deque(maxlen=_KEPT)
        self._numbers = itertools.count(1)
        self._by_operation: Counter[str] = Counter()
        self._by_status: Counter[str] = Counter()

    def open(self, *, operation: Operation, method: str, path: str, query: str) -> Entry:
        """
        Note that a request came in.

        :param operation: what it asks for
        :param method: its HTTP method
        :param path: its path
        :param query: its query, as sent
        """
        entry = Entry(
            seq=next(self._numbers),
            at=time.monotonic(),
            operation=operation,
            method=method,
            path=path,
            query=query,
        )
        self._entries.append(entry)
        self._by_operation[operation] += 1
        return entry

    def answer(self, entry: Entry, *, status: int) -> None:
        """
        Note that an answer was begun.

        :param entry: the request
        :param status: HTTP status of the answer
        """
        entry.status = status
        self._by_status[str(status)] += 1

    def entries(self, *, operation: Operation | None, since: int) -> Iterator[dict[str, Any]]:
        """
        Return requests, oldest first.

        :param operation: only these, or None for all
        :param since: only those with a greater ``seq``
        """
        for entry in self._entries:
            if entry.seq > since and operation in (None, entry.operation):
                yield asdict(entry)

    def counts(self) -> dict[str, Any]:
        """Count the requests since the last clear, by operation and by status."""
        return {
            "total": self._by_operation.total(),
            "by_operation": dict(self._by_operation),
            "by_status": dict(self._by_status),
            "too_many_requests": self._by_status["429"],
        }


class ChangeLog:
    """Every state that a connection has been in, in the order they came."""

    def __init__(self) -> None:
        self._changes: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._numbers = itertools.count(1)

    def note(self, connection_id: int, connection: Any = None) -> None:
        """
        Note the state of a connection.

        :param connection_id: its id
        :param connection: the connection as it is now, None if it is gone
        """
        told = None if connection is None else {key: getattr(connection, key) for key in _TOLD}
        self._changes.append(
            {"seq": next(self._numbers), "at": time.monotonic(), "id": connection_id, "connection": told}
        )

    def entries(self, *, since: int) -> Iterator[dict[str, Any]]:
        """
        Return the changes, oldest first.

        :param since: only those with a greater ``seq``
        """
        return (change for change in self._changes if change["seq"] > since)
