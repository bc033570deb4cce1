"""Sending a call: redirects, a task that is stopped, and any bytes as answer."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_workato.exceptions import WorkatoResponseError
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from tests.support.answers import AnsweringServer
from tests.support.hook import Connect, create, hooked
from tests.support.listener import listening
from tests.support.sandbox import RunningSandbox
from tests.support.secrets import SECRET, everything_shown
from tests.support.strategies import fixed, list_bodies, payloads, result_or_error

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


# A task that is stopped


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


# Any bytes

CALLS: dict[str, Callable[[WorkatoConnectionsHook], Any]] = {
    "list": lambda hook: hook.list_connections(),
    "iter": lambda hook: list(hook.iter_connections()),
    "create": lambda hook: hook.create_connection(name="x", provider="rest", input={"k": "s3cret"}),
    "delete": lambda hook: hook.delete_connection(1),
    "picklist": lambda hook: hook.get_picklist(1, "x"),
    "oauth_url": lambda hook: hook.get_oauth_url(1),
}
header_lines = st.builds(
    "{}: {}".format,
    st.sampled_from(
        [
            "Location",
            "Retry-After",
            "Date",
            "Content-Encoding",
            "Transfer-Encoding",
            "Content-Length",
            "Set-Cookie",
        ]
    ),
    st.sampled_from(
        [
            "http://[",
            "//",
            "http://\u2100.example",
            "gzip",
            "br",
            "chunked",
            "-1",
            "0",
            "3",
            "a=b",
            "http://x:99999999/",
        ]
    )
    | st.text(st.characters(codec="latin-1"), max_size=12),
)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Return the bytes of an answer: HTTP of any status, headers and body, or something else."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=60))
    status = draw(
        st.sampled_from([200, 200, 201, 204, 301, 302, 304, 400, 404, 422, 429, 500]) | st.integers(100, 999)
    )
    body = draw(
        st.binary(max_size=60) | payloads.map(lambda value: json.dumps(value).encode()) | list_bodies()
    )
    lines = [
        f"HTTP/1.1 {status} Whatever",
        *draw(st.lists(header_lines, max_size=3)),
        "Connection: close",
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1", "replace") + body


@pytest.fixture(scope="module")
def server() -> Iterator[AnsweringServer]:
    with closing(AnsweringServer()) as server:
        yield server


@pytest.fixture
def hook_of_server(
    server: AnsweringServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WorkatoConnectionsHook]:
    # One attempt only, else each failure would wait for the next.
    extra = {"retry_budget": 0, "calls_per_second": 1e6, "list_calls_per_minute": 1e8}
    connection = {"conn_type": "workato", "host": server.url, "password": "t0ken", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_WORKATO_DEFAULT", json.dumps(connection))
    with closing(WorkatoConnectionsHook()) as hook:
        yield hook


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@settings(fixed, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=answers())
@example(answer=b"")
@example(answer=b"HTTP/1.1 302 Found\r\nLocation: http://[\r\nContent-Length: 0\r\n\r\n")
@example(answer=b"HTTP/1.1 302 Found\r\nLocation: http://x:99999999/\r\nContent-Length: 0\r\n\r\n")
@example(answer=b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n[]")
@example(answer=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n[]")
@example(answer=b"HTTP/1.1 204 No Content\r\n\r\n")
def test_any_bytes_over_the_line_give_a_result_or_our_error(
    call: Callable[[WorkatoConnectionsHook], Any],
    answer: bytes,
    server: AnsweringServer,
    hook_of_server: WorkatoConnectionsHook,
) -> None:
    server.answer = answer
    result_or_error(lambda: call(hook_of_server))
