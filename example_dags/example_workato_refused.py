"""Continue with the tenants whose credentials the app accepts, and report the others.

A tenant's credentials come from the Airflow connection ``jira_<tenant>``, or from ``jira``, which must exist,
if there is none.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_workato.operators.connections import (
    WorkatoCreateConnectionOperator,
    WorkatoGetPicklistOperator,
)

log = logging.getLogger(__name__)

TENANTS = ["umbrella", "hooli", "stark"]

with DAG(
    "example_workato_refused",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # Without it, two runs on different machines could both create a connection.
    max_active_runs=1,
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
                "external_id": f"example-refused-{tenant}",
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

    @task
    def accepted(connections: Any) -> list[dict[str, Any]]:
        rows = [row for row in connections if row.get("authorization_status") == "success"]
        return [{"id": row["id"], "name": row.get("name")} for row in rows]

    @task
    def report(connections: Any) -> list[str]:
        refused = [row.get("name") for row in connections if row.get("authorization_status") != "success"]
        for name in refused:
            # In your DAG, send a message instead, for example with a notifier of the smtp or slack provider.
            log.warning("%s is not authorized.", name)
        return refused

    output: Any = create.output
    report(output["connection"])
    authorized: Any = accepted(output["connection"])
    issue_types = WorkatoGetPicklistOperator.partial(
        task_id="issue_types",
        pick_list_name="get_project_issuetypes",
        pick_list_params={"project": "OPS"},
        map_index_template="{{ ti.xcom_pull('accepted')[ti.map_index].name }}",
    ).expand(connection_id=authorized.map(lambda row: row["id"]))
