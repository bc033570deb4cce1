"""What keeps the runs of a backfill from creating a connection twice, and what a cleared task remembers."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_workato.sandbox.client import SandboxControl, running_sandbox
from tests.support.airflow import AIRFLOW, on_airflow_2, on_airflow_33
from tools.waiting import wait_until

if TYPE_CHECKING:
    from tools.airflow_api import AirflowApi
    from tools.cluster import AirflowCluster

pytestmark = pytest.mark.airflow

ROOT = Path(__file__).parents[2]
RUNS = 3
# Generous, for a busy machine.
wait = partial(wait_until, deadline=400, interval=0.2)

on_airflow_3 = pytest.mark.skipif(
    AIRFLOW.major < 3, reason=f"in Airflow {AIRFLOW}, a backfill respects the DAG's limit"
)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A real Airflow and its workspace."""

    cluster: AirflowCluster
    control: SandboxControl

    @property
    def api(self) -> AirflowApi:
        return self.cluster.api


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    # Import here: where these tests are skipped, the dependencies are not installed.
    from tools.cluster import AirflowCluster
    from tools.postgres import running_postgres

    dags = tmp_path_factory.mktemp("dags")
    for path in (Path(__file__).parent / "dags").glob("*.py"):
        shutil.copy(path, dags)
    source = (ROOT / "docs" / "snippets" / "external_python.py").read_text()
    assert "/opt/workato/bin/python" in source
    (dags / "external_python.py").write_text(source.replace("/opt/workato/bin/python", sys.executable))
    with ExitStack() as stack:
        sandbox = stack.enter_context(running_sandbox("--no-quota"))
        # Each process counts its calls alone, and a call that is held must not time out.
        extra = {"calls_per_second": 10_000, "list_calls_per_minute": 600_000, "read_timeout": 600}
        cluster = stack.enter_context(
            AirflowCluster(
                home=tmp_path_factory.mktemp("airflow"),
                dags_folder=dags,
                env={"AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS": "True"},
                database=stack.enter_context(running_postgres()),
                triggerers=0,
                connections={"workato_default": json.loads(sandbox.airflow_conn) | {"extra": extra}},
                pools={"workato": 1},
            )
        )
        cluster.api.wait_for_dags("backfilled_runs", "cleared", "external_python")
        yield Stage(cluster=cluster, control=sandbox.control)


def backfill(
    stage: Stage, dag_id: str, *options: str, at_once: int, others: Callable[[], bool] = lambda: True
) -> list[int]:
    """Backfill a DAG; return the ids of the connections made.

    :param at_once: how many creates search at the same time.
    :param others: tells whether the other runs wait for the first ones.
    """
    control, api = stage.control, stage.api
    last = f"2026-01-0{RUNS}"
    command = ["backfill", "create", "--dag-id", dag_id, "--from-date", "2026-01-01", "--to-date", last]
    if AIRFLOW.major == 2:
        command = ["dags", "backfill", "--start-date", "2026-01-01", "--end-date", last, dag_id]
    # Each create waits between its search and its POST.
    control.add_fault("hold", operation="list_connections", times=None, max_seconds=600)
    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(stage.cluster.run_cli, *command, *options, deadline=900)
        wait(lambda: len(control.held()) == at_once, what=f"{at_once} searches")
        wait(others, what="the other runs to wait")
        while not done.done() or "success" not in _states(api, dag_id) or _active(api, dag_id):
            wait(lambda: control.held() or not _active(api, dag_id), what="the next search")
            assert len(control.held()) <= at_once
            control.release()
        done.result()
    control.clear_faults()
    assert _states(api, dag_id) == ["success"] * RUNS
    return [row["id"] for row in control.connections() if row["external_id"] == dag_id]


def _states(api: AirflowApi, dag_id: str) -> list[str]:
    return [api.run_state(dag_id, run_id) for run_id in api.run_ids(dag_id)]


def _active(api: AirflowApi, dag_id: str) -> bool:
    return bool({"queued", "running"} & set(_states(api, dag_id)))


def _tasks(api: AirflowApi, dag_id: str) -> list[str]:
    return sorted(
        str(task["state"]) for run_id in api.run_ids(dag_id) for task in api.task_instances(dag_id, run_id)
    )


@on_airflow_3
def test_a_backfill_ignores_the_dags_limit(stage: Stage) -> None:
    assert len(backfill(stage, "backfilled_runs", at_once=RUNS)) == RUNS


@on_airflow_2
def test_a_backfill_respects_the_dags_limit(stage: Stage) -> None:
    assert len(backfill(stage, "backfilled_runs", at_once=1)) == 1


@on_airflow_3
@pytest.mark.parametrize("limit", ["pool", "task"])
def test_a_limit_of_the_create_holds_in_a_backfill(stage: Stage, limit: str) -> None:
    dag_id = f"backfilled_{limit}"

    def others_wait() -> bool:
        found = _tasks(stage.api, dag_id)
        return found == ["running"] + ["scheduled"] * (RUNS - 1)

    assert len(backfill(stage, dag_id, at_once=1, others=others_wait)) == 1


@on_airflow_3
def test_a_backfill_has_its_own_limit(stage: Stage) -> None:
    dag_id = "backfilled_alone"

    def others_wait() -> bool:
        return sorted(_states(stage.api, dag_id)) == ["queued"] * (RUNS - 1) + ["running"]

    assert len(backfill(stage, dag_id, "--max-active-runs", "1", at_once=1, others=others_wait)) == 1


@on_airflow_33
def test_a_cleared_task_forgets_what_airflow_was_told_to_clear(stage: Stage) -> None:
    """With ``clear_on_success``, a create that is cleared knows no more than before Airflow 3.3."""
    api, control = stage.api, stage.control
    run_id = api.trigger("cleared")

    def did(task_id: str) -> str:
        told: str = api.xcom("cleared", run_id, task_id, "workato_outcome")["did"]
        return told

    assert api.wait_for_run("cleared", run_id, deadline=400) == "success"
    assert [did("reuse"), did("fail")] == ["created", "created"]
    api.clear("cleared", run_id)
    api.wait_for_run("cleared", run_id, deadline=400)
    states = {task["task_id"]: task["state"] for task in api.task_instances("cleared", run_id)}
    assert states == {"reuse": "success", "fail": "failed"}
    assert did("reuse") == "reused"
    assert len([row for row in control.connections() if row["external_id"] in states]) == 2


@on_airflow_33
def test_the_hook_in_another_python(stage: Stage) -> None:
    api, dag_id = stage.api, "external_python"
    run_id = api.trigger(dag_id)
    assert api.wait_for_run(dag_id, run_id, deadline=400) == "success", api.log(dag_id, run_id, "names")
    assert "ACME Production Salesforce connection" in api.xcom(dag_id, run_id, "names")
