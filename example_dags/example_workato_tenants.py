"""One connection for each tenant, then one wait for all of them.

Make the pool before the first run, or the creates wait for it for ever:
``airflow pools set workato 1 "creates at Workato"``.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_workato.operators.connections import WorkatoCreateConnectionOperator
from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor

TENANTS = ["acme", "globex", "initech"]

with DAG(
    "example_workato_tenants",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # Between machines nothing else keeps two runs of this DAG from making a connection twice,
    max_active_runs=1,
    tags=["example", "workato"],
) as dag:
    create = WorkatoCreateConnectionOperator.partial(
        task_id="create",
        provider="jira",
        folder_id=1892,
        input={
            "host_name": "{{ conn.jira.host }}",
            "auth_type": "api_token",
            "email": "{{ conn.jira.login }}",
            "apitoken": "{{ conn.jira.password }}",
        },
        # and nothing else two DAGs: the pool has one slot. Workato allows one create a second anyway.
        pool="workato",
    ).expand_kwargs([{"name": f"JIRA of {tenant}", "external_id": f"tenant-{tenant}"} for tenant in TENANTS])

    WorkatoConnectionSensor(task_id="wait", connection_id=create.output, deferrable=True)
