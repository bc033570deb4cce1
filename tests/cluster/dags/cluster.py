"""The DAGs of the scenarios. Each hands its results to a task downstream, whose result the test reads."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_workato.operators.connections import WorkatoCreateConnectionOperator
from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor
from airflow_provider_workato.triggers.status import WorkatoConnectionStatusTrigger

#: What the test decides: the ids to wait for by DAG, the numbers of creates by DAG, and the interval.
PLAN = json.loads(os.environ["CLUSTER_TESTS_PLAN"])
INTERVAL: float = PLAN["interval"]

dag = partial(
    DAG,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_tasks=1000,
)


@task
def read_waits(connections: Any) -> list[int]:
    """Take the results as a downstream task does."""
    return sorted(row["id"] for row in connections if row["authorization_status"] == "success")


@task
def read_creates(ids: Any) -> list[int]:
    """Take the results as a downstream task does."""
    return sorted(ids)


for dag_id, ids in PLAN["waits"].items():
    with dag(dag_id):
        wait = WorkatoConnectionSensor.partial(
            task_id="wait", deferrable=True, poke_interval=INTERVAL, timeout=3600
        ).expand(connection_id=ids)
        read_waits(wait.output)


def creates(count: int, **options: Any) -> None:
    """Add creates of the DAG's own connections and the task that reads their ids."""
    create = WorkatoCreateConnectionOperator.partial(
        task_id="create",
        provider="jira",
        folder_id=1892,
        input={"email": "{{ conn.jira.login }}", "apitoken": "{{ conn.jira.password }}"},
        retries=3,
        retry_delay=timedelta(seconds=5),
        **options,
    ).expand_kwargs(
        [
            {"name": f"{{{{ dag.dag_id }}}} {number}", "external_id": f"{{{{ dag.dag_id }}}}-{number}"}
            for number in range(count)
        ]
    )
    read_creates(create.output)


with dag("cluster_creates", max_active_runs=1):
    creates(PLAN["creates"]["cluster_creates"])

# Its runs take turns, as the guide advises for creates on several workers.
with dag("cluster_one_run", max_active_runs=1):
    creates(PLAN["creates"]["cluster_one_run"])

# Two runs at once: the pool has one slot.
with dag("cluster_one_slot", max_active_runs=2):
    creates(PLAN["creates"]["cluster_one_slot"], pool="workato")

# Its requests are held, and outlive the worker that sent them.
with dag("cluster_held", max_active_runs=1):
    creates(PLAN["creates"]["cluster_held"], workato_conn_id="workato_held")


# A worker may be killed while it runs.
@task(retries=2)
def changed(triggering_asset_events: Any = None) -> list[int]:
    """Read the changes that started the run."""
    return [
        event.extra["payload"]["connection"]["id"]
        for events in triggering_asset_events.values()
        for event in events
    ]


for provider in PLAN["watched"]:
    asset = Asset(
        f"cluster_{provider}",
        watchers=[
            AssetWatcher(
                name="changes",
                trigger=WorkatoConnectionStatusTrigger(provider=provider, poke_interval=INTERVAL),
            )
        ],
    )
    with dag(f"cluster_watch_{provider}", schedule=[asset], max_active_runs=1):
        changed()
