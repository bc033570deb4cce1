"""What watches have reported, in Airflow's own asset state store: each change once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from random import Random
from typing import Any

import pytest

from airflow_provider_workato.triggers import reports
from airflow_provider_workato.triggers.reports import packed, unpacked
from airflow_provider_workato.triggers.shared_list import Snapshot
from tests.support.airflow import on_airflow_33
from tests.support.hook import Connect
from tests.support.sandbox import RunningSandbox
from tests.support.supervisor import Supervisor, supervised
from tests.support.triggerer import Runner
from tests.support.watching import events, heard, polls, snapshot, told, watch

pytestmark = pytest.mark.anyio

AUTHORIZED = {"id": 36, "folder_id": 1892, "authorization_status": "success"}
FAILED = AUTHORIZED | {"authorization_status": "failed"}
NEVER = AUTHORIZED | {"authorization_status": None}
LOST = AUTHORIZED | {"connection_lost_at": "2026-06-01T10:00:00.000-06:00"}
GET, SET, DELETE = (f"{verb}AssetStateStoreByName" for verb in ("Get", "Set", "Delete"))


@pytest.fixture(autouse=True)
def quick(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(retry_budget=0)
    monkeypatch.setattr(reports, "STORE_AFTER", 0.0)


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    with supervised() as running:
        yield running


def broken() -> Exception:
    from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
    from airflow.sdk.execution_time.comms import ErrorResponse

    return AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 500}))


def sent(supervisor: Supervisor, kind: str) -> int:
    return sum(type(message).__name__ == kind for message in supervisor.sent)


# Over a restart


@on_airflow_33
@pytest.mark.parametrize(
    "edited",
    [{}, {"poke_interval": 0.15}, {"changes": ["lost", "authorized"]}, {"changes": {"lost", "authorized"}}],
    ids=["unchanged", "interval", "order", "set"],
)
async def test_a_restart_neither_repeats_nor_misses(
    sandbox: RunningSandbox, supervisor: Supervisor, edited: dict[str, Any], runner: Runner
) -> None:
    (reported, missed) = sandbox.control.seed(count=2, authorization_status=None)
    given = {"changes": ["authorized", "lost"]}

    watching = runner.start(watch("a", **given))
    await polls(runner, sandbox)
    sandbox.control.authorize(reported)
    await runner.until(lambda: runner.fired(watching))
    await runner.until(lambda: reported in told(supervisor))
    await runner.stop()
    sandbox.control.authorize(missed)
    watching = runner.start(watch("a", **given | edited))
    await runner.until(lambda: runner.fired(watching))
    await polls(runner, sandbox, 3)
    assert [event["connection"]["id"] for event in runner.fired(watching)] == [missed]


@on_airflow_33
@pytest.mark.parametrize(
    "other",
    [{"changes": ["lost"]}, {"folder_id": 1892}, {"connection_id": 36}, {"workato_conn_id": "other"}],
    ids=lambda other: next(iter(other)),
)
def test_another_watch_has_a_record_of_its_own(supervisor: Supervisor, other: dict[str, Any]) -> None:
    assert events(watch("a"), {36: AUTHORIZED}) == []
    # It must not take over what it would have reported, nor report what has long been so.
    assert events(watch("a", **other), {36: FAILED}) == []
    assert len(supervisor.asset_states) == 2


@on_airflow_33
def test_a_record_of_an_earlier_version_is_read_once_and_removed(supervisor: Supervisor) -> None:
    # It wrote this key for changes=["lost", "failed", "authorized"]; another order had another key.
    old = ("a", "workato_0eceedb9cff5aa01")
    supervisor.asset_states[old] = json.dumps({"at": 1.0, "told": packed({36: "authorized"})})
    trigger = watch("a", changes=["lost", "failed", "authorized"])
    assert events(trigger, {36: FAILED}) == [(36, "failed")]
    assert [key for _, key in supervisor.asset_states] == [trigger._record_key]
    reads = sent(supervisor, GET)
    assert events(watch("a"), {36: FAILED}) == []
    assert sent(supervisor, GET) == reads + 1


def test_a_trigger_is_the_same_in_every_process() -> None:
    program = (
        "from airflow_provider_workato.triggers.status import WorkatoConnectionStatusTrigger as Watch;"
        "print(Watch(changes={'lost', 'failed', 'authorized'}).serialize())"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()[-1]
        for seed in "012"
    }
    assert len(printed) == 1
    assert "['authorized', 'failed', 'lost']" in printed.pop()


# Several watches and several assets


@on_airflow_33
async def test_watchers_of_an_asset_that_differ_in_their_interval_report_each_change_once(
    sandbox: RunningSandbox, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, runner: Runner
) -> None:
    # The store gets it later than the other watch sees it.
    monkeypatch.setattr(reports, "STORE_AFTER", 1.0)
    ids = sandbox.control.seed(count=4, authorization_status=None)

    same = [runner.start(watch("a", poke_interval=interval)) for interval in (0.1, 0.13)]
    other = runner.start(watch("b", poke_interval=0.1))

    def fired(*watches: int) -> list[int]:
        return sorted(event["connection"]["id"] for each in watches for event in runner.fired(each))

    await polls(runner, sandbox, 4)
    for number in ids:
        sandbox.control.authorize(number)
        await polls(runner, sandbox, 6)
    await runner.until(lambda: all(set(ids) <= set(told(supervisor, asset)) for asset in ("a", "b")))
    assert (fired(*same), fired(other)) == (ids, ids)


@on_airflow_33
async def test_what_another_triggerer_has_reported_is_not_repeated(supervisor: Supervisor) -> None:
    trigger = watch("a")
    at = iter((1.0, 2.0))

    def report_elsewhere(reported: dict[int, str]) -> None:
        entry = {"at": next(at), "told": packed(reported)}
        supervisor.asset_states["a", trigger._record_key] = json.dumps(entry)

    async def stream() -> AsyncIterator[Snapshot]:
        yield snapshot({36: AUTHORIZED, 37: NEVER | {"id": 37}})
        report_elsewhere({36: "failed"})
        yield snapshot({36: FAILED, 37: AUTHORIZED | {"id": 37}})
        # This time nobody else was faster.
        yield snapshot({36: AUTHORIZED, 37: AUTHORIZED | {"id": 37}})

    payloads = [event.payload async for event in trigger.events(stream())]
    fired = [(payload["connection"]["id"], payload["change"]) for payload in payloads]
    assert fired == [(37, "authorized"), (36, "authorized")]


@on_airflow_33
def test_assets_with_the_same_watcher_remember(supervisor: Supervisor) -> None:
    assert events(watch("a", "b"), {36: NEVER}) == []
    # A third asset came, another one went.
    assert events(watch("b", "c"), {36: AUTHORIZED}) == [(36, "authorized")]
    assert told(supervisor, "b") == told(supervisor, "c") == {36: "authorized"}


@on_airflow_33
def test_an_asset_whose_dag_was_paused_catches_up(supervisor: Supervisor) -> None:
    assert events(watch("a", "b"), {36: AUTHORIZED}) == []
    assert events(watch("a"), {36: FAILED}) == [(36, "failed")]
    # The watcher reports to both; to report it twice to the first is better than never to the second.
    assert events(watch("a", "b"), {36: FAILED}) == [(36, "failed")]
    assert told(supervisor, "a") == told(supervisor, "b") == {36: "failed"}


# A store that cannot be used


@on_airflow_33
async def test_it_reports_while_the_record_cannot_be_read(
    supervisor: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    both = {36: AUTHORIZED, 37: NEVER | {"id": 37}}
    assert await heard(watch("a"), both) == []
    before = dict(supervisor.asset_states)

    async def stream() -> AsyncIterator[Snapshot]:
        # 36 failed while no triggerer ran.
        supervisor.answers[GET] = broken()
        yield snapshot({36: FAILED, 37: NEVER | {"id": 37}})
        yield snapshot({36: FAILED, 37: AUTHORIZED | {"id": 37}})
        yield snapshot({36: FAILED, 37: AUTHORIZED | {"id": 37}})
        assert supervisor.asset_states == before
        assert fired == [(37, "authorized")]
        del supervisor.answers[GET]
        yield snapshot({36: FAILED, 37: AUTHORIZED | {"id": 37}})

    fired: list[tuple[int, str]] = []

    async for event in watch("a").events(stream()):
        fired.append((event.payload["connection"]["id"], event.payload["change"]))  # noqa: PERF401 - read meanwhile
    # What changed earlier follows, and nothing is repeated.
    assert fired == [(37, "authorized"), (36, "failed")]
    assert told(supervisor) == {36: "failed", 37: "authorized"}
    (warning,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "cannot be read" in warning.message
    assert "a restart repeats what is reported now" in warning.message


@on_airflow_33
def test_it_reports_while_the_record_cannot_be_written(
    supervisor: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor.answers[SET] = broken()
    assert events(watch("a"), {36: NEVER}, {36: AUTHORIZED}, {36: AUTHORIZED}, {36: LOST}) == [
        (36, "authorized"),
        (36, "lost"),
    ]
    (warning,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "cannot be written" in warning.message
    assert "a restart repeats" in warning.message


@on_airflow_33
def test_one_record_of_two_will_do(supervisor: Supervisor) -> None:
    assert events(watch("a", "b"), {36: AUTHORIZED}) == []
    for key in list(supervisor.asset_states):
        if key[0] == "b":
            supervisor.asset_states[key] = '{"at": 0.0, "told": "not a record"}'
    assert events(watch("a", "b"), {36: FAILED}) == [(36, "failed")]
    assert told(supervisor, "a") == told(supervisor, "b") == {36: "failed"}


@on_airflow_33
def test_the_event_loop_does_not_block_on_the_store(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = threading.get_ident()
    send = Supervisor.send

    def checked(self: Supervisor, msg: Any) -> Any:
        # The real channel waits for its own loop here.
        assert threading.get_ident() != loop
        return send(self, msg)

    monkeypatch.setattr(Supervisor, "send", checked)
    assert events(watch("a"), {36: NEVER}, {36: AUTHORIZED}) == [(36, "authorized")]
    assert told(supervisor) == {36: "authorized"}


# What is recorded


@on_airflow_33
def test_it_writes_only_what_changed(supervisor: Supervisor) -> None:
    rows = {number: {"id": number, "authorization_status": "success"} for number in range(1, 4)}
    assert events(watch("a"), *[rows] * 5) == []
    assert sent(supervisor, SET) == 1
    assert set(told(supervisor)) == {1, 2, 3}


@on_airflow_33
def test_a_record_that_has_times_as_workato_gave_them_repeats_nothing(supervisor: Supervisor) -> None:
    trigger = watch("a")
    entry = {"at": 1.0, "told": packed({36: f"lost {LOST['connection_lost_at']}"})}
    supervisor.asset_states["a", trigger._record_key] = json.dumps(entry)
    assert events(trigger, {36: LOST}) == []


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


@on_airflow_33
async def test_a_large_workspace_takes_little_of_the_loop_and_a_small_record(supervisor: Supervisor) -> None:
    random = Random(7)  # noqa: S311 - ids, not secrets
    ids = sorted(random.sample(range(1, 1_000_000), 50_000))
    rows = {number: {"id": number, "authorization_status": "success"} for number in ids}
    seen = []

    before = snapshot(rows)
    after = snapshot({**rows, ids[0]: {"id": ids[0], "authorization_status": "failed"}}, before)

    async def lists() -> AsyncIterator[Snapshot]:
        for item in (before, before, before, after):
            began = time.thread_time()
            yield item
            seen.append(time.thread_time() - began)

    assert [event.payload["change"] async for event in watch("a").events(lists())] == ["failed"]
    # The time of this thread, which is the loop's, beside that of decoding the rows, which needs another one.
    began = time.thread_time()
    assert all(row.connection() for row in before.rows.values())
    assert max(seen) < time.thread_time() - began, seen
    (record,) = supervisor.asset_states.values()
    assert len(record) < 65_536
    assert len(told(supervisor)) == 50_000


@pytest.mark.parametrize("text", [None, "", "x", "eJw=", {"a": 1}])
def test_a_record_that_cannot_be_read_is_none(text: object) -> None:
    assert unpacked(text) is None


def test_a_record_says_what_was_reported() -> None:
    reported = {36: "authorized", 4000: "lost 2026-01-01T00:00:00+00:00", 37: "authorized", 5: "failed"}
    assert unpacked(packed(reported)) == reported
