"""Run creates with Airflow's XCom backend for object storage, and print what they leave there."""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from sqlalchemy import text

from airflow_provider_workato.operators.connections import (
    WorkatoCreateConnectionOperator,
    WorkatoCreateRuntimeUserConnectionOperator,
    WorkatoDeleteConnectionOperator,
)
from airflow_provider_workato.sandbox.client import SandboxProcess, wait_until
from tests.support.dags import own_workspace, run_dag


def make_dag(parent: int) -> DAG:
    with DAG("backend", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        made = WorkatoCreateConnectionOperator(
            task_id="create", name="A", provider="jira", external_id="a", input={"x": "abc"}
        )
        WorkatoCreateConnectionOperator(
            task_id="update", name="B", provider="jira", external_id="b", if_exists="update"
        )
        WorkatoCreateRuntimeUserConnectionOperator(
            task_id="wait",
            parent_id=parent,
            folder_id=1892,
            external_id="ada",
            wait_for_authorization=True,
            poke_interval=0.2,
        )
        WorkatoDeleteConnectionOperator(task_id="delete", connection_id=made.output)
    return dag


def in_database() -> dict[str, str]:
    """Return the XComs as the pages of Airflow see them: without the backend."""
    with create_session() as session:
        rows = session.execute(text("SELECT task_id, key, value FROM xcom")).all()
    return {f"{task}.{key}": v.decode() if isinstance(v, bytes) else str(v) for task, key, v in rows}


def log_in(workato: SandboxProcess, seen: dict[str, str]) -> None:
    """Log in once the task waits, and note which links a person has then."""

    def waits() -> bool:
        seen.update(in_database())
        return "wait.workato_oauth_url" in seen

    wait_until(waits, deadline=90, what="the login URL")
    (number,) = [row["id"] for row in workato.control.connections() if row["external_id"] == "ada"]
    workato.control.authorize(number)


def main(store: Path) -> None:
    initdb()
    seen: dict[str, str] = {}
    with own_workspace() as workato:
        parent, _ = workato.control.seed(
            [
                {"provider": "salesforce", "authorization_status": "success"},
                {"provider": "jira", "external_id": "b", "authorization_status": "success"},
            ]
        )
        person = threading.Thread(target=log_in, args=(workato, seen))
        person.start()
        run = run_dag(make_dag(parent))
        person.join()
    objects = Counter(path.parent.name for path in store.rglob("*") if path.is_file())
    told: dict[str, Any] = {"states": run.states, "waiting": seen, "after": in_database(), "objects": objects}
    Path(sys.argv[2]).write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
