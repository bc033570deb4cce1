"""Run a create, a second create and a delete, with the XCom backend that the environment names."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG
from airflow.utils.db import initdb

from airflow_provider_workato.operators.connections import (
    WorkatoCreateConnectionOperator,
    WorkatoDeleteConnectionOperator,
)
from tests.support.dags import own_workspace, run_dag


def main() -> None:
    """Fail unless all tasks succeed and the connection is deleted again."""
    initdb()
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    with own_workspace() as workato, DAG("sealed", schedule=None, start_date=begun) as dag:
        workato.control.seed([{"provider": "jira", "name": "B", "external_id": "b"}])
        create = WorkatoCreateConnectionOperator(task_id="create", name="A", provider="jira", external_id="a")
        reuse = WorkatoCreateConnectionOperator(task_id="reuse", name="B", provider="jira", external_id="b")
        create >> reuse
        reuse >> WorkatoDeleteConnectionOperator(task_id="delete", connection_id=create.output)
        assert set(run_dag(dag).states.values()) == {"success"}
        assert "a" not in {row["external_id"] for row in workato.control.connections()}


if __name__ == "__main__":
    main()
