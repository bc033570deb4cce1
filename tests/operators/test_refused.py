"""One create of many fails: what the tasks after it get, whatever the reason."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_workato.authorization import State, state_of
from airflow_provider_workato.operators.connections import (
    WorkatoCreateConnectionOperator,
    WorkatoDeleteConnectionOperator,
)
from airflow_provider_workato.sandbox.client import SandboxProcess
from tests.support.dags import Run, own_workspace, run_dag

ROWS: dict[str, dict[str, Any]] = {
    "accepted": {"input": {"apitoken": "fine"}},
    "refused": {"input": {"apitoken": "wrong-credentials"}},
    "rejected": {"input": {"apitoken": "malformed-credentials"}},
    "no Airflow connection": {"input": {"apitoken": "{{ conn.nobody.password }}"}},
    "unknown app": {"input": {"apitoken": "fine"}, "provider": "no-such-app"},
    # Workato keeps its authorization_status "success". Without input, nothing repairs it.
    "lost": {},
}


def connections(ti: Any) -> list[dict[str, Any]]:
    return [
        row for row in ti.xcom_pull(task_ids=["create"], key="workato_connection") or [] if row is not None
    ]


def make_dag(on_refused: str) -> DAG:
    with DAG("refused", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        create = WorkatoCreateConnectionOperator.partial(
            task_id="create", on_refused=on_refused
        ).expand_kwargs(
            [{"name": name, "external_id": name, "provider": "jira"} | row for name, row in ROWS.items()]
        )

        @task(trigger_rule="all_done")
        def authorized(ti: Any = None) -> list[str]:
            return sorted(row["external_id"] for row in connections(ti) if state_of(row) is State.AUTHORIZED)

        @task(trigger_rule="all_done")
        def left(ti: Any = None) -> list[int]:
            return [row["id"] for row in connections(ti)]

        ids: Any = left()
        create >> [authorized(), ids]
        WorkatoDeleteConnectionOperator.partial(task_id="delete").expand(connection_id=ids)
    return dag


@pytest.fixture(scope="module", params=["fail", "return"])
def scene(airflow_db: None, request: pytest.FixtureRequest) -> Iterator[tuple[Run, SandboxProcess, str]]:
    with own_workspace() as workato:
        lost = {"provider": "jira", "external_id": "lost", "authorization_status": "success"}
        workato.control.lose(*workato.control.seed([lost]))
        yield run_dag(make_dag(request.param)), workato, request.param


def test_the_rest_is_known_whatever_the_reason(scene: tuple[Run, SandboxProcess, str]) -> None:
    run, workato, on_refused = scene
    states = [run.states[f"create[{index}]"] for index in range(len(ROWS))]
    refused = "failed" if on_refused == "fail" else "success"
    assert states == ["success", refused, "failed", "failed", "failed", "success"]
    assert run.xcom("authorized") == ["accepted"]
    # The clean-up gets every connection there is, and keeps the one from before the run.
    assert {run.states[each] for each in ("delete[0]", "delete[1]", "delete[2]")} == {"success"}
    assert ROWS.keys() & {row["external_id"] for row in workato.control.connections()} == {"lost"}
