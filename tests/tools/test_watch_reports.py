"""Changes that were reported are compared with those that happened."""

from __future__ import annotations

from typing import Any

from tools.watch_reports import WatchReports, compare


def change(
    number: int, at: float, *, status: str | None = None, lost_at: str | None = None
) -> dict[str, Any]:
    row = {"provider": "jira", "authorization_status": status, "connection_lost_at": lost_at}
    return {"id": number, "at": at, "connection": row}


def event(number: int, became: str) -> dict[str, Any]:
    return {"extra": {"payload": {"change": became, "connection": {"id": number}}}}


def reports(
    changes: list[dict[str, Any]], events: list[dict[str, Any]], *, lasting: float | None = 10
) -> WatchReports:
    return compare(changes, events, providers=["jira"], now=100, lasting=lasting)


def test_a_change_that_lasted_must_be_reported_once() -> None:
    happened = [change(1, 0), change(1, 5, status="success")]
    assert reports(happened, [event(1, "authorized")]) == WatchReports(count=1, twice=[], missed=[])
    assert reports(happened, []).missed == [(1, "authorized")]
    assert reports(happened, [event(1, "authorized")] * 2).twice == [(1, "authorized")]


def test_a_change_that_was_over_soon_may_be_reported() -> None:
    happened = [change(1, 5, status="success"), {"id": 1, "at": 6, "connection": None}]
    for events in ([], [event(1, "authorized")]):
        assert reports(happened, events) == WatchReports(count=1, twice=[], missed=[])


def test_a_new_change_is_missed_only_if_asked_for() -> None:
    happened = [change(1, 99, status="failed")]
    assert reports(happened, []).missed == []
    assert reports(happened, [], lasting=None).missed == [(1, "failed")]


def test_each_loss_is_a_change() -> None:
    happened = [
        change(1, 0, status="success"),
        change(1, 20, status="success", lost_at="2026-01-01"),
        change(1, 40, status="success"),
        change(1, 60, status="success", lost_at="2026-01-02"),
    ]
    events = [event(1, "authorized"), event(1, "lost")] * 2
    assert reports(happened, events) == WatchReports(count=4, twice=[], missed=[])
    assert reports(happened, events[:3]).missed == [(1, "lost")]


def test_other_apps_are_not_watched() -> None:
    other = change(1, 0, status="success")
    other["connection"]["provider"] = "slack"
    assert reports([other], []).count == 0
