"""The quotas of the connection endpoints, as sliding windows."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from airflow_provider_workato.sandbox.traffic.operations import Operation

LIST_WINDOW = 60.0
CALL_WINDOW = 1.0


@dataclass(frozen=True, kw_only=True)
class Quota:
    """How many calls are let through; None lets all through."""

    list_per_minute: int | None = 60
    calls_per_second: int | None = 1


@dataclass(frozen=True, kw_only=True)
class Admission:
    """Whether a call may pass.

    :param remaining: calls left in the window, or None where nothing is counted
    :param retry_after: whole seconds to wait, or None when the call may pass
    """

    remaining: int | None
    retry_after: int | None = None


class Window:
    """At most ``limit`` calls in any span of ``seconds``; refused calls do not count.

    :param limit: calls let through, None for any number
    :param seconds: length of the window
    :param clock: monotonic time
    """

    def __init__(
        self, *, limit: int | None, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limit = limit
        self.seconds = seconds
        self._clock = clock
        self._passed: deque[float] = deque()

    def admit(self) -> Admission:
        """Count a call, or refuse it."""
        if self.limit is None:
            return Admission(remaining=None)
        now = self._clock()
        while self._passed and now - self._passed[0] >= self.seconds:
            self._passed.popleft()
        if len(self._passed) >= self.limit:
            # The call that has to leave the window is not the oldest when the limit was lowered since.
            leaving = self._passed[len(self._passed) - self.limit]
            return Admission(remaining=0, retry_after=max(1, math.ceil(leaving + self.seconds - now)))
        self._passed.append(now)
        return Admission(remaining=self.limit - len(self._passed))


class QuotaGuard:
    """One window for the list and one shared by every other connection endpoint.

    :param quota: the limits at start, to which a reset returns
    """

    def __init__(self, quota: Quota) -> None:
        self._at_start = quota
        self.reset()

    def reset(self) -> None:
        """Return to the limits at start and forget the calls so far."""
        self._lists = Window(limit=self._at_start.list_per_minute, seconds=LIST_WINDOW)
        self._calls = Window(limit=self._at_start.calls_per_second, seconds=CALL_WINDOW)

    @property
    def quota(self) -> Quota:
        """The limits in force."""
        return Quota(list_per_minute=self._lists.limit, calls_per_second=self._calls.limit)

    def change(self, quota: Quota) -> None:
        """Put other limits in force; calls so far still count.

        :param quota: the new limits
        """
        self._lists.limit = quota.list_per_minute
        self._calls.limit = quota.calls_per_second

    def admit(self, *, operation: Operation, path: str) -> Admission:
        """Count a call, or refuse it.

        :param operation: what the call asks for
        :param path: its path
        """
        if operation is Operation.LIST_CONNECTIONS:
            return self._lists.admit()
        if path.startswith("/api/connections"):
            return self._calls.admit()
        return Admission(remaining=None)
