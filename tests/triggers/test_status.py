"""The watch that tells an asset of changes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

import pytest

from airflow_provider_workato.client.answers import encode_connection
from airflow_provider_workato.exceptions import WorkatoConfigurationError
from airflow_provider_workato.triggers.connections import WorkatoConnectionTrigger
from airflow_provider_workato.triggers.registry import REGISTRY
from airflow_provider_workato.triggers.rows import read_rows
from airflow_provider_workato.triggers.snapshots import Snapshot
from airflow_provider_workato.triggers.status import (
    Memory,
    WorkatoConnectionStatusTrigger,
    _packed,
    _unpacked,
)
from airflow_provider_workato.version_compat import asset_stores
from tests.support.airflow import on_airflow_33
from tests.support.hook import Connect
from tests.support.sandbox import RunningSandbox
from tests.support.supervisor import supervised
from tests.support.triggerer import Runner


class Store:
    """An asset state store that lives as long as the test. The real one needs a whole triggerer."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    async def aget(self, key: str) -> Any:
        return json.loads(self.values[key]) if key in self.values else None

    async def aset(self, key: str, value: Any) -> None:
        self.values[key] = json.dumps(value)

    def told(self) -> dict[int, str]:
        """Return what was noted last."""
        (note,) = (json.loads(value) for value in self.values.values())
        return _unpacked(note["told"]) or {}


class Stores:
    """What Airflow gives the watch of several assets: one accessor each, and none for all."""

    def __init__(self, **stores: Store) -> None:
        self._by_name = stores
        self._by_uri: dict[str, Store] = {}

    async def aget(self, key: str) -> Any:
        raise ValueError("Task has 2 concrete inlets and outlets")

    async def aset(self, key: str, value: Any) -> None:
        raise ValueError("Task has 2 concrete inlets and outlets")


@pytest.fixture(autouse=True)
def quick(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(retry_budget=0)
    monkeypatch.setattr(WorkatoConnectionStatusTrigger, "STORE_AFTER", 0.0)


def watch(store: Store | Stores | None = None, **arguments: Any) -> WorkatoConnectionStatusTrigger:
    trigger = WorkatoConnectionStatusTrigger(**{"poke_interval": 0.1, **arguments})
    trigger.asset_state_store = store  # type: ignore[assignment]
    return trigger


def snapshot(rows: Mapping[int, Any], before: Snapshot | None = None) -> Snapshot:
    """Return a list newer than the start of any watch."""
    raws = [encode_connection(row) for row in rows.values()]
    return Snapshot(read_rows(raws, before.rows if before else {}), time.monotonic() + 1)


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
        await runner.until(lambda: told in store.told())
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
def test_it_says_once_what_it_watches(sandbox: RunningSandbox, capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario() -> None:
        runner = Runner()
        runner.start(watch(changes=["failed", "lost"], poke_interval=0.1))
        await polls(runner, sandbox, count=3)
        await runner.stop()

    asyncio.run(scenario())
    said = "Watching for connections that become failed or lost. Polling every 0.1 s. The list has "
    assert capsys.readouterr().out.count(said) == 1


@on_airflow_33
def test_it_says_if_its_filters_select_nothing(
    sandbox: RunningSandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox.control.seed([{"name": "CRM", "provider": "salesforce", "external_id": "acme"}])

    async def scenario() -> None:
        runner = Runner()
        runner.start(watch(provider="salesforce", external_id="acme", poke_interval=0.1))
        runner.start(watch(provider="Salesforce", external_id="acme", poke_interval=0.1))
        await polls(runner, sandbox, count=3)
        await runner.stop()

    asyncio.run(scenario())
    said = capsys.readouterr().out
    assert said.count("No connection of the list has ") == 1
    assert "No connection of the list has external_id=acme, provider=Salesforce yet." in said


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
            yield snapshot(rows)

    async def scenario() -> list[Any]:
        return [event.payload async for event in watch().filter_shared_stream(lists())]

    assert asyncio.run(scenario()) == [{"change": "authorized", "connection": row}]


@on_airflow_33
def test_errors_never_fire_and_never_end_it(sandbox: RunningSandbox) -> None:
    (number,) = sandbox.control.seed(count=1, authorization_status=None)

    async def scenario() -> list[Any]:
        runner = Runner()
        watching = runner.start(watch())
        await polls(runner, sandbox)
        sandbox.control.add_fault("unauthorized", operation="list_connections", times=8)
        await polls(runner, sandbox, 10)
        assert runner.fired(watching) == []
        sandbox.control.authorize(number)
        await runner.until(lambda: runner.fired(watching))
        await runner.stop()
        return runner.fired(watching)

    assert [event["connection"]["id"] for event in asyncio.run(scenario())] == [number]


# Memory


@on_airflow_33
def test_assets_with_the_same_watcher_remember(sandbox: RunningSandbox) -> None:
    (missed,) = sandbox.control.seed(count=1, authorization_status=None)
    first, second = Store(), Store()

    async def before() -> None:
        runner = Runner()
        runner.start(watch(Stores(a=first, b=second)))
        await runner.until(lambda: first.values and second.values)
        await runner.stop()

    async def after(store: Stores) -> list[Any]:
        runner = Runner()
        watching = runner.start(watch(store))
        await runner.until(lambda: runner.fired(watching))
        await runner.stop()
        return runner.fired(watching)

    asyncio.run(before())
    sandbox.control.authorize(missed)
    # A third asset came, another one went: the newest note counts.
    events = asyncio.run(after(Stores(b=second, c=Store())))
    assert [event["connection"]["id"] for event in events] == [missed]


@on_airflow_33
def test_airflows_own_stores_of_two_assets() -> None:
    from airflow.sdk import Asset
    from airflow.sdk.execution_time.comms import AssetStateStoreResult
    from airflow.sdk.execution_time.context import AssetStateStoreAccessors

    trigger = watch()
    trigger.asset_state_store = AssetStateStoreAccessors(inlets=[Asset("a"), Asset("b")])

    with supervised() as supervisor:

        async def scenario() -> None:
            stores = asset_stores(trigger)
            assert await trigger._store(stores, {36: "authorized"})
            assert {message.name for message in supervisor.sent} == {"a", "b"}
            value = supervisor.sent[0].value
            supervisor.answers["GetAssetStateStoreByName"] = AssetStateStoreResult(value=value)
            assert await trigger._load(stores) == Memory({36: "authorized"}, stored=True)

        asyncio.run(scenario())


class Flaky(Store):
    """A store that cannot be read for a while."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    async def aget(self, key: str) -> Any:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the API server is restarting")
        return await super().aget(key)


def events(trigger: WorkatoConnectionStatusTrigger, *lists: dict[int, Any]) -> list[tuple[int, str]]:
    """Give the watch *lists*, each newer than its start, and return what it tells."""

    async def stream() -> AsyncIterator[Snapshot]:
        for rows in lists:
            yield snapshot(rows)

    async def scenario() -> list[tuple[int, str]]:
        told = [event.payload async for event in trigger.filter_shared_stream(stream())]
        return [(payload["connection"]["id"], payload["change"]) for payload in told]

    return asyncio.run(scenario())


AUTHORIZED = {"id": 36, "folder_id": 1892, "authorization_status": "success"}
FAILED = AUTHORIZED | {"authorization_status": "failed"}
NEVER = AUTHORIZED | {"authorization_status": None}


def test_a_note_that_cannot_be_read_for_a_moment_is_read_at_the_next_list() -> None:
    store = Flaky(0)
    assert events(watch(store), {36: AUTHORIZED}) == []
    before = dict(store.values)
    # It failed while no triggerer ran.
    store.failures = 2
    assert events(watch(store), {36: FAILED}) == []
    assert store.values == before
    store.failures = 1
    assert events(watch(store), {36: FAILED}, {36: FAILED}, {36: FAILED}) == [(36, "failed")]
    assert store.told() == {36: "failed"}


def test_one_note_of_two_will_do() -> None:
    good, bad = Store(), Flaky(0)
    assert events(watch(Stores(a=good, b=bad)), {36: AUTHORIZED}) == []
    bad.failures = 1
    assert events(watch(Stores(a=good, b=bad)), {36: FAILED}) == [(36, "failed")]
    assert bad.told() == good.told() == {36: "failed"}


def test_a_loss_is_the_same_in_any_time_zone() -> None:
    def lost(at: str) -> dict[int, Any]:
        return {36: AUTHORIZED | {"connection_lost_at": at}}

    lists = [
        {36: AUTHORIZED},
        lost("2026-06-01T10:00:00.000-06:00"),
        lost("2026-06-01T16:00:00Z"),
        lost("2026-06-01T17:00:00Z"),
        lost("long ago"),
        lost("0001-01-01T00:00:00+01:00"),
    ]
    assert events(watch(), *lists) == [(36, "lost")] * 4


def test_a_note_that_has_times_as_workato_gave_them_repeats_nothing() -> None:
    store, at = Store(), "2026-06-01T10:00:00.000-06:00"
    trigger = watch(store)
    store.values[trigger._store_key] = json.dumps({"at": 1.0, "told": _packed({36: f"lost {at}"})})
    assert events(trigger, {36: AUTHORIZED | {"connection_lost_at": at}}) == []


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
def test_a_watch_that_joins_others_is_not_blind_until_the_next_list(sandbox: RunningSandbox) -> None:
    (number,) = sandbox.control.seed(count=1, authorization_status="success")

    async def scenario() -> list[Any]:
        runner = Runner()
        runner.start(watch(provider="nobody", poke_interval=2.0))
        await runner.until(lambda: REGISTRY.latest(("workato_default", ()), max_age=60))
        joiner = runner.start(watch(poke_interval=2.0))
        await asyncio.sleep(0.1)
        assert lists(sandbox) == 1
        await asyncio.to_thread(sandbox.control.lose, number)
        await polls(runner, sandbox, 3)
        await runner.stop()
        return runner.fired(joiner)

    assert [event["change"] for event in asyncio.run(scenario())] == ["lost"]


def test_it_writes_only_what_changed() -> None:
    rows = {number: {"id": number, "authorization_status": "success"} for number in range(1, 4)}
    store = Store()
    writes: list[str] = []

    class Counting(Store):
        async def aset(self, key: str, value: Any) -> None:
            writes.append(key)
            await store.aset(key, value)

    async def lists() -> AsyncIterator[Snapshot]:
        for _ in range(5):
            yield snapshot(rows)

    async def scenario() -> None:
        async for _ in watch(Counting()).filter_shared_stream(lists()):
            pytest.fail("nothing changed")

    asyncio.run(scenario())
    assert len(writes) == 1
    assert set(store.told()) == {1, 2, 3}


def test_a_large_workspace_takes_little_of_the_loop_and_a_small_note() -> None:
    random = Random(7)  # noqa: S311 - ids, not secrets
    ids = sorted(random.sample(range(1, 1_000_000), 50_000))
    rows = {number: {"id": number, "authorization_status": "success"} for number in ids}
    store, seen = Store(), []

    before = snapshot(rows)
    after = snapshot({**rows, ids[0]: {"id": ids[0], "authorization_status": "failed"}}, before)

    async def lists() -> AsyncIterator[Snapshot]:
        for item in (before, before, before, after):
            began = time.thread_time()
            yield item
            seen.append(time.thread_time() - began)

    async def scenario() -> list[Any]:
        return [event.payload["change"] async for event in watch(store).filter_shared_stream(lists())]

    assert asyncio.run(scenario()) == ["failed"]
    # Seconds of this thread, which is the loop's, for each list: with a look at each row it was 0.16.
    assert max(seen) < 0.05, seen
    (note,) = store.values.values()
    assert len(note) < 65_536
    assert len(store.told()) == 50_000


@pytest.mark.parametrize("text", [None, "", "x", "eJw=", {"a": 1}])
def test_a_note_that_cannot_be_read_is_none(text: object) -> None:
    assert _unpacked(text) is None


def test_a_note_says_what_was_told() -> None:
    told = {36: "authorized", 4000: "lost 2026-01-01T00:00:00+00:00", 37: "authorized", 5: "failed"}
    assert _unpacked(_packed(told)) == told


@pytest.mark.parametrize("arguments", [{"changes": []}, {"changes": ["gone"]}, {"connection_id": "x"}])
def test_wrong_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(WorkatoConfigurationError):
        watch(**arguments)


@pytest.mark.parametrize("given", [timedelta(minutes=1), "60", " 60.0 ", 60, 60.0], ids=repr)
def test_an_interval_is_a_number_of_seconds(given: Any) -> None:
    trigger = watch(poke_interval=given)
    assert trigger.poke_interval == 60.0
    assert trigger.serialize()[1]["poke_interval"] == 60.0
    assert trigger.shared_stream_key() == watch(poke_interval=60.0).shared_stream_key()


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


def test_a_failed_watch_rests_however_short_its_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WorkatoConnectionStatusTrigger, "REST", 0.5)

    async def broken() -> AsyncIterator[Snapshot]:
        rows: list[Any] = [{}, None]
        for row in rows:
            yield Snapshot(row, time.monotonic() + 1)

    async def scenario() -> float:
        began = time.monotonic()
        with pytest.raises(AttributeError):
            await anext(watch(poke_interval=0.01).filter_shared_stream(broken()))
        return time.monotonic() - began

    assert asyncio.run(scenario()) >= 0.5


def test_an_external_id_may_be_given_as_a_number() -> None:
    row = {"id": 36, "external_id": "42", "authorization_status": None}

    async def lists() -> AsyncIterator[Snapshot]:
        for status in (None, "success"):
            yield snapshot({36: row | {"authorization_status": status}})

    async def scenario() -> list[Any]:
        trigger = watch(external_id=42)
        return [event.payload["change"] async for event in trigger.filter_shared_stream(lists())]

    assert asyncio.run(scenario()) == ["authorized"]
    with pytest.raises(WorkatoConfigurationError, match="external_id"):
        watch(external_id=["42"])
    with pytest.raises(WorkatoConfigurationError, match="changes must be a list of"):
        watch(changes="lost")


def test_serialized_arguments_rebuild_it() -> None:
    trigger = watch(connection_id="36", changes=["lost"], provider="jira")
    classpath, kwargs = trigger.serialize()
    assert classpath == f"{type(trigger).__module__}.{type(trigger).__qualname__}"
    assert WorkatoConnectionStatusTrigger(**kwargs).serialize()[1] == kwargs
    assert kwargs["connection_id"] == 36
