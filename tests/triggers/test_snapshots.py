"""Large workspaces: unchanged rows are kept, and only what triggers look at is decoded."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
from packaging.version import Version

from airflow_provider_workato.triggers.registry import SnapshotRegistry
from airflow_provider_workato.triggers.snapshots import PollFailed, Snapshot
from tests.support.airflow import AIRFLOW
from tests.support.hook import Connect
from tests.support.sandbox import RunningSandbox


def test_unchanged_rows_are_kept_not_copied(sandbox: RunningSandbox, connect: Connect) -> None:
    ids = sandbox.control.seed(count=5_000, authorization_status=None)

    async def scenario() -> tuple[Snapshot, Snapshot]:
        with SnapshotRegistry().subscribe(("workato_default", ()), 60.0) as (source, _):
            first = await source.get(max_age=0)
            sandbox.control.authorize(ids[0])
            second = await source.get(max_age=0)
        assert isinstance(first, Snapshot)
        assert isinstance(second, Snapshot)
        return first, second

    first, second = asyncio.run(scenario())
    assert len(second.rows) == 5_001
    assert [number for number, row in second.rows.items() if row is not first.rows[number]] == [ids[0]]
    assert first.rows[ids[0]].connection()["authorization_status"] is None
    assert second.rows[ids[0]].connection()["authorization_status"] == "success"


def test_a_failed_poll_does_not_discard_the_rows(sandbox: RunningSandbox, connect: Connect) -> None:
    connect(retry_budget=0)
    sandbox.control.seed(count=10, authorization_status=None)

    async def scenario() -> tuple[object, ...]:
        with SnapshotRegistry().subscribe(("workato_default", ()), 60.0) as (source, _):
            first = await source.get(max_age=0)
            sandbox.control.add_fault("server_error", operation="list_connections")
            return first, await source.get(max_age=0), await source.get(max_age=0)

    first, failed, second = asyncio.run(scenario())
    assert isinstance(failed, PollFailed)
    assert isinstance(first, Snapshot)
    assert isinstance(second, Snapshot)
    assert len(second.rows) == 11
    assert all(row is first.rows[number] for number, row in second.rows.items())


@pytest.mark.skipif(
    not Version("3.0.0") <= AIRFLOW < Version("3.0.3"), reason=f"Airflow {AIRFLOW} does not hang there"
)
def test_a_stored_connection_is_not_asked_for_where_that_can_hang_the_triggerer(
    sandbox: RunningSandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.execution_time import task_runner

    # What a triggerer has there. It would wait for an answer on its standard input.
    comms: Any = vars(task_runner)["CommsDecoder"](input=sys.stdin)
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", comms, raising=False)

    async def polled(conn_id: str) -> Snapshot | PollFailed:
        with SnapshotRegistry().subscribe((conn_id, ()), 60.0) as (source, _):
            return await source.get(max_age=0)

    assert isinstance(asyncio.run(polled("workato_default")), Snapshot)
    failed = asyncio.run(polled("stored"))
    assert isinstance(failed, PollFailed)
    assert "Update to Airflow 3.0.3 or later, or define the connection" in str(failed.error)
