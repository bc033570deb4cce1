"""Sending a call: what happens right before it, redirects, and a task that is stopped."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from airflow_provider_workato.client import endpoints, transport
from airflow_provider_workato.client.calls import Call
from airflow_provider_workato.exceptions import WorkatoResponseError
from tests.support.hook import Connect, create, hooked
from tests.support.listener import listening
from tests.support.sandbox import RunningSandbox
from tests.support.secrets import SECRET, everything_shown

# Before a call is sent


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
