"""API traffic: the operations, their quotas and the request log."""

from __future__ import annotations

import itertools
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Operation(StrEnum):
    """The API calls that the sandbox serves. Each is the name of its route."""

    LIST_CONNECTIONS = "list_connections"
    CREATE_CONNECTION = "create_connection"
    UPDATE_CONNECTION = "update_connection"
    DISCONNECT_CONNECTION = "disconnect_connection"
    DELETE_CONNECTION = "delete_connection"
    GET_PICKLIST = "get_picklist"
    CREATE_RUNTIME_USER_CONNECTION = "create_runtime_user_connection"
    GET_OAUTH_URL = "get_oauth_url"
    GET_WORKSPACE = "get_workspace"
    LIST_FOLDERS = "list_folders"
    GET_FOLDER = "get_folder"
    CREATE_FOLDER = "create_folder"
    UPDATE_FOLDER = "update_folder"
    DELETE_FOLDER = "delete_folder"
    LIST_PROJECTS = "list_projects"
    UPDATE_PROJECT = "update_project"
    DELETE_PROJECT = "delete_project"
    LIST_FOLDER_ASSETS = "list_folder_assets"
    LIST_CONNECTORS = "list_connectors"
    LIST_CUSTOM_CONNECTORS = "list_custom_connectors"
    LIST_RECIPES = "list_recipes"
    UNKNOWN = "unknown"


LIST_WINDOW = 60.0
CALL_WINDOW = 1.0


@dataclass(frozen=True, kw_only=True)
class QuotaLimits:
    """The number of calls that pass. None means no limit."""

    list_per_minute: int | None = 60
    calls_per_second: int | None = 1


@dataclass(frozen=True, kw_only=True)
class Admission:
    """Whether a call may pass.

    :param remaining: number of calls left in the window, None without a limit.
    :param retry_after: whole seconds to wait, None if the call may pass.
    """

    remaining: int | None
    retry_after: int | None = None


class Window:
    """A sliding window: at most ``limit`` calls in any ``seconds``. Refused calls do not count.

    :param limit: number of calls that pass, None for no limit.
    :param seconds: length of the window in seconds.
    :param clock: returns monotonic time in seconds.
    """

    def __init__(
        self, *, limit: int | None, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limit = limit
        self.seconds = seconds
        self._clock = clock
        self._passed: deque[float] = deque()

    @property
    def used(self) -> int:
        """Number of calls in the window now."""
        self._move(self._clock())
        return len(self._passed)

    def admit(self) -> Admission:
        """Count a call, or refuse it."""
        if self.limit is None:
            return Admission(remaining=None)
        now = self._clock()
        self._move(now)
        if len(self._passed) >= self.limit:
            # If the limit was lowered, more calls than the oldest must leave the window first.
            leaving = self._passed[len(self._passed) - self.limit]
            return Admission(remaining=0, retry_after=max(1, math.ceil(leaving + self.seconds - now)))
        self._passed.append(now)
        return Admission(remaining=self.limit - len(self._passed))

    def _move(self, now: float) -> None:
        while self._passed and now - self._passed[0] >= self.seconds:
            self._passed.popleft()


class QuotaGuard:
    """A window for the list, and one that all other connection endpoints share.

    :param limits: the limits at start, which a reset restores.
    """

    def __init__(self, limits: QuotaLimits) -> None:
        self._at_start = limits
        self.reset()

    def reset(self) -> None:
        """Restore the limits at start and forget earlier calls."""
        self.lists = Window(limit=self._at_start.list_per_minute, seconds=LIST_WINDOW)
        self.calls = Window(limit=self._at_start.calls_per_second, seconds=CALL_WINDOW)

    @property
    def limits(self) -> QuotaLimits:
        """The current limits."""
        return QuotaLimits(list_per_minute=self.lists.limit, calls_per_second=self.calls.limit)

    def change(self, limits: QuotaLimits) -> None:
        """Set the limits. Earlier calls still count.

        :param limits: the new limits.
        """
        self.lists.limit = limits.list_per_minute
        self.calls.limit = limits.calls_per_second

    def admit(self, *, operation: Operation, path: str) -> Admission:
        """Count a call, or refuse it.

        :param operation: the call's operation.
        :param path: the call's path.
        """
        if operation is Operation.LIST_CONNECTIONS:
            return self.lists.admit()
        if path.startswith("/api/connections"):
            return self.calls.admit()
        return Admission(remaining=None)


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
