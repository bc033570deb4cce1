"""DAGs whose runs create one connection each time, and whose tasks share no temporary folder.

So nothing of this provider keeps two of them apart, as if each ran on a machine of its own.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_workato.operators.connections import WorkatoCreateConnectionOperator

# Each task's process reads this file.
tempfile.tempdir = tempfile.mkdtemp(prefix="machine-")

#: What is said to keep the creates of two runs apart.
LIMITS: dict[str, dict[str, Any]] = {
    "backfilled_runs": {},
    "backfilled_alone": {},
    "backfilled_pool": {"pool": "workato"},
    "backfilled_task": {"max_active_tis_per_dag": 1},
}


def dag_of(dag_id: str) -> DAG:
    """Build the DAG, which the scheduler never runs by itself."""
    with DAG(
        dag_id,
        schedule="@daily",
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        end_date=datetime(2026, 1, 31, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
    ) as dag:
        WorkatoCreateConnectionOperator(
            task_id="create", name=dag_id, provider="jira", external_id=dag_id, **LIMITS[dag_id]
        )
    return dag


for dag_id in LIMITS:
    globals()[dag_id] = dag_of(dag_id)
