"""Every week, make the connections in a folder what a manifest says, after a person has approved the plan.

If anything is not as ``connections.yaml`` says, the task ``approve`` shows the plan under "Required Actions"
in Airflow. After "Approve", ``apply`` carries it out. After "Reject", ``apply`` is skipped, and both are if
there is nothing to do. Without an answer in two days, the run fails.

Airflow below 3.1 cannot ask a person. There, the DAG has no schedule: read the plan of
``example_workato_drift``, then trigger it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow import DAG
from airflow.exceptions import AirflowException

try:
    from airflow.sdk import task
except ImportError:  # Airflow 2
    from airflow.decorators import task

from airflow_provider_workato.operators.sets import (
    WorkatoApplyConnectionsOperator,
    WorkatoPlanConnectionsOperator,
)

try:
    from airflow.providers.standard.operators.hitl import ApprovalOperator
except (AirflowException, ImportError):
    CAN_ASK = False
else:
    CAN_ASK = True

# The folder is the scope: nothing outside of it is looked at or changed.
DECLARED: dict[str, Any] = {"connections": "connections.yaml", "folder_id": 1892}

#: What the person reads.
CHANGES = """\
| | Connection | App | Why |
|---|---|---|---|
{% for change in ti.xcom_pull("plan").changes if change.action != "unchanged" -%}
| {{ change.action }} | {{ change.name }} | {{ change.provider }} | {{ change.reason or change.fields }} |
{% endfor %}"""

with DAG(
    "example_workato_apply",
    schedule="@weekly" if CAN_ASK else None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    is_paused_upon_creation=True,
    # Otherwise two runs on different machines could both create a connection. A backfill has a limit of its
    # own: for one, also give `apply` a pool with one slot.
    max_active_runs=1,
    description="Make connections what a manifest says, if a person approves.",
    doc_md=__doc__,
    tags=["example", "workato"],
) as dag:
    plan = WorkatoPlanConnectionsOperator(task_id="plan", **DECLARED)

    @task.short_circuit
    def is_drift(plan: Any) -> bool:
        """Skip the rest if there is nothing to do."""
        return bool(plan["drift"])

    # It compares again, and does what is to be done by then.
    apply = WorkatoApplyConnectionsOperator(task_id="apply", **DECLARED)

    if CAN_ASK:
        approve = ApprovalOperator(
            task_id="approve",
            subject="Change the connections in Workato?",
            body=CHANGES,
            response_timeout=timedelta(days=2),
        )
        is_drift(plan.output) >> approve >> apply
    else:
        is_drift(plan.output) >> apply
