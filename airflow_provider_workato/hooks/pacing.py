"""Staying under a workspace's quotas instead of running into them.

All hooks that talk to the same workspace with the same token share the pace, whatever thread they run in,
and whatever process of the same user and machine. They start in the order in which they came. Other
machines and other tokens are not seen: between them Workato's 429 and its ``Retry-After`` decide.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable

from airflow_provider_workato.hooks.turns import SharedTurns, Turns

#: A quota beyond this is none that Workato gives, and not worth a file.
_MOST_SHARED_CALLS = 600


class Pace:
    """At most *calls* calls start within any *period*, first come, first served.

    Who comes draws a ticket with the time at which it may start, and sleeps until then. When it wakes up it
    looks again: a call that started late, or a hold, may have moved it. A process that dies while it waits
    wastes no more than its own start.

    :param calls: how many calls.
    :param period: seconds.
    :param clock: a clock in seconds that is never set, the same for all processes that share *turns*.
    :param sleep: how to wait for a number of seconds.
    :param turns: where turns are remembered, in this object if left out.
    """

    #: Calls sent a period apart can arrive closer together than they were sent.
    MARGIN = 0.02
    #: No quota of Workato's is about more than a minute; what asks for longer must not stop a whole machine.
    LONGEST_HOLD = 60.0
    #: How many seconds late a sleeper may wake up before others may start in its place,
    GRACE = 0.5
    #: and until its ticket is dropped.
    PATIENCE = 5.0
    #: How many tickets there are at most. Who finds none left comes back later.
    MOST_TICKETS = 4096

    def __init__(
        self,
        *,
        calls: int,
        period: float,
        # Since the machine started: other than the time of day, nobody sets it, and all processes share it.
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        turns: Turns | None = None,
    ) -> None:
        self._calls = calls
        self._period = period * (1 + self.MARGIN)
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._turns = Turns(calls) if turns is None else turns

    def wait(self, *, first: bool = False) -> float:
        """Wait for a turn, and return when it began.

        :param first: go before all who wait, for a caller that lost the turn it had waited for.
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

    def confirm(self, turn: float) -> bool:
        """Let a turn begin now, for a caller that had something to do between its turn and its call.

        :param turn: what :meth:`wait` returned.
        :returns: whether the call may start. If not, too much time has passed, and others may have used it:
            wait for the next turn, with *first*.
        """
        with self._lock, self._turns.exclusively() as turns:
            now = self._clock()
            if not 0 <= now - turn < self._period or now < turns.not_before:
                return False
            if turn in turns.starts:
                turns.starts.remove(turn)
            turns.starts.append(now)
            return True

    def hold(self, seconds: float) -> None:
        """Let no call start for the given time, not even those that wait for a turn already.

        :param seconds: how long, as a server's ``Retry-After`` asks; a minute at most.
        """
        with self._lock, self._turns.exclusively() as turns:
            turns.not_before = max(turns.not_before, self._clock() + min(seconds, self.LONGEST_HOLD))

    def renew_lock(self) -> None:
        """Forget who holds the lock: in a fork of a process, its other threads are not there any more."""
        self._lock = threading.Lock()

    def _look(self, ticket: int | None, *, first: bool = False) -> tuple[int | None, float, float]:
        """Return the ticket, when it may start, and the time. One that may start now is used up."""
        with self._lock, self._turns.exclusively() as turns:
            now = self._clock()
            self._drop_impossible(turns, now)
            if ticket is None:
                if len(turns.queue) >= self.MOST_TICKETS and not first:
                    return None, now + self._period, now
                ticket = int.from_bytes(os.urandom(8))
                turns.queue = {ticket: now, **turns.queue} if first else {**turns.queue, ticket: now}
            elif ticket not in turns.queue:
                # Dropped meanwhile. Whoever is there now came later, or has waited no longer.
                turns.queue = {ticket: now, **turns.queue}
            self._plan(turns, now, own=ticket)
            start = turns.queue[ticket]
            if start <= now:
                del turns.queue[ticket]
                turns.starts.append(now)
            return ticket, start, now

    def _plan(self, turns: Turns, now: float, *, own: int) -> None:
        """Give every ticket the first start that those before it leave, never earlier than it had."""
        recent = deque(turns.starts, maxlen=self._calls)
        start = turns.not_before
        for ticket, planned in turns.queue.items():
            if ticket != own and planned < now - self.GRACE:
                # Its process overslept, or is gone: nobody waits for it.
                continue
            start = max(start, planned, now) if ticket == own else max(start, planned)
            if len(recent) == self._calls:
                start = max(start, recent[0] + self._period)
            turns.queue[ticket] = start
            recent.append(start)

    def _drop_impossible(self, turns: Turns, now: float) -> None:
        """Forget what cannot be so: no file, however it came about, may stop the calls of a machine."""
        turns.not_before = min(turns.not_before, now + self.LONGEST_HOLD)
        while turns.starts and turns.starts[-1] > now:
            turns.starts.pop()
        latest = now + self.LONGEST_HOLD + self._period * (2 + len(turns.queue) / self._calls)
        turns.queue = {
            ticket: planned
            for ticket, planned in turns.queue.items()
            if now - self.PATIENCE <= planned <= latest
        }

    def _give_back(self, ticket: int | None) -> None:
        if ticket is not None:
            with self._lock, self._turns.exclusively() as turns:
                turns.queue.pop(ticket, None)


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
            turns = SharedTurns(calls, key=full_key) if shared and calls <= _MOST_SHARED_CALLS else None
            _paces[full_key] = Pace(calls=calls, period=stretched, turns=turns)
        return _paces[full_key]


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 - the parent's may be held by a thread that the child does not have
    _lock = threading.Lock()
    for pace in _paces.values():
        pace.renew_lock()


os.register_at_fork(after_in_child=_after_fork)
