"""The example DAGs, run unchanged, and a search of the files that they leave for credentials."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_workato.sandbox.client import SandboxProcess, wait_until
from tests.support.airflow import AIRFLOW
from tests.support.dags import Run, dag_bag, own_workspace, run_dag
from tools.leaks import search

FOLDER = Path(__file__).parent.parent / "example_dags"
LOGIN, PASSWORD = "provisioning@acme.example", "examples-s3cret-4711"


def load(name: str) -> DAG:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    dag: DAG = module.dag
    return dag


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """The workspace that all examples share."""

    process: SandboxProcess
    runs: dict[str, Run]

    def run(self, name: str) -> Run:
        """Run an example once for all tests."""
        if name not in self.runs:
            self.runs[name] = run_dag(load(name))
        return self.runs[name]


@pytest.fixture(scope="module")
def workspace(airflow_db: None) -> Iterator[Workspace]:
    jira = {"conn_type": "http", "host": "acme.atlassian.net", "login": LOGIN, "password": PASSWORD}
    with own_workspace() as process, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AIRFLOW_CONN_JIRA", json.dumps(jira))
        yield Workspace(process=process, runs={})


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_the_ui_shows_what_an_example_does(path: Path) -> None:
    """The DAG's documentation is the file's docstring. The other tests here run the DAGs."""
    for dag in dag_bag(path).dags.values():
        assert dag.doc_md.strip() == ast.get_docstring(ast.parse(path.read_text()))


def map_indexes(run: Run, task_id: str) -> list[str]:
    """Return what the UI calls the instances of a mapped task."""
    return [ti.rendered_map_index for (name, _), ti in sorted(run.instances.items()) if name == task_id]


def test_the_life_cycle_of_a_connection(workspace: Workspace) -> None:
    run = workspace.run("example_workato_connection")
    assert set(run.states.values()) == {"success"}, run.states
    number = run.xcom("create")
    assert run.xcom("wait")["authorization_status"] == "success"
    assert run.xcom("issue_types")[0]["value"] == "OPS--Task"
    assert run.xcom("delete") == {"success": True, "status": "deleted"}
    assert number not in [row["id"] for row in workspace.process.control.connections()]


def test_a_person_logs_in(workspace: Workspace) -> None:
    control = workspace.process.control

    def log_in() -> None:
        # Log in only once the sensor waits for it.
        wait_until(lambda: control.requests(operation="get_oauth_url"), deadline=90, what="the login page")
        (number,) = [row["id"] for row in control.connections() if row["is_runtime_user"]]
        # Fetch another login URL: the task's own is in Airflow.
        link = requests.get(
            f"{workspace.process.url}/api/connections/runtime_user_connections/{number}/get_oauth_url",
            headers={"Authorization": f"Bearer {workspace.process.token}"},
            timeout=30,
        )
        control.click_authorize(link.json()["data"]["url"])

    person = threading.Thread(target=log_in)
    person.start()
    run = workspace.run("example_workato_oauth")
    person.join()
    assert set(run.states.values()) == {"success"}, run.states
    assert run.xcom("wait")["external_id"] == "ada@example.com"
    assert run.xcom("wait")["authorization_status"] == "success"
    assert run.xcom("login_page").startswith(workspace.process.url)


def test_one_connection_for_each_tenant(workspace: Workspace) -> None:
    run = workspace.run("example_workato_tenants")
    assert set(run.states.values()) == {"success"}, run.states
    assert [row["external_id"] for row in run.xcom("wait")] == [
        "tenant-acme",
        "tenant-globex",
        "tenant-initech",
    ]
    assert map_indexes(run, "create") == ["JIRA of acme", "JIRA of globex", "JIRA of initech"]


def test_one_refused_tenant_does_not_stop_the_others(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = {"conn_type": "http", "login": LOGIN, "password": f"wrong-credentials-{PASSWORD}"}
    monkeypatch.setenv("AIRFLOW_CONN_JIRA_HOOLI", json.dumps(bad))
    run = workspace.run("example_workato_refused")
    assert set(run.states.values()) == {"success"}, run.states
    umbrella, hooli, stark = (run.xcom("create", map_index=index) for index in range(3))
    assert [row["id"] for row in run.xcom("accepted")] == [umbrella, stark]
    assert map_indexes(run, "create") == ["JIRA of umbrella", "JIRA of hooli", "JIRA of stark"]
    assert map_indexes(run, "issue_types") == ["JIRA of umbrella", "JIRA of stark"]
    assert run.xcom("report") == ["JIRA of hooli"]
    assert len([name for name in run.states if name.startswith("issue_types[")]) == 2
    assert workspace.process.control.connection(hooli)["authorization_status"] == "failed"


def test_no_credential_is_on_the_disk(workspace: Workspace) -> None:
    for name in ("example_workato_connection", "example_workato_tenants", "example_workato_refused"):
        shown = str(
            workspace.run(name).rendered("create", map_index=-1 if name.endswith("connection") else 0)
        )
        assert "apitoken" in shown, "the keys are shown"
    found = search(
        Path(os.environ["AIRFLOW_HOME"]),
        {"password": PASSWORD, "login": LOGIN, "token": workspace.process.token},
    )
    assert found.files > 0
    assert found.hits == []


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_airflow_accepts_every_example(path: Path) -> None:
    if path.stem == "example_workato_lost" and AIRFLOW.major == 2:
        pytest.skip("it is about Airflow 3's asset watchers")
    bag = dag_bag(path)
    assert bag.import_errors == {}
    assert len(bag.dags) == 1
