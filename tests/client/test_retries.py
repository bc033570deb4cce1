"""Which failed calls are sent again, when, and when no more."""

from __future__ import annotations

import logging
import time

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_workato.client import endpoints
from airflow_provider_workato.client.retries import is_ambiguous, may_repeat, may_still_run
from airflow_provider_workato.exceptions import (
    WorkatoApiError,
    WorkatoAuthError,
    WorkatoError,
    WorkatoRateLimitError,
    WorkatoRejectedError,
    WorkatoResponseError,
    WorkatoServerError,
    WorkatoTLSError,
    WorkatoTransportError,
    WorkatoValidationError,
)
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from tests.support.hook import Connect, create, hooked
from tests.support.listener import listening
from tests.support.sandbox import RunningSandbox


def moments(sandbox: RunningSandbox) -> list[float]:
    return [request["at"] for request in sandbox.control.requests()]


@pytest.mark.parametrize("fault", ["rate_limited_seconds", "rate_limited_date"])
def test_retry_after_is_waited_for(hook: WorkatoConnectionsHook, sandbox: RunningSandbox, fault: str) -> None:
    sandbox.control.add_fault(fault, seconds=1 if fault == "rate_limited_seconds" else 2)
    assert len(hook.list_connections()) == 1
    first, second = moments(sandbox)
    assert second - first >= 1


@pytest.mark.parametrize(
    "fault",
    ["rate_limited_nonsense", "rate_limited_no_header", "server_error", "reset_mid_body", "html_page"],
)
def test_repeated_until_it_works(hook: WorkatoConnectionsHook, sandbox: RunningSandbox, fault: str) -> None:
    sandbox.control.add_fault(fault, times=2)
    assert len(hook.list_connections()) == 1
    assert len(sandbox.control.requests()) == 3


def test_every_retry_is_logged(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.control.add_fault("service_unavailable")
    hook.list_connections()
    (said,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert said.startswith("list_connections failed with HTTP 503 at host")
    assert said.endswith("(attempt 2).")


# The budget


@pytest.mark.parametrize("fault", ["server_error", "rate_limited_no_header", "reset_before_answer"])
def test_without_a_budget_there_is_no_retry(connect: Connect, sandbox: RunningSandbox, fault: str) -> None:
    sandbox.control.add_fault(fault, times=None)
    with hooked(connect, retry_budget=0) as hook, pytest.raises(WorkatoError):
        hook.list_connections()
    assert len(sandbox.control.requests()) == 1


def test_the_budget_ends_the_retries(connect: Connect, sandbox: RunningSandbox) -> None:
    sandbox.control.add_fault("server_error", times=None)
    with hooked(connect, retry_budget=1.5) as hook, pytest.raises(WorkatoServerError, match="3188c2d0"):
        hook.list_connections()
    sent = moments(sandbox)
    assert len(sent) > 1
    # Each attempt begins within the budget; the sandbox logs it when it arrives.
    assert sent[-1] - sent[0] < 1.5 + 1


def test_a_retry_after_beyond_the_budget_is_left_to_airflow(connect: Connect) -> None:
    with (
        # A separate host, since the pause applies to all callers of one host.
        listening(status=429, headers={"Retry-After": "3600"}) as workato,
        hooked(connect, host=workato.url, retry_budget=2) as hook,
        pytest.raises(WorkatoRateLimitError) as caught,
    ):
        create(hook)
    assert caught.value.retry_after == 3600
    assert not isinstance(caught.value, AirflowFailException)
    assert "run fewer Workato tasks in parallel" in str(caught.value)
    assert len(workato.heard) == 1


def test_waiting_for_the_rate_limiter_uses_no_budget(connect: Connect, sandbox: RunningSandbox) -> None:
    """After two seconds in the queue, the whole one-second budget is left."""
    sandbox.control.add_fault("service_unavailable")
    with hooked(connect, retry_budget=1, list_calls_per_minute=601) as hook:
        hook.transport._limiters[endpoints.Quota.LIST].pause(2)
        hook.list_connections()
    assert len(sandbox.control.requests()) == 2


def test_pauses_between_attempts_use_the_budget(connect: Connect, sandbox: RunningSandbox) -> None:
    sandbox.control.add_fault("rate_limited_seconds", seconds=1, times=None)
    began = time.monotonic()
    with (
        hooked(connect, retry_budget=2.5, list_calls_per_minute=602) as hook,
        pytest.raises(WorkatoRateLimitError),
    ):
        hook.list_connections()
    assert time.monotonic() - began < 4
    assert len(sandbox.control.requests()) in (2, 3)


# Which calls


@pytest.mark.parametrize(
    "fault",
    ["unauthorized", "forbidden", "not_found", "validation_error", "success_false", "redirect"],
)
def test_permanent_errors_are_not_retried(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, fault: str
) -> None:
    sandbox.control.add_fault(fault, times=None)
    with pytest.raises(WorkatoApiError):
        hook.disconnect_connection(36)
    assert len(sandbox.control.requests()) == 1


@pytest.mark.parametrize(
    ("fault", "performed"),
    [
        ("reset_before_answer", True),
        ("reset_before_answer", False),
        ("close_before_answer", True),
        ("reset_mid_body", True),
        ("server_error", False),
        ("bad_gateway_html", True),
        ("html_page", True),
        ("truncated_json", True),
        ("null_body", True),
    ],
)
def test_a_create_is_not_retried_if_it_may_have_been_carried_out(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, fault: str, performed: bool
) -> None:
    sandbox.control.add_fault(fault, performed=performed)
    with pytest.raises(WorkatoError) as caught:
        create(hook)
    assert is_ambiguous(caught.value)
    assert not isinstance(caught.value, AirflowFailException)
    assert len(sandbox.control.requests()) == 1
    assert len(sandbox.control.connections()) == 1 + performed


def test_a_create_that_was_rejected_by_the_quota_is_retried(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox
) -> None:
    sandbox.control.add_fault("rate_limited_no_header", times=2)
    create(hook)
    assert len(sandbox.control.requests()) == 3
    assert len(sandbox.control.connections()) == 2


LOST = WorkatoTransportError("", request_sent=True)
UNSENT = WorkatoTransportError("", request_sent=False)


@pytest.mark.parametrize(
    ("error", "ambiguous", "running", "create_again", "read_again"),
    [
        (LOST, True, True, False, True),
        (UNSENT, False, False, True, True),
        (WorkatoTLSError("", request_sent=False), False, False, False, False),
        (WorkatoServerError("", status=500), True, False, False, True),
        (WorkatoServerError("", status=503), True, False, False, True),
        (WorkatoServerError("", status=502), True, True, False, True),
        (WorkatoServerError("", status=504), True, True, False, True),
        (WorkatoServerError("", status=520), True, True, False, True),
        (WorkatoServerError("", status=524), True, True, False, True),
        (WorkatoServerError("", status=408), True, True, False, True),
        (WorkatoRateLimitError("", status=429), False, False, True, True),
        (WorkatoResponseError("", status=200), True, False, False, True),
        (WorkatoResponseError("", status=302), False, False, False, False),
        (WorkatoResponseError(""), False, False, False, False),
        (WorkatoValidationError("", status=400), False, False, False, False),
        (WorkatoAuthError("", status=401), False, False, False, False),
        (WorkatoRejectedError("", status=200), False, False, False, False),
        (ValueError(), False, False, False, False),
    ],
)
def test_which_calls_may_be_retried(
    error: Exception, ambiguous: bool, running: bool, create_again: bool, read_again: bool
) -> None:
    assert is_ambiguous(error) is ambiguous
    assert may_still_run(error) is running
    assert (
        may_repeat(endpoints.CREATE, error)
        is may_repeat(endpoints.CREATE_RUNTIME_USER, error)
        is create_again
    )
    assert may_repeat(endpoints.LIST, error) is may_repeat(endpoints.UPDATE, error) is read_again


@pytest.mark.parametrize("status", [408, 520, 524])
def test_a_proxy_in_front_of_workato_gives_up(connect: Connect, status: int) -> None:
    with (
        listening(status=status, body=b"origin timed out") as workato,
        hooked(connect, host=workato.url, retry_budget=0) as hook,
        pytest.raises(WorkatoServerError) as caught,
    ):
        create(hook)
    assert is_ambiguous(caught.value)
    assert may_still_run(caught.value)
