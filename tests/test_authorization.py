"""What a connection's status means: one table."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given

from airflow_provider_workato.authorization import (
    Advice,
    State,
    failure,
    has_unknown_status,
    pending_text,
    state_of,
)
from airflow_provider_workato.client.answers import parse_connection
from airflow_provider_workato.exceptions import WorkatoAuthorizationError
from tests.support.recorded import recorded_rows
from tests.support.strategies import RECORDED_ROW, fixed, result_or_error, rows

BEFORE, MIDST, AFTER = "2026-01-01T08:00:00Z", "2026-01-01T01:00:00-08:00", "2026-01-01T10:00:00.5Z"


@pytest.mark.parametrize(
    ("row", "state"),
    [
        pytest.param({"authorization_status": "success"}, State.AUTHORIZED, id="success"),
        pytest.param({"authorization_status": "failed"}, State.FAILED, id="failed"),
        pytest.param({"authorization_status": "exception"}, State.FAILED, id="exception"),
        pytest.param({"authorization_status": None}, State.WAITING, id="null"),
        pytest.param({}, State.WAITING, id="missing"),
        pytest.param({"authorization_status": "pending"}, State.WAITING, id="unknown"),
        pytest.param({"authorization_status": 5}, State.WAITING, id="odd"),
        pytest.param({"authorized_at": BEFORE}, State.WAITING, id="authorized_at proves nothing"),
        pytest.param({"authorization_status": "failed", "authorized_at": BEFORE}, State.FAILED, id="stamped"),
        pytest.param(
            {"authorization_status": "success", "connection_lost_at": AFTER, "authorized_at": MIDST},
            State.LOST,
            id="lost",
        ),
        pytest.param(
            {"authorization_status": "success", "connection_lost_at": BEFORE, "authorized_at": MIDST},
            State.AUTHORIZED,
            id="lost, then authorized again",
        ),
        pytest.param(
            {"authorization_status": "success", "connection_lost_at": MIDST, "authorized_at": MIDST},
            State.LOST,
            id="lost as it was authorized",
        ),
        pytest.param(
            {"authorization_status": "success", "connection_lost_at": AFTER}, State.LOST, id="lost for ever"
        ),
        pytest.param(
            {"authorization_status": "success", "connection_lost_at": "recently", "authorized_at": AFTER},
            State.LOST,
            id="lost at no known time",
        ),
        pytest.param(
            {
                "authorization_status": "success",
                "connection_lost_at": BEFORE,
                "authorized_at": "2026-01-01T10:00:00",
            },
            State.LOST,
            id="times that cannot be compared",
        ),
        pytest.param(
            {"authorization_status": None, "connection_lost_at": AFTER}, State.LOST, id="lost, null"
        ),
        pytest.param(
            {"authorization_status": None, "connection_lost_at": BEFORE, "authorized_at": MIDST},
            State.WAITING,
            id="disconnected since",
        ),
        pytest.param(
            {"authorization_status": "failed", "connection_lost_at": BEFORE, "authorized_at": MIDST},
            State.FAILED,
            id="lost, then failed",
        ),
    ],
)
def test_states(row: dict[str, Any], state: State) -> None:
    assert state_of({"id": 1} | row) is state


def test_states_of_recorded_rows() -> None:
    assert [state_of(row) for row in recorded_rows()] == [State.FAILED, State.WAITING, State.AUTHORIZED]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({}, "no status yet"),
        ({"authorization_status": "failed"}, "failed"),
        ({"authorization_status": "success", "connection_lost_at": AFTER}, "lost"),
        ({"authorization_status": "pending"}, "unknown status 'pending'"),
        ({"authorization_status": 5}, "unknown status '5'"),
    ],
)
def test_the_status_of_what_is_waited_for(row: dict[str, Any], text: str) -> None:
    assert pending_text([{"id": 36} | row]) == f"connection 36 ({text})"
    assert has_unknown_status(row) is text.startswith("unknown")


def test_a_text_about_many_connections_is_short() -> None:
    many = [{"id": number, "authorization_status": "x\ny" * 100} for number in range(1000)]
    assert pending_text(many).endswith(" and 995 more")
    assert len(pending_text(many)) < 600
    assert "\n" not in pending_text(many)


def test_failure_quotes_the_app_in_one_bounded_line() -> None:
    said = "GitHub said:\n" + "no " * 1000 + "t0p-s3cret"
    error = failure(
        {
            "id": 7,
            "name": "A",
            "provider": "github",
            "authorization_status": "failed",
            "authorization_error": said,
        }
    )
    assert isinstance(error, WorkatoAuthorizationError)
    assert (error.connection_id, error.authorization_status) == (7, "failed")
    assert str(error).startswith(
        "Connection 7 ('A', github) has authorization_status 'failed': GitHub said: no no"
    )
    assert len(str(error)) < 800
    assert "\n" not in str(error)


def test_failure_does_not_quote_credentials() -> None:
    row = {
        "id": 7,
        "name": "A",
        "authorization_status": "failed",
        "authorization_error": "bad t0p-s3cret here",
    }
    error = failure(row, secrets=["t0p-s3cret"])
    assert error is not None
    assert error.authorization_error == "bad *** here"
    assert "t0p-s3cret" not in f"{error}{error!r}{vars(error)}"


def test_failure_of_a_lost_connection() -> None:
    row = {
        "id": 7,
        "authorization_status": "success",
        "connection_lost_at": AFTER,
        "connection_lost_reason": "gone",
    }
    error = failure(row)
    assert error is not None
    assert str(error).endswith(f" was lost at {AFTER}: gone.")
    assert error.authorization_error == "gone"


def test_failure_without_a_reason() -> None:
    assert "'exception': no reason given" in str(failure({"id": 7, "authorization_status": "exception"}))


@pytest.mark.parametrize(
    ("advice", "parent_id", "ends"),
    [
        (None, None, "no reason given."),
        (Advice.REFUSED, 36, "Correct 'input' and clear this task, which repairs the connection."),
        (Advice.ASKED, 36, "Clear this task to ask again, or set ask_again=True."),
        (Advice.WAITED, None, "Correct the credentials or log in again in Workato, then clear this task."),
        (
            Advice.WAITED,
            36,
            "For a new login URL, clear the task that fetches it, or use ask_again=True on the create.",
        ),
    ],
)
def test_the_advice_fits_the_task_and_the_connection(
    advice: Advice | None, parent_id: int | None, ends: str
) -> None:
    row = {"id": 7, "authorization_status": "failed", "parent_id": parent_id}
    assert str(failure(row, advice=advice)).endswith(f" {ends}")


@pytest.mark.parametrize("status", ["success", None, "pending"])
def test_no_failure(status: str | None) -> None:
    assert failure({"id": 7, "authorization_status": status}) is None


@fixed
@given(row=rows())
@example(row={**RECORDED_ROW, "provider": "x\n" * 5000, "name": ["x"] * 5000})
@example(row={**RECORDED_ROW, "authorization_status": None, "connection_lost_at": "x\n" * 5000})
def test_every_connection_has_a_state_and_a_short_error(row: dict[str, Any]) -> None:
    connection = result_or_error(lambda: parse_connection(row, operation="list_connections"))
    if not isinstance(connection, dict):
        return
    assert isinstance(state_of(connection), State)
    error = failure(connection, secrets=["GitHub OAuth connection"])
    assert (error is not None) == (state_of(connection) in (State.FAILED, State.LOST))
    if error is not None:
        assert isinstance(error, WorkatoAuthorizationError)
        assert len(str(error)) < 1500
        assert str(error).isprintable()
        assert "GitHub OAuth connection" not in str(error)
