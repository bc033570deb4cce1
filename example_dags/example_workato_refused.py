"""Continue with the tenants that have an authorized connection, and report the others.

The others are those whose credentials the app refused, whose connection was lost, and whose create failed for
any other reason, such as a rejected request or an Airflow connection that is missing.

A tenant's credentials come from the Airflow connection ``jira_<tenant>``, or from ``jira``, which must exist,
if there is none.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from airflow import DAG

try:
    from airflow.sdk import task
except ImportError:  # Airflow 2
    from airflow.decorators import task

from airflow_provider_workato.authorization import State, state_of
from airflow_provider_workato.operators.connections import (
    WorkatoCreateConnectionOperator,
    WorkatoGetPicklistOperator,
)

log = logging.getLogger(__name__)

TENANTS = ["umbrella", "hooli", "stark"]


def external_id(tenant: str) -> str:
    return f"example-refused-{tenant}"


def authorized_connections(ti: Any) -> list[dict[str, Any]]:
    """Return the connections that the creates left and that are authorized: neither refused nor lost."""
    rows = ti.xcom_pull(task_ids=["create"], key="workato_connection") or []
    return [row for row in rows if row is not None and state_of(row) is State.AUTHORIZED]


with DAG(
    "example_workato_refused",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # Otherwise two runs on different machines could both create a connection. A backfill has a limit of its
    # own: there, max_active_tis_per_dag below prevents that.
    max_active_runs=1,
    description="Continue with the tenants that have an authorized connection.",
    doc_md=__doc__,
    tags=["example", "workato"],
) as dag:
    create = WorkatoCreateConnectionOperator.partial(
        task_id="create",
        provider="jira",
        folder_id=1892,
        public_input_keys=["host_name", "auth_type"],
        # Do not fail on refused credentials. The next run repairs the connection once they are correct.
        on_refused="return",
        # The UI shows the connections' names instead of numbers.
        map_index_template="{{ task.name }}",
        max_active_tis_per_dag=1,
    ).expand_kwargs(
        [
            {
                "name": f"JIRA of {tenant}",
                "external_id": external_id(tenant),
                "input": {
                    "host_name": f"{tenant}.atlassian.net",
                    "auth_type": "api_token",
                    "email": f"{{{{ conn.get('jira_{tenant}', conn.jira).login }}}}",
                    "apitoken": f"{{{{ conn.get('jira_{tenant}', conn.jira).password }}}}",
                },
            }
            for tenant in TENANTS
        ]
    )

    # A create that fails before there is a connection pushes nothing. So these tasks run after all creates,
    # read what there is, and compare it with the tenants.
    @task(trigger_rule="all_done")
    def accepted(ti: Any = None) -> list[dict[str, Any]]:
        return [{"id": row["id"], "name": row.get("name")} for row in authorized_connections(ti)]

    @task(trigger_rule="all_done")
    def report(ti: Any = None) -> list[str]:
        known = {row.get("external_id") for row in authorized_connections(ti)}
        missing = [tenant for tenant in TENANTS if external_id(tenant) not in known]
        for tenant in missing:
            # In your DAG, send a message instead, for example with a notifier of the smtp or slack provider.
            log.warning("%s has no authorized connection.", tenant)
        return missing

    authorized: Any = accepted()
    create >> [authorized, report()]
    issue_types = WorkatoGetPicklistOperator.partial(
        task_id="issue_types",
        pick_list_name="get_project_issuetypes",
        pick_list_params={"project": "OPS"},
        map_index_template="{{ ti.xcom_pull('accepted')[ti.map_index].name }}",
    ).expand(connection_id=authorized.map(lambda row: row["id"]))
