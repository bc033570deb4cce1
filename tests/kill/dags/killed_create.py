"""Creates whose first try is killed. The run's id names the point and the workspace."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG

from airflow_provider_workato.operators.connections import WorkatoCreateConnectionOperator

if TYPE_CHECKING:
    from airflow_provider_workato.provisioning.create_once import IfExists

MODES: tuple[IfExists, ...] = ("reuse", "update")


def stay_until_killed(context: dict[str, Any], _: Any) -> None:
    """Hold a first try between the answer and the end of the task."""
    task = context["ti"]
    if task.run_id == "answer_read" and task.try_number == 1:
        Path(os.environ["KILL_TESTS_ANSWERED"], task.task_id).touch()
        while True:
            signal.pause()


with DAG(
    "killed_create",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_tasks=100,
) as dag:
    for if_exists, identity, number in product(MODES, ("name", "external_id"), (1, 2)):
        WorkatoCreateConnectionOperator(
            task_id=f"{if_exists}-by_{identity}-{number}",
            workato_conn_id="{{ run_id }}",
            name="{{ run_id }} {{ task.task_id }}",
            provider="jira",
            # Without a folder, a connection found by name alone is never changed.
            folder_id=1892,
            external_id="{{ task.task_id }}" if identity == "external_id" else None,
            input={"apitoken": "{{ conn.jira.password }}"},
            if_exists=if_exists,
            retries=2,
            retry_delay=timedelta(0),
            post_execute=stay_until_killed,
        )
