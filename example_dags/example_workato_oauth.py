"""A connection that a person has to authorize: publish the login URL and wait for the login."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow import DAG

from airflow_provider_workato.operators.connections import (
    WorkatoCreateRuntimeUserConnectionOperator,
    WorkatoGetOAuthUrlOperator,
)
from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor

with DAG(
    "example_workato_oauth",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # Otherwise two runs on different machines could both create the connection. A backfill has a limit
    # of its own: for one, also give the create a pool with one slot.
    max_active_runs=1,
    params={"parent_id": 36, "folder_id": 4515, "user": "ada@example.com"},
    description="Publish a login URL and wait for the login.",
    doc_md=__doc__,
    tags=["example", "workato"],
) as dag:
    create = WorkatoCreateRuntimeUserConnectionOperator(
        task_id="create",
        parent_id="{{ params.parent_id }}",
        folder_id="{{ params.folder_id }}",
        external_id="{{ params.user }}",
        name="Salesforce of {{ params.user }}",
    )
    # The login URL is this task's result and a button on its page. Send it to the person who has to log in.
    login_page = WorkatoGetOAuthUrlOperator(task_id="login_page", connection_id=create.output)
    wait = WorkatoConnectionSensor(
        task_id="wait",
        connection_id=create.output,
        deferrable=True,
        poke_interval=timedelta(seconds=5),
        timeout=timedelta(days=3),
        # Keep waiting after a Deny, which uses up the URL: for another login, clear `login_page` and all
        # downstream tasks. The DAG example_workato_email asks again by itself.
        fail_fast=False,
    )

    create >> login_page >> wait
