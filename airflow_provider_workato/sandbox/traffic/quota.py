"""The quotas of the connection endpoints: sliding windows."""

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
