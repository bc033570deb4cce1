"""List, update and remove connections, and call the hook from a task."""

from __future__ import annotations

from typing import Any

from airflow import DAG

try:
    from airflow.sdk import task
except ImportError:  # Airflow 2
    from airflow.decorators import task

from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.operators.connections import (
    WorkatoCreateConnectionOperator,
    WorkatoDeleteConnectionOperator,
    WorkatoDisconnectConnectionOperator,
    WorkatoListConnectionsOperator,
    WorkatoUpdateConnectionOperator,
)

with DAG("everything_else", schedule=None, max_active_runs=1) as dag:
    create = WorkatoCreateConnectionOperator(
        task_id="create",
        name="Prod JIRA",
        provider="jira",
        folder_id=1892,
        external_id="everything-else",
        input={"host_name": "acme.atlassian.net", "apitoken": "{{ conn.jira.password }}"},
    )

    update = WorkatoUpdateConnectionOperator(
        task_id="update",
        connection_id=create.output,
        name="Jira of ACME",
        input={"apitoken": "{{ conn.jira.password }}"},
    )

    jira = WorkatoListConnectionsOperator(task_id="jira", provider="jira", folder_id=1892)

    @task
    def names(connections: Any) -> list[str]:
        return [connection["name"] for connection in connections]

    # [START hook]
    @task
    def folder() -> int:
        connection = WorkatoConnectionsHook("workato_default").find_matching(
            provider="jira", external_id="everything-else"
        )
        return int(connection["folder_id"])

    # [END hook]

    disconnect = WorkatoDisconnectConnectionOperator(
        task_id="disconnect", external_id="everything-else", provider="jira", force=True
    )

    delete = WorkatoDeleteConnectionOperator(
        task_id="delete", external_id="everything-else", provider="jira", ignore_missing=True
    )

    create >> update >> [names(jira.output), folder()] >> disconnect >> delete
    update >> jira
