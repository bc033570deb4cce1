"""Many waits, one poll: in Airflow's own trigger runner, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from typing import Any, cast

import pytest

from airflow_provider_workato.exceptions import (
    WorkatoAuthError,
    WorkatoPermissionError,
    from_data,
)
from airflow_provider_workato.triggers import shared_list
from airflow_provider_workato.triggers.connections import WorkatoConnectionTrigger
from airflow_provider_workato.triggers.shared_list import ListKey, PollFailed
from airflow_provider_workato.triggers.status import WorkatoConnectionStatusTrigger
from tests.support.airflow import on_airflow_33
from tests.support.hook import Connect
from tests.support.listener import listening
from tests.support.sandbox import RunningSandbox
from tests.support.supervisor import supervised
from tests.support.triggerer import Runner
from tests.support.watching import latest

#: The list of everything.
KEY: ListKey = ("workato_default", ())

pytestmark = [pytest.mark.anyio, on_airflow_33]


@pytest.fixture(autouse=True)
def every_poll_is_one_call(connect: Connect) -> None:
    connect(retry_budget=0)


def lists(sandbox: RunningSandbox) -> int:
    return len(sandbox.control.requests(operation="list_connections"))


def failed_polls(key: ListKey) -> bool:
    return isinstance(latest(key, max_age=3600), PollFailed)


def wait_for(connection_id: int, **arguments: Any) -> WorkatoConnectionTrigger:
    defaults = {"workato_conn_id": "workato_default", "poke_interval": 0.5}
    return WorkatoConnectionTrigger(connection_id=connection_id, **{**defaults, **arguments})


async def test_fifty_waits_make_one_poll_per_interval(sandbox: RunningSandbox, runner: Runner) -> None:
    ids = sandbox.control.seed(count=50, authorization_status=None)
    began = time.monotonic()
    for number in ids:
        runner.start(wait_for(number))
    await runner.until(lambda: lists(sandbox) >= 4)
    assert runner.events == []
    sandbox.control.authorize_all(ids)
    await runner.until(lambda: len(runner.events) == 50)
    took = time.monotonic() - began
    await asyncio.gather(*runner.tasks.values())
    # A slow machine makes fewer polls; a poll for each wait would make 50 at once.
    assert lists(sandbox) <= took / 0.5 + 1


async def test_waits_and_watches_share_the_poll(sandbox: RunningSandbox, runner: Runner) -> None:
    (first, second) = sandbox.control.seed(count=2, authorization_status=None)
    waiting = runner.start(wait_for(first, poke_interval=1.0))
    watching = runner.start(WorkatoConnectionStatusTrigger(connection_id=second, poke_interval=1.0))
    await runner.until(lambda: lists(sandbox) >= 1)
    began, before = time.monotonic(), lists(sandbox)
    sandbox.control.authorize_all([first, second])
    await runner.until(lambda: runner.fired(waiting) and runner.fired(watching))
    assert lists(sandbox) - before <= (time.monotonic() - began) / 1.0 + 1


async def test_late_joiner_is_answered_without_a_call(sandbox: RunningSandbox, runner: Runner) -> None:
    (early, late) = sandbox.control.seed(count=2, authorization_status=None)
    sandbox.control.authorize(late)
    runner.start(wait_for(early, poke_interval=3600))
    await runner.until(lambda: latest(KEY, max_age=3600))
    joiner = runner.start(wait_for(late, poke_interval=3600, accept_newest=True))
    await runner.until(lambda: runner.fired(joiner))
    assert lists(sandbox) == 1


async def test_late_joiner_that_needs_a_newer_list_need_not_wait_for_the_interval(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, runner: Runner
) -> None:
    monkeypatch.setattr(shared_list, "SOON", 0.5)
    ids = sandbox.control.seed(count=21, authorization_status=None)
    runner.start(wait_for(ids[0], poke_interval=3600))
    await runner.until(lambda: latest(KEY, max_age=3600))
    sandbox.control.authorize_all(ids[1:])
    joiners = [runner.start(wait_for(number, poke_interval=3600)) for number in ids[1:]]
    await runner.until(lambda: all(runner.fired(joiner) for joiner in joiners))
    # One newer list served them all.
    assert lists(sandbox) == 2


async def test_joiner_during_a_call_need_not_wait_for_the_interval(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, runner: Runner
) -> None:
    monkeypatch.setattr(shared_list, "SOON", 0.5)
    (early, late) = sandbox.control.seed(count=2, authorization_status=None)
    sandbox.control.add_fault("hold", operation="list_connections", performed=True)
    runner.start(wait_for(early, poke_interval=3600))
    await runner.until(sandbox.control.held)
    # The list that is on its way does not show this.
    sandbox.control.authorize(late)
    joiner = runner.start(wait_for(late, poke_interval=3600))
    await asyncio.sleep(0)
    sandbox.control.release()
    await runner.until(lambda: runner.fired(joiner))
    assert lists(sandbox) == 2


async def test_transient_failure_fails_nobody(sandbox: RunningSandbox, runner: Runner) -> None:
    ids = sandbox.control.seed(count=10, authorization_status=None)
    sandbox.control.add_fault("server_error", operation="list_connections", times=2)
    for number in ids:
        runner.start(wait_for(number))
    await runner.until(lambda: lists(sandbox) >= 3)
    assert not any(task.done() for task in runner.tasks.values())
    sandbox.control.authorize_all(ids)
    await runner.until(lambda: len(runner.events) == 10)
    await asyncio.gather(*runner.tasks.values())


async def test_permanent_failure_fails_everybody_with_the_real_error(
    sandbox: RunningSandbox, runner: Runner
) -> None:
    ids = sandbox.control.seed(count=10, authorization_status=None)
    for number in ids:
        runner.start(wait_for(number))
    await runner.until(lambda: lists(sandbox) >= 1)
    sandbox.control.add_fault("unauthorized", operation="list_connections", times=None)
    await runner.until(lambda: all(task.done() for task in runner.tasks.values()))
    errors = [from_data(event.payload["error"]) for _, event in runner.events]
    assert {type(error) for error in errors} == {WorkatoAuthError}
    assert "Connections: List" in str(errors[0])
    assert len(errors) == 10


#: One poll that failed, whatever the reason, is no proof that the next one will.
ONE_BAD_POLL = ["unauthorized", "forbidden", "not_found", "validation_error", "success_false", "html_page"]


@pytest.mark.parametrize("fault", ONE_BAD_POLL)
async def test_one_bad_poll_ends_no_wait_and_no_watch(
    sandbox: RunningSandbox, fault: str, runner: Runner
) -> None:
    ids = sandbox.control.seed(count=5, authorization_status=None)
    waits = [runner.start(wait_for(number, poke_interval=0.1)) for number in ids]
    watch = runner.start(WorkatoConnectionStatusTrigger(poke_interval=0.1))
    await runner.until(lambda: lists(sandbox) >= 2)
    sandbox.control.add_fault(fault, operation="list_connections", times=1)
    before = lists(sandbox)
    await runner.until(lambda: lists(sandbox) >= before + 3)
    assert not any(task.done() for task in runner.tasks.values())
    sandbox.control.authorize_all(ids)
    await runner.until(lambda: all(runner.fired(number) for number in waits))
    await runner.until(lambda: len(runner.fired(watch)) == 5)


async def test_an_airflow_connection_that_is_missing_for_a_moment(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, runner: Runner
) -> None:
    known = os.environ["AIRFLOW_CONN_WORKATO_DEFAULT"]
    monkeypatch.delenv("AIRFLOW_CONN_WORKATO_DEFAULT")
    wait = runner.start(wait_for(36, poke_interval=0.3))
    await runner.until(lambda: latest(KEY, max_age=3600))
    monkeypatch.setenv("AIRFLOW_CONN_WORKATO_DEFAULT", known)
    await runner.until(lambda: runner.fired(wait))


@pytest.mark.parametrize(
    "wrong",
    [{"host": "http://127.0.0.1:9"}, {"proxies": {"http": "http://127.0.0.1:9"}}],
    ids=["host", "proxies"],
)
async def test_a_corrected_airflow_connection_is_read_while_a_watch_keeps_polling(
    sandbox: RunningSandbox,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    wrong: dict[str, Any],
    runner: Runner,
) -> None:
    # Without this, no proxy is used for the sandbox's address.
    monkeypatch.delenv("NO_PROXY")
    connect(retry_budget=0, **wrong)
    runner.start(WorkatoConnectionStatusTrigger(poke_interval=0.1))
    await runner.until(lambda: failed_polls(KEY))
    assert lists(sandbox) == 0
    connect(retry_budget=0)
    wait = runner.start(wait_for(36, poke_interval=0.1))
    await runner.until(lambda: runner.fired(wait), deadline=10)


async def test_another_data_center_for_the_same_token_is_tried_at_once(
    sandbox: RunningSandbox, connect: Connect, runner: Runner
) -> None:
    with listening(status=401, body=b"{}") as elsewhere:
        connect(host=elsewhere.url, retry_budget=0)
        wait = runner.start(wait_for(36, poke_interval=0.1, max_failed_polls=100))
        await runner.until(lambda: elsewhere.heard)
        connect(retry_budget=0)
        await runner.until(lambda: runner.fired(wait), deadline=10)


async def test_an_airflow_connection_that_cannot_be_read_again_is_used_as_it_was(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, runner: Runner
) -> None:
    runner.start(WorkatoConnectionStatusTrigger(poke_interval=0.1))
    await runner.until(lambda: lists(sandbox))
    monkeypatch.delenv("AIRFLOW_CONN_WORKATO_DEFAULT")
    sandbox.control.add_fault("server_error", operation="list_connections", times=1)
    before = lists(sandbox)
    await runner.until(lambda: lists(sandbox) >= before + 3, deadline=10)


async def test_a_watch_narrows_nobodys_list(sandbox: RunningSandbox, runner: Runner) -> None:
    (elsewhere,) = sandbox.control.seed(count=1, folder_id=4515, authorization_status=None)
    # Whoever comes first opens the stream for all.
    runner.start(WorkatoConnectionStatusTrigger(folder_id=1892, poke_interval=0.2))
    watch = runner.start(WorkatoConnectionStatusTrigger(poke_interval=0.2))
    wait = runner.start(wait_for(elsewhere, poke_interval=0.2))
    await runner.until(lambda: lists(sandbox) >= 2)
    assert not any(task.done() for task in runner.tasks.values())
    sandbox.control.authorize(elsewhere)
    await runner.until(lambda: runner.fired(wait) and runner.fired(watch))
    queries = {request["query"] for request in sandbox.control.requests(operation="list_connections")}
    assert queries == {"include_runtime_connections=true"}


async def test_an_error_is_small_however_many_wait(sandbox: RunningSandbox, runner: Runner) -> None:
    sandbox.control.add_fault("forbidden", operation="list_connections", times=None)
    for number in range(1, 201):
        runner.start(wait_for(number, poke_interval=0.05, max_failed_polls=1))
    await runner.until(lambda: all(task.done() for task in runner.tasks.values()))
    shown = [json.dumps(event.payload) for _, event in runner.events]
    assert len(shown) == 200
    assert max(map(len, shown)) < 2_000
    error = from_data(json.loads(shown[-1])["error"])
    assert isinstance(error, WorkatoPermissionError)
    assert (error.status, error.operation) == (403, "list_connections")


async def test_a_list_is_as_old_as_the_waits_own_interval_at_most(
    sandbox: RunningSandbox, runner: Runner
) -> None:
    (early, late) = sandbox.control.seed(count=2, authorization_status=None)
    sandbox.control.authorize(late)
    runner.start(wait_for(early, poke_interval=3600))
    await runner.until(lambda: latest(KEY, max_age=3600))
    sandbox.control.lose(late, reason="gone")
    await asyncio.sleep(0.5)
    wait = runner.start(wait_for(late, poke_interval=0.4, accept_newest=True))
    await runner.until(lambda: runner.fired(wait))
    (event,) = runner.fired(wait)
    assert event["connections"][0]["connection_lost_reason"] == "gone"


async def test_waits_that_begin_one_after_the_other_are_answered_together(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, runner: Runner
) -> None:
    monkeypatch.setattr(shared_list, "SOON", 1.0)
    ids = sandbox.control.seed(count=13, authorization_status=None)
    runner.start(wait_for(ids[0], poke_interval=600))
    await runner.until(lambda: latest(KEY, max_age=600))
    sandbox.control.authorize_all(ids[1:])
    joiners = []
    for number in ids[1:]:
        joiners.append(runner.start(wait_for(number, poke_interval=600)))
        # Half of what ends the gathering; the twelve take far longer than that.
        await asyncio.sleep(0.2)
    await runner.until(lambda: all(runner.fired(joiner) for joiner in joiners))
    assert lists(sandbox) == 2


async def test_however_many_waits_begin_their_lists_are_half_a_minute_apart(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, runner: Runner
) -> None:
    monkeypatch.setattr(shared_list, "SOON", 0.1)
    monkeypatch.setattr(shared_list, "TOGETHER", 1.0)
    ids = sandbox.control.seed(count=2, authorization_status=None)
    runner.start(wait_for(ids[0], poke_interval=600))
    await runner.until(lambda: latest(KEY, max_age=600))
    began = time.monotonic()
    while time.monotonic() - began < 2.5:
        runner.start(wait_for(ids[1], poke_interval=600))
        await asyncio.sleep(0.15)
    took = time.monotonic() - began
    calls = lists(sandbox) - 1
    assert 1 <= calls <= took / 1.0 + 1


async def test_nothing_of_ours_speaks_to_the_supervisor_from_a_thread(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, runner: Runner
) -> None:
    from airflow.sdk.execution_time.comms import ConnectionResult

    monkeypatch.delenv("AIRFLOW_CONN_WORKATO_DEFAULT")
    known: Any = cast(Any, ConnectionResult)(
        conn_id="workato_default",
        conn_type="workato",
        host=sandbox.url,
        password=sandbox.token,
        schema=None,
        login=None,
        port=None,
        extra=None,
    )

    with supervised(GetConnection=known) as supervisor:
        wait = runner.start(wait_for(36))
        await runner.until(lambda: runner.fired(wait))
    assert "GetConnection" in {type(message).__name__ for message in supervisor.sent}
    assert supervisor.threads == {threading.get_ident()}


async def test_two_cadences_stay_under_the_quota(
    sandbox: RunningSandbox, connect: Connect, runner: Runner
) -> None:
    connect(list_calls_per_minute=6)
    (first, second) = sandbox.control.seed(count=2, authorization_status=None)
    sandbox.control.set_quota(list_per_minute=6)
    runner.start(wait_for(first, poke_interval=0.2))
    runner.start(wait_for(second, poke_interval=0.3, folder_id=4515))
    await runner.until(lambda: lists(sandbox) >= 6)
    # Unpaced, each of the two would have called several times more by now.
    await asyncio.sleep(2)
    assert lists(sandbox) == 6
    assert sandbox.control.counts()["too_many_requests"] == 0
