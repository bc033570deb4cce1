"""One connection for each external id named by the environment."""

from __future__ import annotations

import os

from airflow.sdk import DAG

from airflow_provider_workato.operators.connections import WorkatoCreateConnectionOperator

with DAG("creates", schedule=None):
    WorkatoCreateConnectionOperator.partial(
        task_id="create",
        provider="jira",
        input={"host_name": "{{ conn.jira.host }}", "apitoken": "{{ conn.jira.password }}"},
    ).expand_kwargs(
        [
            {"name": f"JIRA of {name}", "external_id": name}
            for name in os.environ["BENCH_EXTERNAL_IDS"].split()
        ]
    )
