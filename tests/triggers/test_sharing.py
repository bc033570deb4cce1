"""Many waits, one poll: in Airflow's own trigger runner, over real HTTP."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from airflow_provider_workato.exceptions import WorkatoAuthError
from airflow_provider_workato.triggers import snapshots
from airflow_provider_workato.triggers.connections import WorkatoConnectionTrigger
from airflow_provider_workato.triggers.snapshots import SnapshotSource
from airflow_provider_workato.triggers.status import WorkatoConnectionStatusTrigger
from tests.support.airflow import on_airflow_33
from tests.support.hook import Connect
from tests.support.sandbox import RunningSandbox
from tests.support.triggerer import Runner

pytestmark = on_airflow_33


@pytest.fixture(autouse=True)
def every_poll_is_one_call(connect: Connect) -> None:
    connect(retry_budget=0)


def lists(sandbox: RunningSandbox) -> int:
    return len(sandbox.control.requests(operation="list_connections"))


def wait_for(connection_id: int, **arguments: Any) -> WorkatoConnectionTrigger:
    defaults = {"workato_conn_id": "workato_default", "poke_interval": 0.5}
    return WorkatoConnectionTrigger(connection_id=connection_id, **{**defaults, **arguments})


def test_fifty_waits_make_one_poll_per_interval(sandbox: RunningSandbox) -> None:
    ids = sandbox.control.seed(count=50, authorization_status=None)

    async def scenario() -> tuple[int, float]:
        runner, began = Runner(), time.monotonic()
        for number in ids:
            runner.start(wait_for(number))
        await runner.until(lambda: lists(sandbox) >= 4)
        assert runner.events == []
        sandbox.control.authorize_all(ids)
        await runner.until(lambda: len(runner.events) == 50)
        took = time.monotonic() - began
        await asyncio.gather(*runner.tasks.values())
        return lists(sandbox), took

    calls, took = asyncio.run(scenario())
    # A slow machine makes fewer polls; a poll for each wait would make 50 at once.
    assert calls <= took / 0.5 + 1


def test_waits_and_watches_share_the_poll(sandbox: RunningSandbox) -> None:
    (first, second) = sandbox.control.seed(count=2, authorization_status=None)

    async def scenario() -> None:
        runner = Runner()
        waiting = runner.start(wait_for(first, poke_interval=1.0))
        watching = runner.start(WorkatoConnectionStatusTrigger(connection_id=second, poke_interval=1.0))
        await runner.until(lambda: lists(sandbox) >= 1)
        began, before = time.monotonic(), lists(sandbox)
        sandbox.control.authorize_all([first, second])
        await runner.until(lambda: runner.fired(waiting) and runner.fired(watching))
        assert lists(sandbox) - before <= (time.monotonic() - began) / 1.0 + 1
        await runner.stop()

    asyncio.run(scenario())


def test_late_joiner_is_answered_without_a_call(sandbox: RunningSandbox) -> None:
    (early, late) = sandbox.control.seed(count=2, authorization_status=None)
    sandbox.control.authorize(late)

    async def scenario() -> None:
        runner = Runner()
        runner.start(wait_for(early, poke_interval=3600))
        await runner.until(lambda: SnapshotSource.newest(("workato_default", ())))
        joiner = runner.start(wait_for(late, poke_interval=3600, accept_newest=True))
        await runner.until(lambda: runner.fired(joiner))
        assert lists(sandbox) == 1
        await runner.stop()

    asyncio.run(scenario())


def test_late_joiner_that_needs_a_newer_list_need_not_wait_for_the_interval(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "SOON", 0.5)
    ids = sandbox.control.seed(count=21, authorization_status=None)

    async def scenario() -> None:
        runner = Runner()
        runner.start(wait_for(ids[0], poke_interval=3600))
        await runner.until(lambda: SnapshotSource.newest(("workato_default", ())))
        sandbox.control.authorize_all(ids[1:])
        joiners = [runner.start(wait_for(number, poke_interval=3600)) for number in ids[1:]]
        await runner.until(lambda: all(runner.fired(joiner) for joiner in joiners))
        # One newer list served them all.
        assert lists(sandbox) == 2
        await runner.stop()

    asyncio.run(scenario())


def test_joiner_during_a_call_need_not_wait_for_the_interval(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "SOON", 0.5)
    (early, late) = sandbox.control.seed(count=2, authorization_status=None)
    sandbox.control.add_fault("hold", operation="list_connections", performed=True)

    async def scenario() -> None:
        runner = Runner()
        runner.start(wait_for(early, poke_interval=3600))
        await runner.until(sandbox.control.held)
        # The list that is on its way does not show this.
        sandbox.control.authorize(late)
        joiner = runner.start(wait_for(late, poke_interval=3600))
        await asyncio.sleep(0)
        sandbox.control.release()
        await runner.until(lambda: runner.fired(joiner))
        assert lists(sandbox) == 2
        await runner.stop()

    asyncio.run(scenario())


def test_transient_failure_fails_nobody(sandbox: RunningSandbox) -> None:
    ids = sandbox.control.seed(count=10, authorization_status=None)
    sandbox.control.add_fault("server_error", operation="list_connections", times=2)

    async def scenario() -> None:
        runner = Runner()
        for number in ids:
            runner.start(wait_for(number))
        await runner.until(lambda: lists(sandbox) >= 3)
        assert not any(task.done() for task in runner.tasks.values())
        sandbox.control.authorize_all(ids)
        await runner.until(lambda: len(runner.events) == 10)
        await asyncio.gather(*runner.tasks.values())

    asyncio.run(scenario())


def test_permanent_failure_fails_everybody_with_the_real_error(sandbox: RunningSandbox) -> None:
    ids = sandbox.control.seed(count=10, authorization_status=None)

    async def scenario() -> list[BaseException | None]:
        runner = Runner()
        for number in ids:
            runner.start(wait_for(number))
        await runner.until(lambda: lists(sandbox) >= 1)
        sandbox.control.add_fault("unauthorized", operation="list_connections", times=None)
        await runner.until(lambda: all(task.done() for task in runner.tasks.values()))
        assert runner.events == []
        return [task.exception() for task in runner.tasks.values()]

    errors = asyncio.run(scenario())
    assert {type(error) for error in errors} == {WorkatoAuthError}
    assert "Connections: List" in str(errors[0])


def test_two_cadences_stay_under_the_quota(sandbox: RunningSandbox, connect: Connect) -> None:
    connect(list_calls_per_minute=6)
    (first, second) = sandbox.control.seed(count=2, authorization_status=None)
    sandbox.control.set_quota(list_per_minute=6)

    async def scenario() -> None:
        runner = Runner()
        runner.start(wait_for(first, poke_interval=0.2))
        runner.start(wait_for(second, poke_interval=0.3, folder_id=4515))
        await runner.until(lambda: lists(sandbox) >= 6)
        # Unpaced, each of the two would have called several times more by now.
        await asyncio.sleep(2)
        assert lists(sandbox) == 6
        assert sandbox.control.counts()["too_many_requests"] == 0
        await runner.stop()

    asyncio.run(scenario())
