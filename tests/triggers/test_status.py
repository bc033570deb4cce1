"""The watch that tells an asset of changes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from airflow_provider_workato.exceptions import WorkatoConfigurationError
from airflow_provider_workato.triggers import reports
from airflow_provider_workato.triggers.connections import WorkatoConnectionTrigger
from airflow_provider_workato.triggers.shared_list import Snapshot
from airflow_provider_workato.triggers.status import WorkatoConnectionStatusTrigger
from tests.support.airflow import on_airflow_33
from tests.support.hook import Connect
from tests.support.sandbox import RunningSandbox
from tests.support.triggerer import Runner
from tests.support.watching import events, latest, lists, polls, snapshot, watch

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def quick(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(retry_budget=0)
    monkeypatch.setattr(reports, "STORE_AFTER", 0.0)


AUTHORIZED = {"id": 36, "folder_id": 1892, "authorization_status": "success"}
FAILED = AUTHORIZED | {"authorization_status": "failed"}
NEVER = AUTHORIZED | {"authorization_status": None}


def has_fired(runner: Runner, number: int, times: int) -> bool:
    return len(runner.fired(number)) >= times


@on_airflow_33
async def test_fires_once_per_change(sandbox: RunningSandbox, runner: Runner) -> None:
    (number,) = sandbox.control.seed(count=1, authorization_status=None)
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
    events = runner.fired(watching)
    assert [event["change"] for event in events] == ["authorized", "lost", "authorized", "failed"]
    assert events[1]["connection"]["connection_lost_reason"] == "token refresh refused"
    json.dumps(events)


@on_airflow_33
async def test_it_says_once_what_it_watches(
    sandbox: RunningSandbox, capsys: pytest.CaptureFixture[str], runner: Runner
) -> None:
    runner.start(watch(changes=["failed", "lost"], poke_interval=0.1))
    await polls(runner, sandbox, count=3)
    said = "Watching for connections that become failed or lost. Polling every 0.1 s. The list has "
    assert capsys.readouterr().out.count(said) == 1


@on_airflow_33
async def test_it_says_if_its_filters_select_nothing(
    sandbox: RunningSandbox, capsys: pytest.CaptureFixture[str], runner: Runner
) -> None:
    sandbox.control.seed([{"name": "CRM", "provider": "salesforce", "external_id": "acme"}])
    runner.start(watch(provider="salesforce", external_id="acme", poke_interval=0.1))
    runner.start(watch(provider="Salesforce", external_id="acme", poke_interval=0.1))
    await polls(runner, sandbox, count=3)
    said = capsys.readouterr().out
    assert said.count("No connection of the list has ") == 1
    assert "No connection of the list has external_id=acme, provider=Salesforce yet." in said


@on_airflow_33
async def test_what_is_so_already_does_not_fire(sandbox: RunningSandbox, runner: Runner) -> None:
    watching = runner.start(watch())
    await polls(runner, sandbox, 3)
    assert runner.fired(watching) == []


@on_airflow_33
@pytest.mark.parametrize(
    "selection",
    [{"external_id": "ours"}, {"folder_id": 1892}, {"provider": "jira"}],
    ids=lambda s: next(iter(s)),
)
async def test_selection(sandbox: RunningSandbox, selection: dict[str, Any], runner: Runner) -> None:
    ours, theirs = sandbox.control.seed(
        [
            {"name": "a", "provider": "jira", "folder_id": 1892, "external_id": "ours"},
            {"name": "b", "provider": "gmail", "folder_id": 4515, "external_id": "theirs"},
        ]
    )

    watching = runner.start(watch(**selection))
    await polls(runner, sandbox)
    sandbox.control.authorize_all([theirs])
    sandbox.control.authorize_all([ours])
    await runner.until(lambda: runner.fired(watching))
    await polls(runner, sandbox)
    assert [event["connection"]["id"] for event in runner.fired(watching)] == [ours]


async def test_a_list_that_misses_rows_makes_no_news_of_them() -> None:
    row = {"id": 36, "authorization_status": "success"}

    async def lists() -> AsyncIterator[Snapshot]:
        for rows in ({}, {36: row}, {}, {36: row}):
            yield snapshot(rows)

    assert [event.payload async for event in watch().events(lists())] == [
        {"change": "authorized", "connection": row}
    ]


@on_airflow_33
async def test_errors_never_fire_and_never_end_it(sandbox: RunningSandbox, runner: Runner) -> None:
    (number,) = sandbox.control.seed(count=1, authorization_status=None)

    watching = runner.start(watch())
    await polls(runner, sandbox)
    sandbox.control.add_fault("unauthorized", operation="list_connections", times=8)
    await polls(runner, sandbox, 10)
    assert runner.fired(watching) == []
    sandbox.control.authorize(number)
    await runner.until(lambda: runner.fired(watching))
    assert [event["connection"]["id"] for event in runner.fired(watching)] == [number]


def test_a_connection_that_leaves_the_folder_and_comes_back_is_no_news() -> None:
    elsewhere = {"folder_id": 1}
    assert events(
        watch(folder_id=1892), {36: NEVER}, {36: AUTHORIZED}, {36: AUTHORIZED | elsewhere}, {36: AUTHORIZED}
    ) == [(36, "authorized")]
    # What it became meanwhile is.
    assert events(watch(folder_id=1892), {36: AUTHORIZED}, {36: FAILED | elsewhere}, {36: FAILED}) == [
        (36, "failed")
    ]


@on_airflow_33
async def test_a_watch_that_joins_others_is_not_blind_until_the_next_list(
    sandbox: RunningSandbox, runner: Runner
) -> None:
    (number,) = sandbox.control.seed(count=1, authorization_status="success")

    runner.start(watch(provider="nobody", poke_interval=2.0))
    await runner.until(lambda: latest(("workato_default", ()), max_age=60))
    joiner = runner.start(watch(poke_interval=2.0))
    await asyncio.sleep(0.1)
    assert lists(sandbox) == 1
    await asyncio.to_thread(sandbox.control.lose, number)
    await polls(runner, sandbox, 3)
    assert [event["change"] for event in runner.fired(joiner)] == ["lost"]


@pytest.mark.parametrize("arguments", [{"changes": []}, {"changes": ["gone"]}, {"connection_id": "x"}])
def test_wrong_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(WorkatoConfigurationError):
        watch(**arguments)


@pytest.mark.parametrize("given", [timedelta(minutes=1), "60", " 60.0 ", 60, 60.0], ids=repr)
def test_an_interval_is_a_number_of_seconds(given: Any) -> None:
    trigger = watch(poke_interval=given)
    assert trigger.poke_interval == 60.0
    assert trigger.serialize()[1]["poke_interval"] == 60.0


@pytest.mark.parametrize(
    "given",
    [0, -5, timedelta(0), float("nan"), float("inf"), "1e999", 10**400, "a minute", "", None, True],
    ids=repr,
)
def test_an_interval_that_is_none_is_refused(given: Any) -> None:
    with pytest.raises(WorkatoConfigurationError, match="poke_interval"):
        watch(poke_interval=given)
    with pytest.raises(WorkatoConfigurationError, match="poke_interval"):
        WorkatoConnectionTrigger(connection_id=36, workato_conn_id="workato_default", poke_interval=given)


async def test_a_failed_watch_rests_however_short_its_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WorkatoConnectionStatusTrigger, "REST", 0.5)

    async def broken() -> AsyncIterator[Snapshot]:
        rows: list[Any] = [{}, None]
        for row in rows:
            yield Snapshot(row, time.monotonic() + 1)

    began = time.monotonic()
    with pytest.raises(AttributeError):
        await anext(watch(poke_interval=0.01).events(broken()))
    assert time.monotonic() - began >= 0.5


async def test_an_external_id_may_be_given_as_a_number() -> None:
    row = {"id": 36, "external_id": "42", "authorization_status": None}

    async def lists() -> AsyncIterator[Snapshot]:
        for status in (None, "success"):
            yield snapshot({36: row | {"authorization_status": status}})

    trigger = watch(external_id=42)
    assert [event.payload["change"] async for event in trigger.events(lists())] == ["authorized"]
    with pytest.raises(WorkatoConfigurationError, match="external_id"):
        watch(external_id=["42"])
    with pytest.raises(WorkatoConfigurationError, match=r"changes must be a list of .*, not 'lost'\."):
        watch(changes="lost")


def test_serialized_arguments_rebuild_it() -> None:
    trigger = watch(connection_id="36", changes=["lost"], provider="jira")
    classpath, kwargs = trigger.serialize()
    assert classpath == f"{type(trigger).__module__}.{type(trigger).__qualname__}"
    assert WorkatoConnectionStatusTrigger(**kwargs).serialize()[1] == kwargs
    assert kwargs["connection_id"] == 36
