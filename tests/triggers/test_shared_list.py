"""The shared list: what a poll keeps, and whom it wakes."""

from __future__ import annotations

import asyncio
import itertools
import math
import sys
import time
from typing import Any

import pytest
from packaging.version import Version

from airflow_provider_workato.triggers import shared_list
from airflow_provider_workato.triggers.shared_list import (
    Follower,
    ListKey,
    PollFailed,
    SharedList,
    Snapshot,
    follow,
)
from tests.support.airflow import AIRFLOW
from tests.support.hook import Connect
from tests.support.listener import listening
from tests.support.sandbox import RunningSandbox

pytestmark = pytest.mark.anyio

#: The list of everything.
KEY: ListKey = ("workato_default", ())


async def test_unchanged_rows_are_kept_not_copied(sandbox: RunningSandbox, connect: Connect) -> None:
    ids = sandbox.control.seed(count=5_000, authorization_status=None)

    shared = SharedList(KEY)
    first = await shared.poll()
    sandbox.control.authorize(ids[0])
    second = await shared.poll()
    assert isinstance(first, Snapshot)
    assert isinstance(second, Snapshot)
    assert len(second.rows) == 5_001
    assert [number for number, row in second.rows.items() if row is not first.rows[number]] == [ids[0]]
    assert first.rows[ids[0]].connection()["authorization_status"] is None
    assert second.rows[ids[0]].connection()["authorization_status"] == "success"


@pytest.mark.parametrize("has_etag", [False, True])
async def test_a_list_that_did_not_change_is_not_read_again(connect: Connect, has_etag: bool) -> None:
    """Workato may say that it did not (304), or send the same bytes."""
    body = [b'[{"id": 36}]', b'[{"id": 37}]']

    polled = []
    with listening() as workato:
        connect(host=workato.url)
        shared = SharedList(KEY)
        for number in (0, 0, 1):
            workato.body = body[number]
            workato.headers = {"ETag": f'"{number}"'} if has_etag else {}
            polled.append(await shared.poll())
    first, same, last = polled
    marks = [heard.headers.get("If-None-Match") for heard in workato.heard]
    assert marks == ([None, '"0"', '"0"'] if has_etag else [None] * 3)
    assert isinstance(first, Snapshot)
    assert isinstance(same, Snapshot)
    assert isinstance(last, Snapshot)
    assert same.rows is first.rows
    assert same.moment > first.moment
    assert list(last.rows) == [37]


async def test_a_failed_poll_does_not_discard_the_rows(sandbox: RunningSandbox, connect: Connect) -> None:
    connect(retry_budget=0)
    sandbox.control.seed(count=10, authorization_status=None)

    shared = SharedList(KEY)
    first = await shared.poll()
    sandbox.control.add_fault("server_error", operation="list_connections")
    failed, second = await shared.poll(), await shared.poll()
    assert isinstance(failed, PollFailed)
    assert isinstance(first, Snapshot)
    assert isinstance(second, Snapshot)
    assert len(second.rows) == 11
    assert all(row is first.rows[number] for number, row in second.rows.items())


@pytest.mark.skipif(
    not Version("3.0.0") <= AIRFLOW < Version("3.0.3"), reason=f"Airflow {AIRFLOW} does not hang there"
)
async def test_a_stored_connection_is_not_asked_for_where_that_can_hang_the_triggerer(
    sandbox: RunningSandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.execution_time import task_runner

    # What a triggerer has there. It would wait for an answer on its standard input.
    comms: Any = vars(task_runner)["CommsDecoder"](input=sys.stdin)
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", comms, raising=False)

    assert isinstance(await SharedList(KEY).poll(), Snapshot)
    failed = await SharedList(("stored", ())).poll()
    assert isinstance(failed, PollFailed)
    assert "Update to Airflow 3.0.3 or later, or define the connection" in str(failed.error)


async def test_the_shortest_interval_decides_how_often_a_list_is_fetched(
    sandbox: RunningSandbox, connect: Connect
) -> None:
    fetched: dict[float, list[float]] = {0.45: [], 0.6: []}

    async def listen(interval: float) -> None:
        with follow(KEY, interval=interval) as follower:
            while min(map(len, fetched.values())) < 6:
                item = await follower.next()
                assert isinstance(item, Snapshot)
                fetched[interval].append(item.moment)

    await asyncio.gather(*map(listen, fetched))
    short, long = fetched.values()
    # The other takes what was fetched for it: none of its lists is a call of its own.
    assert set(long) <= set(short)
    assert all(after - before >= 0.45 for before, after in itertools.pairwise(short))
    assert long == sorted(set(long))


async def reminded(followers: list[Follower]) -> int:
    """Return how many have a reminder waiting, and take it."""
    found = 0
    for follower in followers:
        try:
            async with asyncio.timeout(0):
                found += await follower.next() is None
        except TimeoutError:
            continue
    return found


async def test_reminders_are_spread_over_the_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_list, "next_reminder", lambda elapsed: 0.5 if elapsed < 0.5 else math.inf)
    monkeypatch.setattr(shared_list, "_REMINDED", 2)
    monkeypatch.setattr(shared_list, "_WOKEN", 1)

    shared = SharedList(KEY)
    waits = [Follower(shared, interval=0.0, ids=(1,), since=time.monotonic()) for _ in range(5)]
    for wait in waits:
        shared.add(wait)
    await shared.offer_all(Snapshot({}, time.monotonic()))
    for wait in waits:
        assert await wait.next() is not None
    await asyncio.sleep(waits[-1].remind_at - time.monotonic())
    counts = []
    for _ in range(4):
        await shared.offer_all(Snapshot({}, time.monotonic()))
        counts.append(await reminded(waits))
    assert counts == [2, 2, 1, 0]
