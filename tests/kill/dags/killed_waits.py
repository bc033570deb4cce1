"""Waits whose triggerer is killed: half of them end in the triggerer, half resume on a worker."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from airflow.sdk import DAG

from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor

wait = partial(
    WorkatoConnectionSensor.partial,
    workato_conn_id="waits",
    poke_interval=2,
    timeout=1800,
    deferrable=True,
    retries=2,
)

with DAG(
    "killed_waits",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_tasks=100,
) as dag:
    wait(task_id="ended_by_triggerer", end_from_trigger=True).expand(connection_id=list(range(1001, 1051)))
    wait(task_id="resumed_on_worker").expand(connection_id=list(range(2001, 2051)))
