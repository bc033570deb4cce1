"""Every night, make the connections in a folder what a manifest says."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow import DAG

from airflow_provider_workato.operators.sets import WorkatoApplyConnectionsOperator

with DAG(
    "nightly_connections",
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
) as dag:
    apply = WorkatoApplyConnectionsOperator(
        task_id="apply",
        connections="nightly_connections.yaml",
        folder_id=1892,
        prune="disconnect",
        retries=2,
    )
