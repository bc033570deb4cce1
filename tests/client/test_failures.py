"""The error of a failed call says what failed, why and what to do, and shows no credential."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_workato.client.failures import error_details, retry_after
from airflow_provider_workato.exceptions import (
    WorkatoApiError,
    WorkatoAuthError,
    WorkatoError,
    WorkatoNotFoundError,
    WorkatoPermissionError,
    WorkatoRateLimitError,
    WorkatoRejectedError,
    WorkatoResponseError,
    WorkatoServerError,
    WorkatoTransportError,
    WorkatoValidationError,
)
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from tests.support.hook import Connect, create, hooked
from tests.support.listener import listening
from tests.support.raw import closed_port
from tests.support.sandbox import RunningSandbox
from tests.support.secrets import SECRET, everything_shown
from tests.support.strategies import fixed, json_values, keys


@pytest.mark.parametrize(
    ("payload", "message", "fields", "support_id"),
    [
        ({"message": "Not found"}, "Not found", {}, None),
        ({"message": "Oops", "id": "3188c2d0"}, "Oops", {}, "3188c2d0"),
        ({"message": "", "error": "bad"}, "bad", {}, None),
        ({"message": {"a": 1}, "detail": "bad"}, "bad", {}, None),
        ({"id": 7}, "", {}, None),
        (
            {"errors": {"name": ["is empty", "is odd"], "x": "bad"}},
            "",
            {"name": ["is empty", "is odd"], "x": ["bad"]},
            None,
        ),
        ({"errors": [{"title": "a"}, {"message": "b"}, {"code": 3}, "d"]}, "a; b; 3; d", {}, None),
        ({"message": "m", "errors": ["d"]}, "m", {}, None),
        ({}, "", {}, None),
    ],
)
def test_bodies_of_errors(
    payload: dict[str, Any], message: str, fields: dict[str, list[str]], support_id: str | None
) -> None:
    assert error_details(payload) == (message, fields, support_id)


# Retry-After

NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "1.5"}, None),
        ({"Retry-After": "٣"}, None),
        ({"Retry-After": "30"}, 30),
        ({"Retry-After": " 30 "}, 30),
        ({"Retry-After": "9" * 5000}, 999_999_999),
        (
            {
                "Retry-After": format_datetime(NOW + timedelta(seconds=7), usegmt=True),
                "Date": format_datetime(NOW),
            },
            7,
        ),
        (
            {
                "Retry-After": format_datetime(NOW - timedelta(seconds=7), usegmt=True),
                "Date": format_datetime(NOW),
            },
            0,
        ),
        ({"Retry-After": "Sat, 31 Jan 2026 08:00:07", "Date": format_datetime(NOW)}, 7),
        ({"Retry-After": "Sat, 99 Jan 2026 08:00:07 GMT"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_retry_after_by_our_own_clock() -> None:
    in_a_minute = datetime.now(UTC) + timedelta(seconds=60)
    waiting = retry_after({"Retry-After": format_datetime(in_a_minute, usegmt=True)})
    assert waiting is not None
    assert 0 < waiting <= 60


# No answer


def test_a_refused_connection(connect: Connect) -> None:
    url = closed_port()
    with hooked(connect, host=url, retry_budget=0) as hook, pytest.raises(WorkatoTransportError) as caught:
        create(hook)
    assert caught.value.request_sent is False
    assert caught.value.operation == "create_connection"
    assert f"got no answer from host {url}: ConnectionRefusedError: Connection refused" in str(caught.value)
    assert "the request was not sent. Nothing listens there. If it is the sandbox, start it" in str(
        caught.value
    )


def test_no_such_host(connect: Connect) -> None:
    with (
        hooked(connect, host="https://workato.invalid", retry_budget=0) as hook,
        pytest.raises(WorkatoTransportError, match="the request was not sent") as caught,
    ):
        hook.list_connections()
    assert not caught.value.request_sent


def test_a_connection_that_breaks(connect: Connect, sandbox: RunningSandbox) -> None:
    sandbox.control.add_fault("reset_before_answer")
    with hooked(connect, retry_budget=0) as hook, pytest.raises(WorkatoTransportError) as caught:
        create(hook)
    assert caught.value.request_sent is True
    assert "ConnectionResetError" in str(caught.value)
    assert str(caught.value).endswith(
        "the request may have been carried out. Workato, a proxy or the network closed the connection; "
        "try again later."
    )


def test_a_read_that_got_no_answer_changed_nothing(
    connect: Connect, sandbox: RunningSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.control.add_fault("reset_before_answer")
    with hooked(connect) as hook:
        hook.list_connections()
    (retry,) = (record.getMessage() for record in caplog.records if "Trying again" in record.getMessage())
    assert "list_connections got no answer" in retry
    assert "carried out" not in retry


# What Workato says


def said_of(
    connect: Connect, sandbox: RunningSandbox, fault: str, kind: type[WorkatoApiError], **parameters: Any
) -> WorkatoApiError:
    sandbox.control.add_fault(fault, times=None, **parameters)
    with hooked(connect, retry_budget=0) as hook, pytest.raises(kind) as caught:
        hook.update_connection(36, name="A")
    assert type(caught.value) is kind
    assert caught.value.operation == "update_connection"
    assert str(caught.value).startswith("update_connection of connection 36 ")
    return caught.value


def test_401_names_every_possible_cause(connect: Connect, sandbox: RunningSandbox) -> None:
    said = str(said_of(connect, sandbox, "unauthorized", WorkatoAuthError))
    assert f"HTTP 401 at host {sandbox.url}" in said
    assert "role lacks the privilege 'Connections: Update'" in said
    # This Airflow connection sets the base URL.
    assert "only in its own data center and environment: check 'Base URL', 'API token' and the role" in said


def test_401_names_the_data_center(connect: Connect) -> None:
    with listening(status=401, body=b'{"message": "Unauthorized"}') as proxy:
        # Only the data center's name matters here.
        connect(host=proxy.url)
        hook = WorkatoConnectionsHook()
        hook.settings  # noqa: B018 - read the settings, to change them below
        object.__setattr__(hook.settings, "data_center", "eu")
        object.__setattr__(hook.settings, "address_setting", "data_center")
        with pytest.raises(WorkatoAuthError, match=r"at data center 'eu' \(http://127") as caught:
            hook.list_connections()
        assert "check 'Data center', 'API token' and the role. Workato said" in str(caught.value)
        object.__setattr__(hook.settings, "is_default_address", True)
        with pytest.raises(WorkatoAuthError, match="'Data center' is empty, so 'eu' was taken"):
            hook.list_connections()
        hook.close()


@pytest.mark.parametrize(
    ("token", "looks"),
    [
        ("wrkaeu-eyJ0", " The token looks like one of data center 'eu'."),
        ("wrkatrial-eyJ0", " The token looks like one of data center 'trial'."),
        ("wrkaxx-eyJ0", ""),
        ("0123456789abcdef", ""),
    ],
)
def test_401_of_a_token_that_names_its_data_center(connect: Connect, token: str, looks: str) -> None:
    with hooked(connect, password=token) as hook, pytest.raises(WorkatoAuthError) as caught:
        hook.list_connections()
    assert f"'API token' and the role.{looks} Workato said" in str(caught.value)
    assert token not in str(caught.value)


def test_403(connect: Connect, sandbox: RunningSandbox) -> None:
    said = str(said_of(connect, sandbox, "forbidden", WorkatoPermissionError))
    assert "Grant its API client the project and the privilege 'Connections: Update'" in said


def test_404(connect: Connect, sandbox: RunningSandbox) -> None:
    error = said_of(connect, sandbox, "not_found", WorkatoNotFoundError)
    said = str(error)
    assert "the connection was deleted, or is not visible to this token; check the id and that" in said
    assert "client of Airflow connection 'workato_default' has access to the connection's project." in said
    assert said.endswith("Workato said: 'Not found'.")


@pytest.mark.parametrize("call", ["list", "create", "test"])
def test_404_of_a_wrong_address(connect: Connect, sandbox: RunningSandbox, call: str) -> None:
    """A call without a connection id does not say that a connection was deleted."""
    with hooked(connect, host=f"{sandbox.url}/elsewhere") as hook:
        if call == "test":
            works, said = hook.test_connection()
            assert not works
        else:
            with pytest.raises(WorkatoNotFoundError) as caught:
                _ = hook.list_connections() if call == "list" else create(hook)
            said = str(caught.value)
    assert "no connections API at this address; check " in said
    which = "this connection" if call == "test" else "Airflow connection 'workato_default'"
    assert f"'Base URL' and 'Data center' of {which}" in said
    assert "deleted" not in said


def test_404_of_an_unknown_parent(hook: WorkatoConnectionsHook) -> None:
    with pytest.raises(
        WorkatoNotFoundError, match=r"the parent connection or folder does not exist.*check folder_id and"
    ):
        hook.create_runtime_user_connection(parent_id=404, folder_id=1892, external_id="user")


def test_400_has_the_field_errors(connect: Connect, sandbox: RunningSandbox) -> None:
    error = said_of(connect, sandbox, "validation_error", WorkatoValidationError)
    assert error.field_errors
    name, texts = next(iter(error.field_errors.items()))
    assert f"{name}: {', '.join(texts)}" in str(error)


@pytest.mark.parametrize(
    ("said", "end"), [("did you mean jira?", "provider: did you mean jira?"), ("is bad", "provider: is bad.")]
)
def test_field_errors_end_with_one_mark(connect: Connect, said: str, end: str) -> None:
    body = json.dumps({"errors": {"provider": [said]}}).encode()
    with (
        listening(status=400, body=body) as workato,
        hooked(connect, host=workato.url, retry_budget=0) as hook,
        pytest.raises(WorkatoValidationError) as caught,
    ):
        hook.update_connection(36, name="x")
    assert str(caught.value).endswith(end)


def test_500_has_the_support_id(connect: Connect, sandbox: RunningSandbox) -> None:
    error = said_of(connect, sandbox, "server_error", WorkatoServerError)
    assert error.support_id == "3188c2d0-29a4-4080-908e-582e7ed82580"
    assert str(error).endswith("support, give them the id 3188c2d0-29a4-4080-908e-582e7ed82580.")


def test_html_is_not_quoted(connect: Connect, sandbox: RunningSandbox) -> None:
    assert "<" not in str(said_of(connect, sandbox, "bad_gateway_html", WorkatoServerError))


@pytest.mark.parametrize("fault", ["html_page", "truncated_json"])
def test_an_answer_that_is_not_json(connect: Connect, sandbox: RunningSandbox, fault: str) -> None:
    sandbox.control.add_fault(fault, times=None)
    with (
        hooked(connect, retry_budget=0) as hook,
        pytest.raises(WorkatoResponseError, match="check the Airflow connection's Base URL and Proxies"),
    ):
        hook.get_picklist(36, "all_sobjects")


@pytest.mark.parametrize(
    ("status", "kind"), [(402, WorkatoApiError), (409, WorkatoApiError), (422, WorkatoValidationError)]
)
def test_other_statuses(connect: Connect, status: int, kind: type[WorkatoApiError]) -> None:
    body = json.dumps({"success": False, "message": "No\nway " + "x" * 2000, "id": "s" * 500}).encode()
    for content in (body, b"null", b"", b"[]"):
        with (
            listening(status=status, body=content) as workato,
            hooked(connect, host=workato.url) as hook,
            pytest.raises(WorkatoApiError) as caught,
        ):
            hook.list_connections()
        rejected = content is body
        assert type(caught.value) is (WorkatoRejectedError if rejected else kind)
        assert caught.value.status == status
        assert len(str(caught.value)) < 1500
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, WorkatoRejectedError),
        (201, WorkatoRejectedError),
        (400, WorkatoRejectedError),
        (409, WorkatoRejectedError),
        (422, WorkatoRejectedError),
        (401, WorkatoAuthError),
        (403, WorkatoPermissionError),
        (404, WorkatoNotFoundError),
        (429, WorkatoRateLimitError),
        (500, WorkatoServerError),
        (503, WorkatoServerError),
    ],
)
def test_a_rejection_of_any_status(connect: Connect, status: int, kind: type[WorkatoApiError]) -> None:
    body = b'{"success": false, "message": "used by active recipes"}'
    with (
        listening(status=status, body=body) as workato,
        hooked(connect, host=workato.url, retry_budget=0) as hook,
        pytest.raises(kind) as caught,
    ):
        hook.delete_connection(36)
    assert type(caught.value) is kind
    assert caught.value.status == status
    assert ("Stop them first" in str(caught.value)) is (kind is WorkatoRejectedError)


# Credentials that must not show


@pytest.mark.parametrize("secret", ["input", "token"])
@pytest.mark.parametrize("status", [400, 401, 422, 500])
def test_an_echo_of_a_credential(connect: Connect, sandbox: RunningSandbox, secret: str, status: int) -> None:
    sandbox.control.add_fault("echo_secret", secret=secret, status=status)
    with hooked(connect, retry_budget=0) as hook, pytest.raises(WorkatoApiError) as caught:
        create(hook)
    shown = everything_shown(caught.value)
    assert "***" in str(caught.value)
    assert SECRET not in shown
    assert sandbox.token not in shown


FAILURES = [
    "validation_error",
    "server_error",
    "unauthorized",
    "redirect",
    "html_page",
    "truncated_json",
    "null_body",
    "reset_before_answer",
    "reset_mid_body",
    "timeout",
    "slow_trickle",
    "success_false",
    "rate_limited_no_header",
    "wrong_types",
]


@pytest.mark.parametrize("fault", FAILURES)
def test_no_failure_shows_a_credential(
    connect: Connect, sandbox: RunningSandbox, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    parameters: dict[str, Any] = {"shape": "container"} if fault == "wrong_types" else {}
    sandbox.control.add_fault(fault, times=None, **parameters)
    with (
        caplog.at_level(logging.DEBUG),
        hooked(connect, connect_timeout=0.2, read_timeout=0.3, retry_budget=0) as hook,
        pytest.raises(WorkatoError) as caught,
    ):
        create(hook)
    assert "Starting new HTTP connection" in caplog.text, "urllib3 has logged at DEBUG"
    shown = everything_shown(caught.value) + caplog.text + repr(hook.transport) + repr(hook.settings)
    for credential in (SECRET, "acme-s3cret", sandbox.token):
        assert credential not in shown


def test_no_refused_connection_shows_a_credential(connect: Connect, sandbox: RunningSandbox) -> None:
    with (
        hooked(connect, host=closed_port(), retry_budget=0) as hook,
        pytest.raises(WorkatoTransportError) as caught,
    ):
        create(hook)
    assert SECRET not in everything_shown(caught.value)
    assert sandbox.token not in everything_shown(caught.value)


def test_an_apps_message_in_an_error_hides_what_looks_like_a_credential(connect: Connect) -> None:
    """The call does not know the credentials of the connection."""
    said = "401 from https://bob:Kx9-hunter2@acme.example/api?api_key=Kx9-hunter2; password: Kx9-hunter2"
    body = json.dumps({"message": said, "errors": {"input": [said]}}).encode()
    with (
        listening(status=422, body=body) as workato,
        hooked(connect, host=workato.url, retry_budget=0) as hook,
        pytest.raises(WorkatoValidationError, match="401 from https") as caught,
    ):
        hook.get_picklist(36, "projects")
    assert "hunter2" not in everything_shown(caught.value)
    assert caught.value.field_errors["input"][0].startswith("401 from https")


# Any error


@fixed
@given(payload=st.dictionaries(keys, json_values, max_size=6))
def test_the_details_of_an_error_are_texts(payload: dict[str, Any]) -> None:
    message, fields, support_id = error_details(payload)
    assert isinstance(message, str)
    assert all(isinstance(text, str) for name, texts in fields.items() for text in (name, *texts))
    assert isinstance(support_id, str | None)


@fixed
@given(
    value=st.text(max_size=40)
    | st.from_regex(
        r"(Sun, )?[0-9]{1,3} (Nov|Foo|) [0-9]{1,6} [0-9:]{1,9} ?(GMT|[+-][0-9]{1,7})?", fullmatch=True
    ),
    date=st.none() | st.sampled_from(["Sun, 22 Nov 2026 06:00:00 GMT", "Sun, 22 Nov 2026 06:00:00", "soon"]),
)
@example(value="٣", date=None)
@example(value="9" * 5000, date=None)
@example(value="Sun, 22 Nov 2026 06:00:07 GMT", date="Sun, 22 Nov 2026 06:00:00 GMT")
def test_retry_after_is_a_time_or_nothing(value: str, date: str | None) -> None:
    headers = {"Retry-After": value} | ({"Date": date} if date is not None else {})
    seconds = retry_after(headers)
    assert seconds is None or 0 <= seconds < 1e12
