"""What lists mean for a wait, what ends it, and in which words it tells how it goes."""

from __future__ import annotations

import logging
import math
import re
import time
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowTaskTimeout

from airflow_provider_workato.authorization import Advice, failure_mark, ids_text, not_in_list, pending_text
from airflow_provider_workato.exceptions import (
    WorkatoAuthError,
    WorkatoAuthorizationError,
    WorkatoNotFoundError,
    WorkatoServerError,
)
from airflow_provider_workato.wait import DecodedRow, Wait, duration_text, next_reminder, schedule_text

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


def wait(*ids: int, **options: Any) -> Wait:
    defaults: dict[str, Any] = {"log": logging.getLogger("wait"), "interval": 30, "began": time.monotonic()}
    return Wait(ids, **defaults | options)


def see(one: Wait, *rows: dict[str, Any], age: float = 0.0) -> list[dict[str, Any]] | None:
    return one.see({row["id"]: DecodedRow(row) for row in rows}, time.monotonic() - age)


def test_only_a_change_of_the_status_is_told(caplog: pytest.LogCaptureFixture) -> None:
    before: Any = {"id": 36, "authorization_status": None, "name": "A"}
    one = wait(36, began=time.monotonic() - 232, fail_fast=False)
    see(one, before)
    caplog.clear()
    caplog.set_level("INFO")
    see(one, before | {"name": "B"})
    assert caplog.messages == []
    see(
        one,
        before | {"connection_lost_at": "2026-01-31T08:00:00Z", "connection_lost_reason": "token\nexpired"},
    )
    assert caplog.messages == [
        "Connection 36: no status yet -> lost, after 3 min 52 s. Reason: token expired"
    ]


def test_the_log_is_told_what_is_waited_for_once_and_then_now_and_then(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    one = wait(3)
    see(one, OPEN)
    see(one, OPEN)
    assert caplog.messages == ["Waiting for connection 3 (no status yet). Polling every 30 s."]
    one.began -= 301
    see(one, OPEN)
    one.remind()
    assert caplog.messages[1:] == [
        "Still waiting after 5 min 1 s for connection 3 (no status yet). Polling every 30 s."
    ]


# What a list means

OK: dict[str, Any] = {"id": 1, "authorization_status": "success"}
BAD: dict[str, Any] = {"id": 2, "authorization_status": "failed"}
OPEN: dict[str, Any] = {"id": 3, "authorization_status": None}
ROWS = (OK, BAD, OPEN)


def test_all_have_to_be_authorized() -> None:
    assert see(wait(1), *ROWS) == [OK]
    assert see(wait(1, 1), *ROWS) == [OK, OK]
    one = wait(1, 3)
    assert see(one, *ROWS) is None
    assert one.pending() == [OPEN]


def test_one_failure_ends_the_wait() -> None:
    with pytest.raises(WorkatoAuthorizationError) as caught:
        see(one := wait(1, 3, 2), *ROWS)
    assert caught.value.connection_id == 2
    assert one.seen() == [OK, OPEN, BAD]


def test_a_person_may_try_again() -> None:
    one = wait(1, 2, fail_fast=False)
    assert see(one, *ROWS) is None
    assert one.pending() == [BAD]


def test_a_failure_from_before_the_wait_does_not_end_it() -> None:
    mark = failure_mark(BAD)
    assert mark
    one = wait(2, known_failures=[mark])
    assert see(one, *ROWS) is None
    with pytest.raises(WorkatoAuthorizationError):
        see(one, BAD | {"authorized_at": "2026-01-31T08:00:00Z"})


@pytest.mark.parametrize("fail_fast", [True, False])
def test_what_is_gone_does_not_come_back(fail_fast: bool) -> None:
    with pytest.raises(
        WorkatoNotFoundError, match=r"^Connection 8 is not in the list of connections: deleted, or"
    ):
        see(wait(1, 8, fail_fast=fail_fast), *ROWS)
    with pytest.raises(WorkatoNotFoundError, match=r"^Connections 9, 8 are not in the list"):
        see(wait(9, 8, fail_fast=fail_fast), *ROWS)


def test_a_wait_advises_what_its_task_can_do() -> None:
    for advice in (Advice.WAITED, Advice.ASKED):
        with pytest.raises(WorkatoAuthorizationError, match=f"{re.escape(advice)}$"):
            see(wait(2, advice=advice), *ROWS)


@pytest.mark.parametrize("accepts", [True, False])
def test_an_older_list_proves_a_success_at_most(accepts: bool) -> None:
    since = time.monotonic()
    accepted = [OK] if accepts else None
    assert see(wait(1, since=since, accept_newest=accepts), *ROWS, age=20) == accepted
    assert see(wait(1, since=since, accept_newest=accepts), *ROWS, age=40) is None
    for number in (2, 9):
        assert see(wait(number, since=since, accept_newest=accepts), *ROWS, age=1) is None


# What ends it besides


@pytest.mark.parametrize("most", [0, 2, None])
def test_polls_may_fail_now_and_then(most: int | None) -> None:
    outage, one = WorkatoServerError("m", status=503), wait(3, max_failed_polls=most)
    for _ in range(20 if most is None else most):
        one.see_failure(outage)
    if most is not None:
        with pytest.raises(WorkatoServerError) as caught:
            one.see_failure(outage)
        assert caught.value is not outage
        assert caught.value.status == 503
    see(one, OPEN)
    if most:
        one.see_failure(outage)


@pytest.mark.parametrize("most", [5, None])
def test_a_rejected_token_ends_it_at_the_second_poll(most: int | None) -> None:
    one = wait(3, max_failed_polls=most)
    one.see_failure(WorkatoAuthError("m"))
    with pytest.raises(WorkatoAuthError):
        one.see_failure(WorkatoAuthError("m"))


LIMITS: dict[str, Any] = {"timeout": 60.0, "execution_timeout": 17.0}


@pytest.mark.parametrize(
    ("limits", "error", "text"),
    [
        ({"deadline": 5.0}, AirflowSensorTimeout, "the specified timeout of 60 s"),
        ({"deadline": 5.0, "execution_deadline": 6.0}, AirflowSensorTimeout, "the specified timeout of 60 s"),
        ({"deadline": 5.0, "execution_deadline": 4.0}, AirflowTaskTimeout, "the execution_timeout of 17 s"),
        ({"execution_deadline": 4.0}, AirflowTaskTimeout, "the execution_timeout of 17 s"),
    ],
)
def test_a_timeout_names_what_is_pending(
    limits: dict[str, Any], error: type[BaseException], text: str
) -> None:
    one = wait(1, 3, **LIMITS, **limits)
    assert f"for connections 1, 3 (Workato's list was not received) after {text}" in str(one.timed_out())
    see(one, *ROWS)
    assert type(one.timed_out()) is error
    assert f"Still waiting for connection 3 (no status yet) after {text}." in str(one.timed_out())


@pytest.mark.parametrize(("most", "error"), [(5, WorkatoServerError), (None, AirflowSensorTimeout)])
def test_an_outage_is_no_timeout(most: int | None, error: type[BaseException]) -> None:
    one = wait(3, deadline=5.0, **LIMITS, max_failed_polls=most)
    one.see_failure(WorkatoServerError("m"))
    assert type(one.timed_out()) is error
    see(one, OPEN)
    assert type(one.timed_out()) is AirflowSensorTimeout


def test_it_shows_no_more_than_it_may() -> None:
    def shown(connection: dict[str, Any]) -> dict[str, Any]:
        return {**connection, "authorization_error": None}

    one = wait(2, shown=shown)
    with pytest.raises(WorkatoAuthorizationError, match="no reason given"):
        see(one, BAD | {"authorization_error": "s3cret"})
    assert "s3cret" not in str(one.seen())
