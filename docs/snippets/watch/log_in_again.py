"""Ask each user whose login was lost to log in again, once for each loss."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_workato.operators.connections import (
    WorkatoCreateRuntimeUserConnectionOperator,
    WorkatoListConnectionsOperator,
)
from airflow_provider_workato.triggers.status import WorkatoConnectionStatusTrigger

# [START dags]
lost_logins = Asset(
    "workato_lost_logins",
    watchers=[
        AssetWatcher(
            name="lost", trigger=WorkatoConnectionStatusTrigger(provider="salesforce", changes=["lost"])
        )
    ],
)

with DAG("lost_logins", schedule=[lost_logins], max_active_runs=1):
    logins = WorkatoListConnectionsOperator(task_id="logins", parent_id=36, include_runtime_connections=True)

    @task
    def runs(connections: Any) -> list[dict[str, Any]]:
        return [
            {
                # One run for each loss: if there is one already, it is not triggered again.
                "trigger_run_id": f"{row['id']}-lost-{row['connection_lost_at']}",
                "conf": {"user": row["external_id"], "name": row["name"], "folder_id": row["folder_id"]},
            }
            for row in connections
            if row.get("connection_lost_at")
        ]

    TriggerDagRunOperator.partial(
        task_id="ask", trigger_dag_id="log_in_again", skip_when_already_exists=True
    ).expand_kwargs(runs(logins.output))

with DAG("log_in_again", schedule=None):
    WorkatoCreateRuntimeUserConnectionOperator(
        task_id="login",
        # It finds the user's connection, which was lost, and asks for a new login.
        external_id="{{ dag_run.conf.user }}",
        name="{{ dag_run.conf.name }}",
        parent_id=36,
        folder_id="{{ dag_run.conf.folder_id }}",
        wait_for_authorization=True,
        notifiers=SmtpNotifier(
            to="{{ dag_run.conf.user }}",
            subject="Please log in to Salesforce again",
            html_content='<p>Your login was lost. <a href="{{ workato.url | e }}">Log in again</a></p>',
        ),
        ask_again=True,
        deferrable=True,
        timeout=timedelta(days=3),
    )
# [END dags]
