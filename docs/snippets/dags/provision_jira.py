"""Create a connection to Jira in Workato, and wait until the app has accepted its credentials."""

from __future__ import annotations

from airflow import DAG

from airflow_provider_workato.operators.connections import WorkatoCreateConnectionOperator
from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor

with DAG("provision_jira", schedule=None, max_active_runs=1) as dag:
    create = WorkatoCreateConnectionOperator(
        task_id="create",
        name="Prod JIRA",
        provider="jira",
        external_id="acme-jira",
        input={
            "host_name": "{{ conn.jira.host }}",
            "auth_type": "api_token",
            "email": "{{ conn.jira.login }}",
            "apitoken": "{{ conn.jira.password }}",
        },
        public_input_keys=["host_name", "auth_type"],
    )
    WorkatoConnectionSensor(task_id="wait", connection_id=create.output, deferrable=True)
