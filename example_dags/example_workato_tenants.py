"""Create one connection for each tenant, then wait for all of them in one task.

Create the pool before the first run, or the create tasks are never scheduled:
``airflow pools set workato 1 "creates in Workato"``.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow import DAG

from airflow_provider_workato.operators.connections import WorkatoCreateConnectionOperator
from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor

TENANTS = ["acme", "globex", "initech"]

with DAG(
    "example_workato_tenants",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # Otherwise two runs on different machines could both create a connection. A backfill has a limit of its
    # own: there, the pool below prevents that.
    max_active_runs=1,
    description="Create one connection for each tenant, and wait for all.",
    doc_md=__doc__,
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
        public_input_keys=["host_name", "auth_type"],
        # The UI shows the tenants' names instead of numbers.
        map_index_template="{{ task.name }}",
        # The pool has one slot, so that two DAGs never create at the same time. Workato allows only one
        # create a second anyway.
        pool="workato",
    ).expand_kwargs([{"name": f"JIRA of {tenant}", "external_id": f"tenant-{tenant}"} for tenant in TENANTS])

    WorkatoConnectionSensor(task_id="wait", connection_id=create.output, deferrable=True)
