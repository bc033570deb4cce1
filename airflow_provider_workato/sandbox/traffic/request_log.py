"""The request log: method, path, query and status of each call, never a body or a header."""

from __future__ import annotations

import itertools
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from airflow_provider_workato.sandbox.traffic.operations import Operation

# Enough for a thousand clients that poll for a quarter of an hour. The counts cover all requests.
_KEPT = 100_000


@dataclass(slots=True, kw_only=True)
class LoggedRequest:
    """A logged request. ``status`` is None until the response begins."""

    seq: int
    at: float
    operation: Operation
    method: str
    path: str
    query: str
    status: int | None = None
    fault: str | None = None


class RequestLog:
    """The requests to ``/api/``, oldest first."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Clear log and counts."""
        self._entries: deque[LoggedRequest] = deque(maxlen=_KEPT)
        self._numbers = itertools.count(1)
        self._by_operation: Counter[str] = Counter()
        self._by_status: Counter[str] = Counter()

    def open(self, *, operation: Operation, method: str, path: str, query: str) -> LoggedRequest:
        """Log a request and return its entry.

        :param operation: the request's operation.
        :param method: the HTTP method.
        :param path: the path.
        :param query: the query string, as sent.
        """
        entry = LoggedRequest(
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

    def set_status(self, entry: LoggedRequest, *, status: int) -> None:
        """Log the status of a response.

        :param entry: the request's entry.
        :param status: HTTP status of the response.
        """
        entry.status = status
        self._by_status[str(status)] += 1

    def entries(self, *, operation: Operation | None, since: int) -> Iterator[dict[str, Any]]:
        """Return logged requests, oldest first.

        :param operation: only requests of this operation, None for all.
        :param since: only requests with a greater ``seq``.
        """
        for entry in self._entries:
            if entry.seq > since and operation in (None, entry.operation):
                yield asdict(entry)

    def latest(self, count: int) -> list[LoggedRequest]:
        """Return the latest requests, newest first.

        :param count: maximum number of requests.
        """
        return list(itertools.islice(reversed(self._entries), count))

    def counts(self) -> dict[str, Any]:
        """Return the counts since the last clear, by operation and by status."""
        return {
            "total": self._by_operation.total(),
            "by_operation": dict(self._by_operation),
            "by_status": dict(self._by_status),
            "too_many_requests": self._by_status["429"],
        }
