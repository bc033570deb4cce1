"""Large workspaces: a list is decoded row by row, and only one is kept."""

from __future__ import annotations

import asyncio

from airflow_provider_workato.models import iter_connections
from airflow_provider_workato.triggers.snapshots import Snapshot, SnapshotSource
from tests.support.hook import Connect
from tests.support.sandbox import RunningSandbox


def test_rows_come_before_the_list_is_read_to_its_end() -> None:
    rows = iter_connections(b'[{"id": 36, "name": "first"}, nothing that JSON knows')
    assert next(rows)["name"] == "first"


def test_unchanged_rows_are_kept_not_copied(sandbox: RunningSandbox, connect: Connect) -> None:
    ids = sandbox.control.seed(count=5_000, authorization_status=None)

    async def scenario() -> tuple[Snapshot, Snapshot]:
        with SnapshotSource.joined(("workato_default", ()), 60.0) as (source, _):
            first = await source.get(max_age=0)
            sandbox.control.authorize(ids[0])
            second = await source.get(max_age=0)
        assert isinstance(first, Snapshot)
        assert isinstance(second, Snapshot)
        return first, second

    first, second = asyncio.run(scenario())
    assert len(second.rows) == 5_001
    assert [number for number, row in second.rows.items() if row is not first.rows[number]] == [ids[0]]
