"""Rotate the credentials of several connections, and raise an alarm for each that the app refuses.

The new credentials come from Airflow connections, which Airflow looks up in its secrets backend first. Store
there, as the Airflow connection ``jira``, the host and the credentials of all tenants that have no connection
of their own; and as ``jira_acme`` those of the tenant ``acme``.

The tasks of each tenant are independent. If the app refuses one tenant's credentials, its ``rotate`` fails
and raises the alarm, and the other tenants continue.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow import DAG

try:
    from airflow.sdk import task_group
except ImportError:  # Airflow 2
    from airflow.decorators import task_group

from airflow_provider_workato.operators.connections import WorkatoCreateConnectionOperator
from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

TENANTS = ["acme", "globex", "initech"]


def alarm(context: Context) -> None:
    """Report a tenant whose new credentials do not work."""
    # In your DAG, send a message instead, for example with a notifier of the smtp or slack provider.
    log.error("Rotation failed in %s: %s", context["ti"].task_id, context.get("exception"))


with DAG(
    "example_workato_rotation",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # Otherwise two runs on different machines could both create a connection. A backfill has a limit
    # of its own: for one, also give the create a pool with one slot.
    max_active_runs=1,
    default_args={"on_failure_callback": alarm},
    description="Rotate the credentials of several tenants.",
    doc_md=__doc__,
    tags=["example", "workato"],
) as dag:

    @task_group
    def tenant(name: Any, external_id: Any) -> None:
        """Rotate the credentials of one tenant."""
        rotate = WorkatoCreateConnectionOperator(
            task_id="rotate",
            name=name,
            provider="jira",
            folder_id=1892,
            external_id=external_id,
            # Send the credentials to the connection that exists. A missing one is created.
            if_exists="update",
            # Templates of `input` are rendered on the worker and then hidden: no XCom, log or rendered field
            # shows the credentials.
            input={
                "host_name": "{{ conn.jira.host }}",
                "auth_type": "api_token",
                "email": "{{ conn.get(task.external_id, conn.jira).login }}",
                "apitoken": "{{ conn.get(task.external_id, conn.jira).password }}",
            },
            public_input_keys=["host_name", "auth_type"],
            # The UI shows the connections' names instead of numbers.
            map_index_template="{{ task.name }}",
        )
        # The wait knows only the connection's id, and takes the name from the XCom of `rotate`.
        label = "{{ ti.xcom_pull('tenant.rotate', key='workato_connection', map_indexes=ti.map_index).name }}"
        wait = WorkatoConnectionSensor(
            task_id="wait",
            connection_id=rotate.output,
            deferrable=True,
            map_index_template=label,
        )
        rotate >> wait

    # The external id is also the id of the Airflow connection with the tenant's credentials.
    tenant.expand_kwargs([{"name": f"JIRA of {one}", "external_id": f"jira_{one}"} for one in TENANTS])
