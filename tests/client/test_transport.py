"""How a call behaves when it fails: retries, error messages, and credentials that must not show."""

from __future__ import annotations

import gzip
import json
import logging
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_workato.client import endpoints, transport
from airflow_provider_workato.client.calls import Call
from airflow_provider_workato.client.failures import retry_after
from airflow_provider_workato.client.retries import is_ambiguous, may_repeat, may_still_run
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
    WorkatoTLSError,
    WorkatoTransportError,
    WorkatoValidationError,
)
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from tests.support.hook import Connect
from tests.support.listener import listening
from tests.support.raw import closed_port
from tests.support.sandbox import RunningSandbox
from tests.support.secrets import everything_shown
from tests.support.tls import self_signed

SECRET = "t0p-s3cret-apit0ken"
INPUT = {"deep": [{"pwd": SECRET}], "host_name": "acme-s3cret.example"}


@contextmanager
def hooked(connect: Connect, **fields: Any) -> Iterator[WorkatoConnectionsHook]:
    connect(**fields)
    hook = WorkatoConnectionsHook()
    try:
        yield hook
    finally:
        hook.close()


def create(hook: WorkatoConnectionsHook) -> dict[str, Any]:
    return hook.create_connection(name="A", provider="jira", input=INPUT)


def moments(sandbox: RunningSandbox) -> list[float]:
    return [request["at"] for request in sandbox.control.requests()]


# Retries


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


@pytest.mark.parametrize("slow", [False, True])
def test_before_send_runs_once(connect: Connect, sandbox: RunningSandbox, slow: bool) -> None:
    """It runs after the wait for the rate limiter, and only once even if it misses the start."""
    moments: list[float] = []
    left: list[float] = []
    with hooked(connect, calls_per_second=601) as hook:
        limiter = hook.transport._limiters[endpoints.Quota.OTHER]
        began = time.monotonic()
        limiter.pause(0.5)

        def before_send() -> Callable[[], None]:
            moments.append(time.monotonic())
            assert not sandbox.control.requests()
            if slow:
                time.sleep(1.1)
                limiter.pause(0.5)
            return lambda: left.append(time.monotonic())

        hook.transport.send(Call(endpoint=endpoints.DISCONNECT, connection_id=36, before_send=before_send))
    assert moments[0] - began >= 0.5
    assert len(moments) == len(left) == 1
    assert left[0] - moments[0] >= (1.6 if slow else 0), (
        "the function that it returns runs when the call is sent"
    )
    assert len(sandbox.control.requests()) == 1


def test_before_send_runs_again_if_the_call_is_sent_too_late(
    connect: Connect, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_STALE", 0.2)
    left: list[int] = []
    rounds = 0
    with hooked(connect, calls_per_second=601) as hook:
        limiter = hook.transport._limiters[endpoints.Quota.OTHER]

        def before_send() -> Callable[[], None]:
            nonlocal rounds
            rounds += 1
            number = rounds
            # Always too slow: the limiter pauses meanwhile.
            limiter.pause(0.3)
            return lambda: left.append(number)

        hook.transport.send(Call(endpoint=endpoints.DISCONNECT, connection_id=36, before_send=before_send))
    assert rounds == 3, "but not for ever"
    assert left == [3]
    assert len(sandbox.control.requests()) == 1


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


def test_a_delete_whose_answer_was_lost(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    sandbox.control.add_fault("reset_before_answer", operation="delete_connection", performed=True)
    assert hook.delete_connection(36) == {"success": True, "status": "deleted"}
    assert [request["status"] for request in sandbox.control.requests()] == [None, 404, 200], (
        "the list confirms it"
    )


def test_a_delete_that_was_refused_before_has_deleted_nothing(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox
) -> None:
    sandbox.control.add_fault("rate_limited_no_header", operation="delete_connection")
    with pytest.raises(WorkatoNotFoundError):
        hook.delete_connection(404)


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


@pytest.mark.parametrize("fault", ["timeout", "slow_trickle"])
def test_an_answer_that_takes_too_long(connect: Connect, sandbox: RunningSandbox, fault: str) -> None:
    sandbox.control.add_fault(fault, times=None)
    with (
        hooked(connect, connect_timeout=0.3, read_timeout=0.5, retry_budget=0) as hook,
        pytest.raises(WorkatoTransportError, match=r"no complete answer within 0\.5 s") as caught,
    ):
        create(hook)
    assert caught.value.request_sent is True
    assert str(caught.value).endswith("raise 'Read timeout (s)' of Airflow connection 'workato_default'.")


def test_an_error_page_without_end(connect: Connect) -> None:
    with (
        listening(status=500, body=b'{"message": "' + b"x" * 10_000_000) as workato,
        hooked(connect, host=workato.url, retry_budget=0) as hook,
        pytest.raises(WorkatoServerError) as caught,
    ):
        hook.list_connections()
    assert len(str(caught.value)) < 2000


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


def test_compressed_answers(connect: Connect) -> None:
    packed = gzip.compress(b'[{"id": 7}]')
    with (
        listening(headers={"Content-Encoding": "gzip"}, body=packed) as workato,
        hooked(connect, host=workato.url, retry_budget=0) as hook,
    ):
        assert hook.list_connections() == [{"id": 7}]
        workato.body = b"[]"
        with pytest.raises(WorkatoTransportError):
            hook.list_connections()


class Interrupted(Exception):
    """Like Airflow's own timeout: raised from a signal handler."""


def test_a_stopped_task_shows_no_credential(connect: Connect, sandbox: RunningSandbox) -> None:
    def interrupt(*_: object) -> None:
        raise Interrupted

    def stop() -> None:
        sandbox.control.wait_held()
        os.kill(os.getpid(), signal.SIGUSR1)

    sandbox.control.add_fault("hold", operation="create_connection")
    stopper = threading.Thread(target=stop)
    before = signal.signal(signal.SIGUSR1, interrupt)
    stopper.start()
    try:
        with hooked(connect) as hook, pytest.raises(Interrupted) as caught:
            create(hook)
    finally:
        stopper.join()
        signal.signal(signal.SIGUSR1, before)
    assert SECRET not in everything_shown(caught.value)
    assert sandbox.token not in everything_shown(caught.value)


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(connect: Connect, sandbox: RunningSandbox, status: int) -> None:
    with listening() as elsewhere, hooked(connect) as hook:
        sandbox.control.add_fault(
            "redirect", status=status, location=f"{elsewhere.url}/?{SECRET}", times=None
        )
        for call in (hook.list_connections, lambda: create(hook)):
            with pytest.raises(WorkatoResponseError) as caught:
                call()
            assert caught.value.status == status
            assert f"was redirected from {sandbox.url} to 127.0.0.1." in str(caught.value)
            assert SECRET not in everything_shown(caught.value)
    assert elsewhere.heard == []
    assert len(sandbox.control.requests()) == 2


@pytest.mark.parametrize("location", ["http://[", "//", "http://\xff", "/login", "http://host:port", ""])
def test_a_redirect_to_nonsense(connect: Connect, location: str) -> None:
    with (
        listening(status=302, headers={"Location": location}) as workato,
        hooked(connect, host=workato.url) as hook,
        pytest.raises(WorkatoResponseError, match="was redirected from"),
    ):
        hook.list_connections()
    assert len(workato.heard) == 1


# TLS


def test_an_unknown_certificate(connect: Connect, tmp_path: Path) -> None:
    with listening(certificate=self_signed(tmp_path / "server.pem")) as workato:
        with hooked(connect, host=workato.url) as hook, pytest.raises(WorkatoTLSError) as caught:
            create(hook)
        assert workato.heard == []
    assert caught.value.request_sent is False
    assert isinstance(caught.value, AirflowFailException)
    assert f"the certificate of {workato.url} is not trusted (self" in str(caught.value)
    assert "into 'Verify TLS' (extra verify) of Airflow connection 'workato_default'" in str(caught.value)


def test_a_certificate_for_another_host(connect: Connect, tmp_path: Path) -> None:
    certificate = self_signed(tmp_path / "server.pem", address="127.0.0.2")
    with (
        listening(certificate=certificate) as workato,
        hooked(connect, host=workato.url, verify=str(certificate)) as hook,
        pytest.raises(WorkatoTLSError, match="IP address mismatch"),
    ):
        hook.list_connections()


def test_a_ca_bundle(connect: Connect, tmp_path: Path) -> None:
    certificate = self_signed(tmp_path / "server.pem")
    with (
        listening(certificate=certificate) as workato,
        hooked(connect, host=workato.url, verify=str(certificate)) as hook,
    ):
        assert hook.list_connections() == []


def test_a_ca_bundle_of_the_environment(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = self_signed(tmp_path / "server.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with listening(certificate=certificate) as workato, hooked(connect, host=workato.url) as hook:
        assert hook.list_connections() == []


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_tls_without_verification(connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")
    with (
        listening(certificate=self_signed(tmp_path / "server.pem")) as workato,
        hooked(connect, host=workato.url, verify=False) as hook,
    ):
        assert hook.list_connections() == []


def test_tls_to_a_server_that_does_not_speak_it(connect: Connect, sandbox: RunningSandbox) -> None:
    url = sandbox.url.replace("http:", "https:")
    with hooked(connect, host=url) as hook, pytest.raises(WorkatoTLSError) as caught:
        create(hook)
    assert isinstance(caught.value, AirflowFailException)
    assert caught.value.request_sent is False
    assert "create_connection was not sent: the TLS handshake with https://127.0.0.1" in str(caught.value)
    assert "write http:// in front of 'Base URL' of Airflow connection 'workato_default'" in str(caught.value)


@contextmanager
def ending_handshakes(*, reset: bool) -> Iterator[tuple[str, list[bytes]]]:
    """Listen for TLS, and close each connection after the ClientHello."""
    heard: list[bytes] = []
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                line, _ = server.accept()
            except OSError:
                return
            with line:
                heard.append(line.recv(65_536))
                if reset:
                    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.getsockname()[1]}", heard
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


@pytest.mark.parametrize("reset", [True, False])
def test_a_handshake_that_breaks_sent_nothing(connect: Connect, reset: bool) -> None:
    """A create is retried after a broken handshake, because no byte of the request was sent."""
    with (
        ending_handshakes(reset=reset) as (url, heard),
        hooked(connect, host=url, retry_budget=1) as hook,
        pytest.raises(WorkatoTransportError, match="the request was not sent") as caught,
    ):
        create(hook)
    assert not isinstance(caught.value, WorkatoTLSError)
    assert caught.value.request_sent is False
    assert len(heard) > 1


def test_a_handshake_that_takes_too_long_sent_nothing(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"https://127.0.0.1:{mute.getsockname()[1]}"
        with (
            hooked(connect, host=url, connect_timeout=0.3, read_timeout=0.3, retry_budget=0) as hook,
            pytest.raises(
                WorkatoTransportError, match=r"no connection within 0\.3 s; the request was not sent"
            ),
        ):
            create(hook)


# Proxies and settings of the environment


@pytest.mark.parametrize("given", ["{url}", {"http": "{url}"}])
def test_the_proxy_is_used(connect: Connect, given: Any) -> None:
    with listening() as proxy:
        proxies = (
            given.format(url=proxy.url)
            if isinstance(given, str)
            else {key: value.format(url=proxy.url) for key, value in given.items()}
        )
        with hooked(connect, host="http://workato.example", allow_http=True, proxies=proxies) as hook:
            assert hook.list_connections() == []
    (heard,) = proxy.heard
    assert heard.path == "http://workato.example/api/connections"


def test_the_proxy_of_the_environment(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        with hooked(connect, host="http://workato.example", allow_http=True) as hook:
            assert hook.list_connections() == []
            assert hook.list_connections() == []
    assert len(proxy.heard) == 2


def test_a_proxy_that_is_down(connect: Connect) -> None:
    proxy = closed_port().replace("http://", "http://user:pr0xy-passw0rd@")
    with (
        hooked(connect, host="https://workato.example", proxies=proxy, retry_budget=0) as hook,
        pytest.raises(WorkatoTransportError, match="and 'Proxies' of Airflow connection") as caught,
    ):
        create(hook)
    assert caught.value.request_sent is False
    assert "pr0xy-passw0rd" not in everything_shown(caught.value)


def test_netrc_does_not_replace_the_token(
    connect: Connect, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with listening() as workato, hooked(connect, host=workato.url) as hook:
        hook.list_connections()
        hook.get_conn().get(workato.url, timeout=5)
    assert [heard.headers["Authorization"] for heard in workato.heard] == [f"Bearer {sandbox.token}"] * 2


# Error messages


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
        assert "check 'Data center', 'API token' and the role" in str(caught.value)
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


def bad_inputs() -> Iterator[Callable[[], dict[str, Any]]]:
    yield lambda: {"a": SECRET, "b": {1, 2}}
    yield lambda: {"a": SECRET, "b": float("inf")}
    yield lambda: {"a": SECRET, "b": object()}

    def endless() -> dict[str, Any]:
        made: dict[str, Any] = {"a": SECRET}
        made["self"] = made
        return made

    yield endless


@pytest.mark.parametrize("make", bad_inputs())
def test_no_refused_input_shows_a_credential(
    hook: WorkatoConnectionsHook, make: Callable[[], dict[str, Any]]
) -> None:
    with pytest.raises(WorkatoError, match="input must contain only strings, finite numbers") as caught:
        hook.create_connection(name="A", provider="jira", input=make())
    assert SECRET not in everything_shown(caught.value)


def test_the_app_may_quote_the_credentials_it_refuses(connect: Connect) -> None:
    body = {"id": 7, "authorization_status": "failed", "authorization_error": f"{SECRET} is wrong"}
    with listening(body=json.dumps(body).encode()) as workato, hooked(connect, host=workato.url) as hook:
        assert create(hook)["authorization_error"] == "*** is wrong"
