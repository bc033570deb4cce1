"""The life cycle of a connection: create, wait, use, rename, disconnect, delete.

The credentials come from the Airflow connection ``jira`` when a task runs. Credentials written into this file
would be stored with the DAG, where Airflow masks nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow import DAG

from airflow_provider_workato.operators.connections import (
    WorkatoCreateConnectionOperator,
    WorkatoDeleteConnectionOperator,
    WorkatoDisconnectConnectionOperator,
    WorkatoGetPicklistOperator,
    WorkatoUpdateConnectionOperator,
)
from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor

with DAG(
    "example_workato_connection",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # Otherwise two runs on different machines could both create the connection. A backfill has a limit
    # of its own: for one, also give the create a pool with one slot.
    max_active_runs=1,
    description="Create a connection, wait, use it, rename, disconnect, delete.",
    doc_md=__doc__,
    tags=["example", "workato"],
) as dag:
    create = WorkatoCreateConnectionOperator(
        task_id="create",
        name="Prod JIRA",
        provider="jira",
        folder_id=1892,
        # If other DAGs create it, too, also set pool= to a pool with one slot.
        external_id="example-connection-jira",
        input={
            "host_name": "{{ conn.jira.host }}",
            "auth_type": "api_token",
            "email": "{{ conn.jira.login }}",
            "apitoken": "{{ conn.jira.password }}",
        },
        # Airflow masks every other value wherever it occurs in the log.
        public_input_keys=["host_name", "auth_type"],
    )
    wait = WorkatoConnectionSensor(task_id="wait", connection_id=create.output, deferrable=True)
    issue_types = WorkatoGetPicklistOperator(
        task_id="issue_types",
        connection_id=create.output,
        pick_list_name="get_project_issuetypes",
        pick_list_params={"project": "OPS"},
    )
    rename = WorkatoUpdateConnectionOperator(
        task_id="rename", connection_id=create.output, name="Prod JIRA ({{ ds_nodash | default('manual') }})"
    )
    disconnect = WorkatoDisconnectConnectionOperator(task_id="disconnect", connection_id=create.output)
    # It keeps a connection that existed before this run. It also runs if the app refuses the credentials;
    # with as_teardown(setups=create), Airflow would skip it then.
    delete = WorkatoDeleteConnectionOperator(
        task_id="delete", connection_id=create.output, ignore_missing=True
    )

    create >> wait >> issue_types >> rename >> disconnect >> delete.as_teardown()
