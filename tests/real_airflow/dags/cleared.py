"""Creates to run, clear and run again."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_workato.operators.connections import WorkatoCreateConnectionOperator

with DAG("cleared", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False) as dag:
    for task_id in ("reuse", "fail"):
        WorkatoCreateConnectionOperator(
            task_id=task_id, name=task_id, provider="jira", external_id=task_id, if_exists=task_id, retries=0
        )
