"""The watch that tells an asset of changes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from airflow_provider_workato.exceptions import WorkatoAuthError, WorkatoConfigurationError
from airflow_provider_workato.triggers.snapshots import Snapshot
from airflow_provider_workato.triggers.status import WorkatoConnectionStatusTrigger
from tests.support.airflow import on_airflow_33
from tests.support.hook import Connect
from tests.support.sandbox import RunningSandbox
from tests.support.triggerer import Runner


class Store:
    """An asset state store that lives as long as the test. The real one needs a whole triggerer."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    async def aget(self, key: str) -> Any:
        return json.loads(self.values[key]) if key in self.values else None

    async def aset(self, key: str, value: Any) -> None:
        self.values[key] = json.dumps(value)


@pytest.fixture(autouse=True)
def quick(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(retry_budget=0)
    monkeypatch.setattr(WorkatoConnectionStatusTrigger, "NOTE_AFTER", 0.0)


def watch(store: Store | None = None, **arguments: Any) -> WorkatoConnectionStatusTrigger:
    trigger = WorkatoConnectionStatusTrigger(**{"poke_interval": 0.1, **arguments})
    trigger.asset_state_store = store  # type: ignore[assignment]
    return trigger


def lists(sandbox: RunningSandbox) -> int:
    return len(sandbox.control.requests(operation="list_connections"))


def has_fired(runner: Runner, number: int, times: int) -> bool:
    return len(runner.fired(number)) >= times


async def polls(runner: Runner, sandbox: RunningSandbox, count: int = 2) -> None:
    """Let that many more lists be fetched, so that what they show has been seen."""
    goal = lists(sandbox) + count
    await runner.until(lambda: lists(sandbox) >= goal)


@on_airflow_33
def test_fires_once_per_change(sandbox: RunningSandbox) -> None:
    (number,) = sandbox.control.seed(count=1, authorization_status=None)

    async def scenario() -> list[Any]:
        runner = Runner()
        watching = runner.start(watch(connection_id=number))
        await polls(runner, sandbox)
        for change in (
            lambda: sandbox.control.authorize(number),
            lambda: sandbox.control.lose(number, reason="token refresh refused"),
            lambda: sandbox.control.authorize(number),
            lambda: sandbox.control.fail(number, error="no longer valid"),
        ):
            goal = len(runner.fired(watching)) + 1
            await asyncio.to_thread(change)
            await runner.until(partial(has_fired, runner, watching, goal))
            await polls(runner, sandbox, 3)
            assert len(runner.fired(watching)) == goal
        await runner.stop()
        return runner.fired(watching)

    events = asyncio.run(scenario())
    assert [event["change"] for event in events] == ["authorized", "lost", "authorized", "failed"]
    assert events[1]["connection"]["connection_lost_reason"] == "token refresh refused"
    json.dumps(events)


@on_airflow_33
def test_a_restart_neither_repeats_nor_misses(sandbox: RunningSandbox) -> None:
    (told, missed) = sandbox.control.seed(count=2, authorization_status=None)
    store = Store()

    async def before() -> None:
        runner = Runner()
        watching = runner.start(watch(store, changes=["authorized"]))
        await polls(runner, sandbox)
        sandbox.control.authorize(told)
        await runner.until(lambda: runner.fired(watching))
        await runner.until(lambda: str(told) in "".join(store.values.values()))
        await runner.stop()

    async def after() -> list[Any]:
        runner = Runner()
        watching = runner.start(watch(store, changes=["authorized"]))
        await runner.until(lambda: runner.fired(watching))
        await polls(runner, sandbox, 3)
        await runner.stop()
        return runner.fired(watching)

    asyncio.run(before())
    sandbox.control.authorize(missed)
    assert [event["connection"]["id"] for event in asyncio.run(after())] == [missed]


@on_airflow_33
def test_what_is_so_already_does_not_fire(sandbox: RunningSandbox) -> None:
    async def scenario() -> None:
        runner = Runner()
        watching = runner.start(watch())
        await polls(runner, sandbox, 3)
        assert runner.fired(watching) == []
        await runner.stop()

    asyncio.run(scenario())


@on_airflow_33
@pytest.mark.parametrize(
    "selection",
    [{"external_id": "ours"}, {"folder_id": 1892}, {"provider": "jira"}],
    ids=lambda s: next(iter(s)),
)
def test_selection(sandbox: RunningSandbox, selection: dict[str, Any]) -> None:
    ours, theirs = sandbox.control.seed(
        [
            {"name": "a", "provider": "jira", "folder_id": 1892, "external_id": "ours"},
            {"name": "b", "provider": "gmail", "folder_id": 4515, "external_id": "theirs"},
        ]
    )

    async def scenario() -> list[Any]:
        runner = Runner()
        watching = runner.start(watch(**selection))
        await polls(runner, sandbox)
        sandbox.control.authorize_all([theirs])
        sandbox.control.authorize_all([ours])
        await runner.until(lambda: runner.fired(watching))
        await polls(runner, sandbox)
        await runner.stop()
        return runner.fired(watching)

    assert [event["connection"]["id"] for event in asyncio.run(scenario())] == [ours]


def test_a_list_that_misses_rows_makes_no_news_of_them() -> None:
    row = {"id": 36, "authorization_status": "success"}

    async def lists() -> AsyncIterator[Snapshot]:
        for rows in ({}, {36: row}, {}, {36: row}):
            yield Snapshot(rows, time.time() + 1)

    async def scenario() -> list[Any]:
        return [event.payload async for event in watch().filter_shared_stream(lists())]

    assert asyncio.run(scenario()) == [{"change": "authorized", "connection": row}]


@on_airflow_33
def test_errors_never_fire(sandbox: RunningSandbox) -> None:
    sandbox.control.add_fault("unauthorized", operation="list_connections", times=None)

    async def scenario() -> tuple[list[Any], BaseException | None]:
        runner = Runner()
        watching = runner.start(watch())
        await runner.until(runner.tasks[watching].done)
        return runner.fired(watching), runner.tasks[watching].exception()

    fired, error = asyncio.run(scenario())
    assert fired == []
    assert isinstance(error, WorkatoAuthError)


@pytest.mark.parametrize("arguments", [{"changes": []}, {"changes": ["gone"]}, {"connection_id": "x"}])
def test_wrong_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(WorkatoConfigurationError):
        watch(**arguments)


def test_serialized_arguments_rebuild_it() -> None:
    trigger = watch(connection_id="36", changes=["lost"], provider="jira")
    classpath, kwargs = trigger.serialize()
    assert classpath == f"{type(trigger).__module__}.{type(trigger).__qualname__}"
    assert WorkatoConnectionStatusTrigger(**kwargs).serialize()[1] == kwargs
    assert kwargs["connection_id"] == 36
