"""Staying under a workspace's quotas instead of running into them.

All hooks of one process that talk to the same workspace share the pace, whatever thread they run in.
Other processes are not seen: between them Workato's 429 and its ``Retry-After`` decide.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable


class Pace:
    """At most *calls* calls start within any *period*.

    :param calls: how many calls.
    :param period: seconds.
    :param clock: a monotonic clock in seconds.
    :param sleep: how to wait for a number of seconds.
    """

    #: Calls sent a period apart can arrive closer together than they were sent.
    MARGIN = 0.02

    def __init__(
        self,
        *,
        calls: int,
        period: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._period = period * (1 + self.MARGIN)
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._starts: deque[float] = deque(maxlen=calls)
        self._not_before = 0.0

    def wait(self) -> None:
        """Wait for a turn."""
        while (delay := self._take_turn()) > 0:
            self._sleep(delay)

    def hold(self, seconds: float) -> None:
        """Let no call start for the given time, not even those that wait for a turn already.

        :param seconds: how long, as a server's ``Retry-After`` asks.
        """
        with self._lock:
            self._not_before = max(self._not_before, self._clock() + seconds)

    def _take_turn(self) -> float:
        with self._lock:
            now = self._clock()
            start = max(now, self._not_before)
            if len(self._starts) == self._starts.maxlen:
                start = max(start, self._starts[0] + self._period)
            if start <= now:
                self._starts.append(now)
            return start - now


_paces: dict[Hashable, Pace] = {}
_lock = threading.Lock()


def pace_for(key: Hashable, *, calls_per_period: float, period: float) -> Pace:
    """Return the pace that all users of *key* in this process share.

    :param key: what makes two callers share a quota.
    :param calls_per_period: the quota; less than one call per period stretches the period.
    :param period: seconds.
    """
    calls = max(1, int(calls_per_period))
    stretched = period * calls / calls_per_period
    with _lock:
        return _paces.setdefault((key, calls, stretched), Pace(calls=calls, period=stretched))
