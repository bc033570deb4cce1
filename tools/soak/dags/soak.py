"""Waits for the connections that a run's configuration names, creates, and a watch of each app."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_workato.operators.connections import WorkatoCreateConnectionOperator
from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor
from airflow_provider_workato.triggers.status import WorkatoConnectionStatusTrigger

INTERVAL = float(os.environ["SOAK_INTERVAL"])
CREATES = 4

dag = partial(
    DAG,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_tasks=2000,
    max_active_runs=100,
)

with dag("soak_waits"):

    @task
    def wanted(params: Any = None) -> list[int]:
        """Return the connections to wait for."""
        return list(params["ids"])

    @task
    def read(connections: Any) -> list[int]:
        """Take the results as a downstream task does."""
        return sorted(row["id"] for row in connections if row["authorization_status"] == "success")

    wait = WorkatoConnectionSensor.partial(
        task_id="wait", deferrable=True, poke_interval=INTERVAL, timeout=7200
    ).expand(connection_id=wanted())
    read(wait.output)

with dag("soak_creates"):
    WorkatoCreateConnectionOperator.partial(
        task_id="create",
        provider="jira",
        folder_id=1892,
        input={"apitoken": "{{ conn.jira.password }}"},
        retries=5,
        retry_delay=timedelta(seconds=10),
        # Before the many waits that want a worker for a moment.
        priority_weight=100,
    ).expand_kwargs(
        [
            {"name": f"{{{{ run_id }}}} {number}", "external_id": f"{{{{ run_id }}}} {number}"}
            for number in range(CREATES)
        ]
    )

for provider in ("salesforce", "jira"):
    asset = Asset(
        f"soak_{provider}",
        watchers=[
            AssetWatcher(
                name="changes",
                trigger=WorkatoConnectionStatusTrigger(provider=provider, poke_interval=INTERVAL),
            )
        ],
    )
    with dag(f"soak_watch_{provider}", schedule=[asset], max_active_runs=1):

        @task
        def count_changes(triggering_asset_events: Any = None) -> int:
            """Count the changes that started the run."""
            return sum(len(events) for events in triggering_asset_events.values())

        count_changes()
