"""What a wait for authorization writes into its task's log: one place for all ways of waiting."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_workato.authorization import (
    State,
    has_unknown_status,
    ids_text,
    moment_text,
    pending_text,
    reason_text,
    state_of,
    status_text,
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


class Progress:
    """Tells in a task's log how a wait begins, what changes, that it still goes on, and how it ends.

    :param log: the logger of the task or the trigger.
    :param began: when the wait began, on the clock of ``time.monotonic()``.
    :param interval: seconds between two lists.
    :param deadline: when the wait fails, in seconds since the epoch, ``None`` for no deadline.
    """

    __slots__ = ("_log", "began", "deadline", "interval")

    def __init__(self, log: Any, *, began: float, interval: float, deadline: float | None) -> None:
        self._log = log
        self.began = began
        self.interval = interval
        self.deadline = deadline

    @property
    def elapsed(self) -> float:
        """For how many seconds the wait has lasted."""
        return time.monotonic() - self.began

    def waiting(
        self, pending: Sequence[WorkatoConnection], *, ids: Sequence[int] = (), reminds: bool = False
    ) -> None:
        """Tell what the wait waits for: when it begins, in a new process, and as a reminder.

        :param pending: the connections that are not authorized yet, empty if no list was seen.
        :param ids: the connections to name if no list was seen.
        :param reminds: whether this is a reminder.
        """
        elapsed = self.elapsed
        going_on = reminds or elapsed > max(self.interval, NEW)
        self._log.log(
            _level(pending),
            "%s %s. %s",
            f"Still waiting after {duration_text(elapsed)} for" if going_on else "Waiting for",
            pending_text(pending) if pending else ids_text(ids),
            schedule_text(self.interval, self.deadline),
        )

    def changed(self, pairs: Iterable[tuple[WorkatoConnection, WorkatoConnection]]) -> None:
        """Tell which statuses changed from one list to the next.

        :param pairs: connections as they were and as they are. Other changes are not told.
        """
        changes = [(before, now) for before, now in pairs if status_text(before) != status_text(now)]
        elapsed = duration_text(self.elapsed)
        for before, now in changes[:_NAMED]:
            reason = reason_text(now) if state_of(now) in (State.FAILED, State.LOST) else None
            self._log.log(
                _level([now]),
                "Connection %s: %s -> %s, after %s.%s",
                now.get("id"),
                status_text(before),
                status_text(now),
                elapsed,
                f" Reason: {reason}" if reason else "",
            )
        if len(changes) > _NAMED:
            self._log.info("The status of %d more connections changed, too.", len(changes) - _NAMED)

    def authorized(self, ids: Sequence[int]) -> None:
        """Tell that the wait ended well.

        :param ids: the connections.
        """
        self._log.info("Authorized after %s: %s.", duration_text(self.elapsed), ids_text(ids))


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
