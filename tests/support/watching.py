"""Watches, with the store and the lists that Airflow and Workato would give them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_workato.client.answers import encode_connection
from airflow_provider_workato.triggers.reports import unpacked
from airflow_provider_workato.triggers.rows import read_rows
from airflow_provider_workato.triggers.shared_list import LISTS, ListKey, PollFailed, Snapshot
from airflow_provider_workato.triggers.status import WorkatoConnectionStatusTrigger

if TYPE_CHECKING:
    from tests.support.sandbox import RunningSandbox
    from tests.support.supervisor import Supervisor
    from tests.support.triggerer import Runner


def watch(*assets: str, **arguments: Any) -> WorkatoConnectionStatusTrigger:
    """Return a watch with Airflow's own store for *assets*; the supervisor keeps what it stores."""
    trigger = WorkatoConnectionStatusTrigger(**{"poke_interval": 0.1, **arguments})
    if assets:
        from airflow.sdk import Asset
        from airflow.sdk.execution_time.context import AssetStateStoreAccessors

        trigger.asset_state_store = AssetStateStoreAccessors(inlets=[Asset(name) for name in assets])
    return trigger


def told(supervisor: Supervisor, asset: str = "a") -> dict[int, str]:
    """Return the record in an asset's store; empty if there is none."""
    records = [json.loads(text) for (name, _), text in supervisor.asset_states.items() if name == asset]
    assert len(records) <= 1
    return {number: report for each in records for number, report in (unpacked(each["told"]) or {}).items()}


def snapshot(rows: Mapping[int, Any], before: Snapshot | None = None) -> Snapshot:
    """Return a list newer than the start of any watch."""
    raws = [encode_connection(row) for row in rows.values()]
    return Snapshot(read_rows([raws], before.rows if before else {}), time.monotonic() + 1)


async def heard(trigger: WorkatoConnectionStatusTrigger, *lists: dict[int, Any]) -> list[tuple[int, str]]:
    """Give the watch *lists*, each newer than its start, and return what it tells."""

    async def stream() -> AsyncIterator[Snapshot]:
        for rows in lists:
            yield snapshot(rows)

    told = [event.payload async for event in trigger.events(stream())]
    return [(payload["connection"]["id"], payload["change"]) for payload in told]


def events(trigger: WorkatoConnectionStatusTrigger, *lists: dict[int, Any]) -> list[tuple[int, str]]:
    """Return the same in a test that has no event loop."""
    return asyncio.run(heard(trigger, *lists))


def lists(sandbox: RunningSandbox) -> int:
    """Return how many lists were fetched."""
    return len(sandbox.control.requests(operation="list_connections"))


async def polls(runner: Runner, sandbox: RunningSandbox, count: int = 2) -> None:
    """Let that many more lists be fetched, so that what they show has been seen."""
    goal = lists(sandbox) + count
    await runner.until(lambda: lists(sandbox) >= goal)


def latest(key: ListKey, *, max_age: float) -> Snapshot | PollFailed | None:
    """Return the newest list that the triggers of this process share."""
    found = (shared for (listed, _), shared in LISTS.items() if listed == key)
    shared = next(found, None)
    return shared.latest(max_age=max_age) if shared else None
