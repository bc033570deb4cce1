"""The words in which a wait tells how it goes."""

from __future__ import annotations

import logging
import math
import time
from typing import Any

import pytest

from airflow_provider_workato.authorization import ids_text, not_in_list, pending_text
from airflow_provider_workato.progress import Progress, duration_text, next_reminder, schedule_text

FAILED = {
    "authorization_status": "failed",
    "authorized_at": "2026-01-31T08:00:00-08:00",
    "created_at": "2026-01-01T08:00:00Z",
}
LOST = FAILED | {"authorization_status": "success", "connection_lost_at": "2026-01-31T17:00:00Z"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0.4, "0 s"),
        (52, "52 s"),
        (59.6, "1 min"),
        (232, "3 min 52 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (7384, "2 h 3 min"),
        (90_000, "1 d 1 h"),
        (604_800, "7 d"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_reminders_become_rarer() -> None:
    minutes, elapsed = [], 0.0
    while elapsed < 5 * 3600:
        elapsed = next_reminder(elapsed)
        minutes.append(elapsed / 60)
    assert minutes == [5, 10, 20, 40, 80, 140, 200, 260, 320]


@pytest.mark.parametrize(
    ("interval", "deadline", "text"),
    [
        (30, None, "Polling every 30 s."),
        (0.5, None, "Polling every 0.5 s."),
        (90, None, "Polling every 1 min 30 s."),
        (30, 1769850000.4, "Polling every 30 s until 2026-01-31 09:00:00 UTC."),
        (30, 1e12, "Polling every 30 s."),
        (30, math.inf, "Polling every 30 s."),
    ],
)
def test_what_is_said_of_the_schedule(interval: float, deadline: float | None, text: str) -> None:
    assert schedule_text(interval, deadline) == text


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (
            {"created_at": "2026-01-31T08:00:00.5-08:00"},
            "no status yet, created 2026-01-31 16:00:00 UTC",
        ),
        (FAILED, "failed, last attempt 2026-01-31 16:00:00 UTC"),
        (FAILED | {"authorized_at": None}, "failed, created 2026-01-01 08:00:00 UTC"),
        (LOST, "lost at 2026-01-31 17:00:00 UTC"),
        (LOST | {"connection_lost_at": "recently"}, "lost, created 2026-01-01 08:00:00 UTC"),
        ({"created_at": "2026-01-31T08:00:00"}, "no status yet"),
        ({"created_at": "yesterday"}, "no status yet"),
        ({"created_at": "0001-01-01T00:00:00+10:00"}, "no status yet"),
        # It may be the time of a new name.
        ({"updated_at": "2026-01-31T08:00:00Z"}, "no status yet"),
    ],
)
def test_since_when_a_connection_is_not_authorized(row: Any, text: str) -> None:
    assert pending_text([{"id": 36} | row], dated=True) == f"connection 36 ({text})"


def test_a_long_list_of_ids_is_cut() -> None:
    assert ids_text([36]) == "connection 36"
    assert ids_text([1, 2]) == "connections 1, 2"
    assert ids_text(range(1, 193)) == "connections 1, 2, 3, 4, 5 and 187 more"
    missing = str(not_in_list(range(1, 193)))
    assert missing.startswith("Connections 1, 2, 3, 4, 5 and 187 more are not in the list of connections")


def test_only_a_change_of_the_status_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    progress = Progress(logging.getLogger("wait"), began=time.monotonic() - 232, interval=30, deadline=None)
    before: Any = {"id": 36, "authorization_status": "success", "name": "A"}
    progress.changed([(before, before | {"name": "B"})])
    assert caplog.messages == []
    lost = before | {"connection_lost_at": "2026-01-31T08:00:00Z", "connection_lost_reason": "token\nexpired"}
    progress.changed([(before, lost)])
    assert caplog.messages == ["Connection 36: authorized -> lost, after 3 min 52 s. Reason: token expired"]
