"""A rate limiter that keeps calls within a workspace's quotas.

Hooks with the same workspace and token share one limiter across the threads and processes of a user on one
machine, first come, first served. It does not see calls from other machines or with other tokens; for those,
Workato's 429 and its ``Retry-After`` apply.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable

from airflow_provider_workato.client.call_history import CallHistory, SharedCallHistory

#: Workato grants no quota this large; do not share it between processes.
_MAX_SHARED_CALLS = 600


class RateLimiter:
    """Let at most *calls* calls start within any *period*, first come, first served.

    Each caller draws a ticket with a planned start and sleeps until then. It checks again when it wakes up,
    because a late call or a pause may have moved its start. A process that dies while waiting wastes only its
    own start.

    :param calls: the number of calls.
    :param period: seconds.
    :param clock: a monotonic clock in seconds, the same for all processes that share *history*.
    :param sleep: a function that waits for a number of seconds.
    :param history: the shared record of starts and tickets; private to this object by default.
    """

    #: Calls sent a period apart can arrive closer together than they were sent.
    MARGIN = 0.02
    #: Workato's quotas cover a minute at most. A longer ``Retry-After`` must not stop a whole machine.
    LONGEST_PAUSE = 60.0
    #: How many seconds a caller may wake up late before another may start in its place.
    GRACE = 0.5
    #: How many seconds late its ticket is dropped.
    PATIENCE = 5.0
    #: The most tickets at once. A caller that finds none left tries again a period later.
    MAX_TICKETS = 4096

    def __init__(
        self,
        *,
        calls: int,
        period: float,
        # The monotonic clock counts from the machine's start: it is never set, and all processes share it.
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        history: CallHistory | None = None,
    ) -> None:
        self._calls = calls
        self._period = period * (1 + self.MARGIN)
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._history = CallHistory(calls) if history is None else history

    def acquire(self, *, first: bool = False) -> float:
        """Wait until a call may start, and return that moment on the limiter's clock.

        :param first: go to the head of the queue, for a caller that lost the start it had waited for.
        """
        ticket: int | None = None
        try:
            while True:
                ticket, start, now = self._look(ticket, first=first)
                if start <= now:
                    return now
                self._sleep(start - now)
        except BaseException:
            self._give_back(ticket)
            raise

    def renew(self, granted: float) -> float:
        """Move a granted start to now, for a caller that had work to do between :meth:`acquire` and its call.

        If another call may have used the start meanwhile, wait for the next one, at the head of the queue.

        :param granted: the start, as this method or :meth:`acquire` returned it.
        :returns: the new start.
        """
        with self._lock, self._history.locked() as history:
            now = self._clock()
            if 0 <= now - granted < self._period and now >= history.not_before:
                if granted in history.starts:
                    history.starts.remove(granted)
                history.starts.append(now)
                return now
        return self.acquire(first=True)

    def pause(self, seconds: float) -> None:
        """Start no call for the given time, not even a queued one.

        :param seconds: what the server's ``Retry-After`` asks for; capped at a minute.
        """
        with self._lock, self._history.locked() as history:
            history.not_before = max(history.not_before, self._clock() + min(seconds, self.LONGEST_PAUSE))

    def renew_lock(self) -> None:
        """Replace the lock: in a forked process, the thread that held it does not exist."""
        self._lock = threading.Lock()

    def _look(self, ticket: int | None, *, first: bool = False) -> tuple[int | None, float, float]:
        """Return the ticket, its planned start, and the time now. A ticket that may start now is used up."""
        with self._lock, self._history.locked() as history:
            now = self._clock()
            self._drop_impossible(history, now)
            if ticket is None:
                if len(history.queue) >= self.MAX_TICKETS and not first:
                    return None, now + self._period, now
                ticket = int.from_bytes(os.urandom(8))
                history.queue = {ticket: now, **history.queue} if first else {**history.queue, ticket: now}
            elif ticket not in history.queue:
                # The ticket was dropped while this process slept. No other has waited longer: it goes first.
                history.queue = {ticket: now, **history.queue}
            self._plan(history, now, own=ticket)
            start = history.queue[ticket]
            if start <= now:
                del history.queue[ticket]
                history.starts.append(now)
            return ticket, start, now

    def _plan(self, history: CallHistory, now: float, *, own: int) -> None:
        """Plan the earliest start for every ticket, in order, never earlier than planned before."""
        recent = deque(history.starts, maxlen=self._calls)
        start = history.not_before
        for ticket, planned in history.queue.items():
            if ticket != own and planned < now - self.GRACE:
                # Its process overslept or is gone.
                continue
            start = max(start, planned, now) if ticket == own else max(start, planned)
            if len(recent) == self._calls:
                start = max(start, recent[0] + self._period)
            history.queue[ticket] = start
            recent.append(start)

    def _drop_impossible(self, history: CallHistory, now: float) -> None:
        """Drop entries that cannot be true, so that a damaged file never stops the calls of a machine."""
        history.not_before = min(history.not_before, now + self.LONGEST_PAUSE)
        while history.starts and history.starts[-1] > now:
            history.starts.pop()
        latest = now + self.LONGEST_PAUSE + self._period * (2 + len(history.queue) / self._calls)
        history.queue = {
            ticket: planned
            for ticket, planned in history.queue.items()
            if now - self.PATIENCE <= planned <= latest
        }

    def _give_back(self, ticket: int | None) -> None:
        if ticket is not None:
            with self._lock, self._history.locked() as history:
                history.queue.pop(ticket, None)


_limiters: dict[Hashable, RateLimiter] = {}
_lock = threading.Lock()


def rate_limiter_for(
    key: Hashable, *, calls_per_period: float, period: float, shared: bool = False
) -> RateLimiter:
    """Return the rate limiter that all users of *key* in this process share.

    :param key: identifies the quota.
    :param calls_per_period: the quota; less than one call per period stretches the period.
    :param period: seconds.
    :param shared: share the limiter with other processes of this machine, too.
    """
    calls = max(1, int(calls_per_period))
    stretched = period * calls / calls_per_period
    full_key = (key, calls, stretched)
    with _lock:
        if full_key not in _limiters:
            history = (
                SharedCallHistory(calls, key=full_key) if shared and calls <= _MAX_SHARED_CALLS else None
            )
            _limiters[full_key] = RateLimiter(calls=calls, period=stretched, history=history)
        return _limiters[full_key]


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 - a thread that the child does not have may hold the parent's lock
    _lock = threading.Lock()
    for limiter in _limiters.values():
        limiter.renew_lock()


os.register_at_fork(after_in_child=_after_fork)
