"""Ask a person before a connection is created. Needs Airflow 3.1.

The task ``approve`` waits under "Required Actions" in Airflow. After "Approve", the connection is created.
After "Reject", the other tasks are skipped. Without an answer in two days, the run fails.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow import DAG
from airflow.exceptions import AirflowException

from airflow_provider_workato.operators.connections import WorkatoCreateConnectionOperator
from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor

try:
    from airflow.providers.standard.operators.hitl import ApprovalOperator
except (AirflowException, ImportError):
    # Airflow below 3.1 cannot ask a person: this file then defines no DAG.
    pass
else:
    with DAG(
        "example_workato_approval",
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        # Otherwise two runs on different machines could both create the connection. A backfill has a limit
        # of its own: for one, also give the create a pool with one slot.
        max_active_runs=1,
        params={"name": "Finance JIRA", "external_id": "example-approval-jira"},
        description="Ask a person before a connection is created.",
        doc_md=__doc__,
        tags=["example", "workato"],
    ) as dag:
        approve = ApprovalOperator(
            task_id="approve",
            subject="Create the connection {{ params.name }} in Workato?",
            body="It gives recipes access to {{ conn.jira.host }}.",
            response_timeout=timedelta(days=2),
        )
        create = WorkatoCreateConnectionOperator(
            task_id="create",
            name="{{ params.name }}",
            provider="jira",
            folder_id=1892,
            external_id="{{ params.external_id }}",
            input={
                "host_name": "{{ conn.jira.host }}",
                "auth_type": "api_token",
                "email": "{{ conn.jira.login }}",
                "apitoken": "{{ conn.jira.password }}",
            },
            public_input_keys=["host_name", "auth_type"],
        )
        wait = WorkatoConnectionSensor(task_id="wait", connection_id=create.output, deferrable=True)

        approve >> create >> wait
