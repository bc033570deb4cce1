"""Staying under a workspace's quotas instead of running into them.

All hooks that talk to the same workspace share the pace, whatever thread they run in, and whatever process
of the same user and machine. Other machines are not seen: between them Workato's 429 and its ``Retry-After``
decide.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable

from airflow_provider_workato.hooks.turns import SharedTurns, Turns

#: A quota beyond this is none that Workato gives, and not worth a file.
_MOST_SHARED_CALLS = 600


class Pace:
    """At most *calls* calls start within any *period*.

    :param calls: how many calls.
    :param period: seconds.
    :param clock: a clock in seconds.
    :param sleep: how to wait for a number of seconds.
    :param turns: where turns are remembered, in this object if left out.
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
        turns: Turns | None = None,
    ) -> None:
        self._period = period * (1 + self.MARGIN)
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._turns = Turns(calls) if turns is None else turns

    def wait(self) -> None:
        """Wait for a turn."""
        while (delay := self._take_turn()) > 0:
            self._sleep(delay)

    def hold(self, seconds: float) -> None:
        """Let no call start for the given time, not even those that wait for a turn already.

        :param seconds: how long, as a server's ``Retry-After`` asks.
        """
        with self._lock, self._turns.exclusively() as turns:
            turns.not_before = max(turns.not_before, self._clock() + seconds)

    def _take_turn(self) -> float:
        with self._lock, self._turns.exclusively() as turns:
            now = self._clock()
            start = max(now, turns.not_before)
            while turns.starts and turns.starts[-1] > now:
                # The clock was set back; we must not wait for the time that it lost.
                turns.starts.pop()
            if len(turns.starts) == turns.starts.maxlen:
                start = max(start, turns.starts[0] + self._period)
            if start <= now:
                turns.starts.append(now)
            return start - now


_paces: dict[Hashable, Pace] = {}
_lock = threading.Lock()


def pace_for(key: Hashable, *, calls_per_period: float, period: float, shared: bool = False) -> Pace:
    """Return the pace that all users of *key* in this process share.

    :param key: what makes two callers share a quota.
    :param calls_per_period: the quota; less than one call per period stretches the period.
    :param period: seconds.
    :param shared: share it also with other processes of this machine.
    """
    calls = max(1, int(calls_per_period))
    stretched = period * calls / calls_per_period
    full_key = (key, calls, stretched)
    with _lock:
        if full_key not in _paces:
            _paces[full_key] = (
                # A monotonic clock of one process is none for another.
                Pace(calls=calls, period=stretched, clock=time.time, turns=SharedTurns(calls, key=full_key))
                if shared and calls <= _MOST_SHARED_CALLS
                else Pace(calls=calls, period=stretched)
            )
        return _paces[full_key]
