"""One wait for authorization, the same on a worker and in a triggerer."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_workato.authorization import (
    Advice,
    State,
    failure,
    has_unknown_status,
    ids_text,
    moment_text,
    not_in_list,
    pending_text,
    reason_text,
    state_for_wait,
    state_of,
    status_text,
)
from airflow_provider_workato.exceptions import WorkatoAuthError, WorkatoError
from airflow_provider_workato.version_compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowTaskTimeout,
)

if TYPE_CHECKING:
    from airflow_provider_workato.client.answers import WorkatoConnection

#: The first reminder comes after this many seconds, the next ones after twice the time each.
FIRST_REMINDER = 300.0

#: The longest time in seconds between two reminders.
RARELY = 3600.0

#: A wait that lasted no longer than this many seconds, or than one interval, is called new.
NEW = 60.0

#: The most changes that one list is quoted with.
_NAMED = 5


def next_reminder(elapsed: float) -> float:
    """Return after how many seconds of waiting the next reminder is due: 5, 10, 20, 40 minutes, then hourly.

    :param elapsed: for how many seconds the wait has lasted.
    """
    due = FIRST_REMINDER
    while due <= elapsed:
        due = min(2 * due, due + RARELY)
    return due


def duration_text(seconds: float) -> str:
    """Return a duration as its two largest units, such as ``3 min 52 s``.

    :param seconds: the duration.
    """
    left = max(0, round(seconds))
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


class Row(Protocol):
    """One connection of a list: its state known, the rest decoded when it is needed."""

    @property
    def state(self) -> State:
        """What its status means."""

    def connection(self) -> WorkatoConnection:
        """Return the whole connection."""


class DecodedRow:
    """A row of a list that was decoded as a whole.

    :param connection: the connection.
    """

    __slots__ = ("_connection", "state")

    def __init__(self, connection: WorkatoConnection) -> None:
        self._connection = connection
        self.state = state_of(connection)

    def connection(self) -> WorkatoConnection:
        """Return the whole connection."""
        return self._connection


class Wait:
    """One wait for connections: what each list means for it, what it logs, and what ends it.

    A worker gives it each list until :meth:`see` returns the connections or raises. A trigger gives it what
    it gets of a shared list, and sends the outcome to a worker, which judges nothing.

    :param ids: the connections.
    :param log: the logger of the task or the trigger.
    :param interval: seconds between two lists.
    :param began: when the whole wait began, on the clock of ``time.monotonic()``.
    :param since: an older list proves no failure (same clock); ``None`` if all lists are new.
    :param deadline: when *timeout* is over, in seconds since the epoch, ``None`` for no deadline.
    :param timeout: seconds that the wait may last, for the error.
    :param execution_deadline: when the task's *execution_timeout* is over.
    :param execution_timeout: seconds that the task may last, for the error.
    :param fail_fast: give up on the first connection that failed or was lost; otherwise keep waiting, since
        a person may log in again. A missing connection always ends the wait.
    :param known_failures: the marks of failures that happened before the wait and do not end it, from
        :func:`~airflow_provider_workato.authorization.failure_mark`.
    :param accept_newest: accept a list from up to one interval before *since* as proof of success.
    :param max_failed_polls: how many polls in a row may fail; ``None`` for any number of failures that a
        retry could cure, and the default number of others. A rejected API token (401) may fail once.
    :param advice: what the error for a connection that failed or was lost advises.
    :param shown: what the log, the errors and the result may show of a connection; ``None`` for all of it.
    :param tell_after: after how many seconds of waiting the log tells of it next.
    """

    __slots__ = (
        "_accept_newest",
        "_advice",
        "_fail_fast",
        "_failed",
        "_failure",
        "_interval",
        "_known_failures",
        "_log",
        "_max_failed_polls",
        "_refused",
        "_rows",
        "_shown",
        "_tell_after",
        "began",
        "deadline",
        "execution_deadline",
        "execution_timeout",
        "ids",
        "listed_at",
        "since",
        "timeout",
    )

    #: How many polls in a row may fail by default.
    MAX_FAILED_POLLS = 5

    def __init__(
        self,
        ids: Sequence[int],
        *,
        log: Any,
        interval: float,
        began: float,
        since: float | None = None,
        deadline: float | None = None,
        timeout: float | None = None,
        execution_deadline: float | None = None,
        execution_timeout: float | None = None,
        fail_fast: bool = True,
        known_failures: Collection[str] = (),
        accept_newest: bool = False,
        max_failed_polls: int | None = MAX_FAILED_POLLS,
        advice: Advice = Advice.WAITED,
        shown: Callable[[WorkatoConnection], WorkatoConnection] | None = None,
        tell_after: float = 0.0,
    ) -> None:
        self.ids = ids
        self._log = log
        self._interval = interval
        self.began = began
        self.since = -math.inf if since is None else since
        self.deadline = deadline
        self.timeout = timeout
        self.execution_deadline = execution_deadline
        self.execution_timeout = execution_timeout
        self._fail_fast = fail_fast
        self._known_failures = known_failures
        self._accept_newest = accept_newest
        self._max_failed_polls = max_failed_polls
        self._advice = advice
        self._shown = shown
        self._tell_after = tell_after
        self._rows: Sequence[Row | None] = ()
        #: When the list with these rows was requested, on the clock of ``time.monotonic()``.
        self.listed_at = -math.inf
        self._failed = self._refused = 0
        self._failure: WorkatoError | None = None

    @property
    def elapsed(self) -> float:
        """For how many seconds the wait has lasted."""
        return time.monotonic() - self.began

    @property
    def ends(self) -> float | None:
        """When the wait fails, in seconds since the epoch, ``None`` for never."""
        given = (each for each in (self.deadline, self.execution_deadline) if each is not None)
        return min(given, default=None)

    def see(self, rows: Mapping[int, Row], listed_at: float) -> list[WorkatoConnection] | None:
        """Return the connections if all are authorized, ``None`` while the wait goes on.

        :param rows: a list of connections, by id.
        :param listed_at: when it was requested, on the clock of ``time.monotonic()``.
        :raises WorkatoAuthorizationError: if one failed or was lost, and *fail_fast* is set.
        :raises WorkatoNotFoundError: if one is not in the list.
        """
        self._failed = self._refused = 0
        self._failure = None
        wanted = [rows.get(number) for number in self.ids]
        found = [row for row in wanted if row is not None]
        states = [self._state(row) for row in found]
        is_missing = len(found) < len(wanted)
        if not is_missing and all(state is State.AUTHORIZED for state in states):
            oldest = self.since - self._interval if self._accept_newest else self.since
            if listed_at < oldest:
                return None
            connections = [self._decoded(row) for row in found]
            self._log.info("Authorized after %s: %s.", duration_text(self.elapsed), ids_text(self.ids))
            return connections
        ended = [row for row, state in zip(found, states, strict=True) if state in (State.FAILED, State.LOST)]
        is_over = is_missing or (bool(ended) and self._fail_fast)
        if is_over and listed_at < self.since:
            return None
        before, self._rows, self.listed_at = self._rows, wanted, listed_at
        self._tell_changes(before)
        if is_missing:
            raise not_in_list([number for number in self.ids if number not in rows])
        if is_over:
            raise next(filter(None, (failure(self._decoded(row), advice=self._advice) for row in ended)))
        self.remind()
        return None

    def see_failure(self, error: WorkatoError) -> None:
        """Count a failed poll.

        :param error: why it failed. It may be shared by many waits: each raises a copy.
        :raises WorkatoError: if too many polls in a row failed.
        """
        self._failed += 1
        self._refused += isinstance(error, AirflowFailException)
        if self._has_failed_too_often(error):
            raise copy.copy(error)
        self._failure = error
        if self.ends is None or time.time() < self.ends:
            self._log.warning("%s The wait continues with the next poll.", error)

    def _has_failed_too_often(self, error: WorkatoError) -> bool:
        if isinstance(error, WorkatoAuthError):
            # A token may be about to be replaced: try twice, not more often.
            return self._refused > 1 or self._max_failed_polls == 0
        if self._max_failed_polls is None:
            return isinstance(error, AirflowFailException) and self._refused > self.MAX_FAILED_POLLS
        return self._failed > self._max_failed_polls

    def timed_out(
        self, pending: Sequence[WorkatoConnection] = (), *, by_execution: bool | None = None
    ) -> WorkatoError | AirflowSensorTimeout | AirflowTaskTimeout:
        """Return the error of a wait that has lasted too long.

        :param pending: the connections that are not authorized, if no list was seen here.
        :param by_execution: whether the ``execution_timeout`` is over rather than the wait's own; ``None``
            for the earlier one.
        """
        if self._failure is not None and self._max_failed_polls is not None:
            # As on a worker, an outage is not a timeout, so that the task's retries apply.
            return copy.copy(self._failure)
        if by_execution is None:
            by_execution = self.execution_deadline is not None and self.ends != self.deadline
        shown = pending_text(pending or self.pending(), dated=True)
        shown = shown or f"{ids_text(self.ids)} (Workato's list was not received)"
        says = f"Still waiting for {shown} after the "
        cure = "Finish the authorization and clear this task, or set a longer "
        if by_execution:
            # The error that Airflow raises on a worker, so that the task's retries apply.
            return AirflowTaskTimeout(
                f"{says}execution_timeout of {self.execution_timeout:g} s. {cure}execution_timeout."
            )
        return AirflowSensorTimeout(f"{says}specified timeout of {self.timeout:g} s. {cure}timeout.")

    def seen(self) -> list[WorkatoConnection]:
        """Return the connections of the newest list."""
        return [self._decoded(row) for row in self._rows if row is not None]

    def pending(self) -> list[WorkatoConnection]:
        """Return those that are not authorized, empty if no list was seen."""
        return [
            self._decoded(row) for row in self._rows if row is not None and row.state is not State.AUTHORIZED
        ]

    def remind(self) -> None:
        """Log that the wait still goes on, if it is time for that.

        The first time, also in a new process, it tells what it waits for.
        """
        elapsed = self.elapsed
        if elapsed < self._tell_after:
            return
        pending = self.pending()
        going_on = self._tell_after > 0 or elapsed > max(self._interval, NEW)
        self._tell_after = next_reminder(elapsed)
        self._log.log(
            _level(pending),
            "%s %s. %s",
            f"Still waiting after {duration_text(elapsed)} for" if going_on else "Waiting for",
            pending_text(pending) if pending else ids_text(self.ids),
            schedule_text(self._interval, self.ends),
        )

    def _tell_changes(self, before: Sequence[Row | None]) -> None:
        pairs = (
            (self._decoded(old), self._decoded(new))
            for old, new in zip(before, self._rows, strict=False)
            # In a shared list, an unchanged row is the same object as before.
            if old is not None and new is not None and old is not new
        )
        changes = [(old, new) for old, new in pairs if status_text(old) != status_text(new)]
        elapsed = duration_text(self.elapsed)
        for old, new in changes[:_NAMED]:
            reason = reason_text(new) if state_of(new) in (State.FAILED, State.LOST) else None
            self._log.log(
                _level([new]),
                "Connection %s: %s -> %s, after %s.%s",
                new.get("id"),
                status_text(old),
                status_text(new),
                elapsed,
                f" Reason: {reason}" if reason else "",
            )
        if len(changes) > _NAMED:
            self._log.info("The status of %d more connections changed, too.", len(changes) - _NAMED)

    def _state(self, row: Row) -> State:
        if self._known_failures and row.state in (State.FAILED, State.LOST):
            return state_for_wait(row.connection(), self._known_failures)
        return row.state

    def _decoded(self, row: Row) -> WorkatoConnection:
        connection = row.connection()
        return connection if self._shown is None else self._shown(connection)


def schedule_text(interval: float, deadline: float | None) -> str:
    """Return how a wait polls, such as ``Polling every 30 s.``, with the deadline if there is one.

    :param interval: seconds between two lists.
    :param deadline: when the wait fails, in seconds since the epoch, ``None`` for no deadline.
    """
    until = ""
    if deadline is not None:
        # A timeout may end after the last day of the calendar.
        try:
            until = f" until {moment_text(datetime.fromtimestamp(round(deadline), UTC))}"
        except (OverflowError, ValueError, OSError):
            until = ""
    every = f"{interval:g} s" if interval < 60 else duration_text(interval)
    return f"Polling every {every}{until}."


def _level(rows: Sequence[WorkatoConnection]) -> int:
    return logging.WARNING if any(map(has_unknown_status, rows)) else logging.INFO
