"""A set of connections whose task is killed. The run's id names the workspace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_workato.operators.sets import WorkatoApplyConnectionsOperator

with DAG(
    "killed_set",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
) as dag:
    WorkatoApplyConnectionsOperator(
        task_id="apply",
        workato_conn_id="{{ run_id }}",
        connections=[
            {
                "name": f"Tenant {number}",
                "provider": "jira",
                "external_id": f"tenant-{number}",
                "input": {"host_name": f"tenant{number}.example.com"},
                "input_from": {"conn_id": "jira", "keys": {"apitoken": "password"}},
            }
            for number in range(60)
        ],
        folder_id=1892,
        retries=10,
        retry_delay=timedelta(0),
    )
