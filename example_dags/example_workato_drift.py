"""Every night, compare the connections in a folder with a manifest, and raise an alarm if they differ.

The task ``plan`` changes nothing. If anything is not as ``connections.yaml`` says, it fails, which raises the
alarm. Its log shows the plan as a table. The DAG ``example_workato_apply`` makes the connections what the
manifest says.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow import DAG

from airflow_provider_workato.operators.sets import WorkatoPlanConnectionsOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


def alarm(context: Context) -> None:
    """Report that the connections are not as declared, or that nobody knows."""
    # In your DAG, send a message instead, for example with a notifier of the smtp or slack provider.
    log.error("Drift: %s", context.get("exception"))


with DAG(
    "example_workato_drift",
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    is_paused_upon_creation=True,
    default_args={"on_failure_callback": alarm},
    description="Compare connections with a manifest, and raise an alarm.",
    doc_md=__doc__,
    tags=["example", "workato"],
) as dag:
    plan = WorkatoPlanConnectionsOperator(
        task_id="plan",
        # Beside this file.
        connections="connections.yaml",
        # Nothing outside of this folder is looked at.
        folder_id=1892,
        on_drift="fail",
    )
