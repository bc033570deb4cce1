"""The example DAGs, run unchanged, and a search of the files that they leave for credentials."""

from __future__ import annotations

import ast
import importlib.util
import json
import logging
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import requests
from packaging.version import Version

from airflow_provider_workato.sandbox.client import SandboxProcess, running_sandbox, wait_until
from tests.support.airflow import AIRFLOW, on_airflow_33
from tests.support.dags import Run, dag_bag, own_workspace, run_dag
from tests.support.sdk import DAG
from tools.leaks import search
from tools.mailbox import running_mailbox

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
    """In the list of DAGs, and on the DAG's page. The other tests here run the DAGs."""
    for dag in dag_bag(path).dags.values():
        assert dag.doc_md.strip() == ast.get_docstring(ast.parse(path.read_text()))
        assert dag.description


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


def test_a_person_is_asked_by_mail_and_again_after_a_deny(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = workspace.process.control
    with running_mailbox() as mailbox:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", mailbox.airflow_conn)

        def link(number: int) -> str:
            wait_until(lambda: len(mailbox.mails) > number, deadline=90, what=f"mail {number}")
            return mailbox.link(number)

        def think_again() -> None:
            control.click_deny(link(0))
            control.click_authorize(link(1))

        person = threading.Thread(target=think_again)
        person.start()
        run = workspace.run("example_workato_email")
        person.join()
    assert set(run.states.values()) == {"success"}, run.states
    assert len(mailbox.mails) == 2
    mail = mailbox.mails[0]
    assert (mail["To"], mail["Subject"]) == ("grace@example.com", "Please log in to Salesforce")
    assert "log in to Salesforce</a> before" in mailbox.body(0)
    assert "did not work" not in mailbox.body(0)
    assert "Your last login did not work: The user denied access" in mailbox.body(1)
    user = control.connection(run.xcom("login"))
    assert (user["external_id"], user["authorization_status"]) == ("grace@example.com", "success")
    assert run.xcom("login", key="workato_connection")["authorization_status"] == "success"
    assert run.xcom("objects")


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
    assert run.xcom("report") == ["hooli"]
    assert len([name for name in run.states if name.startswith("issue_types[")]) == 2
    assert workspace.process.control.connection(hooli)["authorization_status"] == "failed"


def test_credentials_are_rotated_for_each_tenant(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    control = workspace.process.control
    run = workspace.run("example_workato_rotation")
    assert set(run.states.values()) == {"success"}, run.states
    before = {row["external_id"]: row for row in control.connections()}
    for task_id in ("tenant.rotate", "tenant.wait"):
        assert map_indexes(run, task_id) == ["JIRA of acme", "JIRA of globex", "JIRA of initech"]

    bad = {"conn_type": "http", "login": LOGIN, "password": f"wrong-credentials-{PASSWORD}"}
    monkeypatch.setenv("AIRFLOW_CONN_JIRA_GLOBEX", json.dumps(bad))
    run = run_dag(load("example_workato_rotation"))
    states = {"tenant.rotate": "success", "tenant.wait": "success"}
    expected = {f"{task}[{index}]": state for task, state in states.items() for index in range(3)}
    expected |= {"tenant.rotate[1]": "failed", "tenant.wait[1]": "upstream_failed"}
    assert run.states == expected
    after = {row["external_id"]: row for row in control.connections()}
    assert after.keys() == before.keys(), "rotated, not created again"
    assert after["jira_globex"]["authorization_status"] == "failed"
    assert after["jira_acme"]["authorized_at"] > before["jira_acme"]["authorized_at"]
    if AIRFLOW.major > 2:
        # dag.test() of Airflow 2 runs no callbacks.
        (alarm,) = [line for line in caplog.messages if line.startswith("Rotation failed")]
        assert "JIRA of globex" in alarm


@contextmanager
def person_who_answers(dag_id: str, answer: str) -> Iterator[None]:
    """Answer the approvals of a DAG as Airflow's API does, for as long as the block runs."""
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import handle_event_submit
    from airflow.triggers.base import TriggerEvent
    from airflow.utils.session import create_session
    from sqlalchemy.exc import OperationalError

    ended = threading.Event()
    deadline = time.monotonic() + 90

    def answer_until_the_end() -> None:
        # `dag.test()` can overwrite the state that an early answer leaves, so one answer is not enough. It
        # waits for an answer without a deadline, so the task fails when there was time enough.
        while not ended.wait(0.2):
            # SQLite can be busy.
            with suppress(OperationalError), create_session() as session:
                asked: Any = (
                    session.query(TaskInstance)
                    .filter_by(dag_id=dag_id, task_id="approve", state="awaiting_input")
                    .one_or_none()
                )
                if asked is None:
                    continue
                if time.monotonic() > deadline:
                    asked.state = "failed"
                    continue
                detail: Any = session.get(HITLDetail, asked.id)
                detail.responded_at = datetime.now(UTC)
                detail.chosen_options = [answer]
                detail.params_input = {}
                event = TriggerEvent(detail.as_resume_event_payload())
                handle_event_submit(event, task_instance=asked, session=session)

    person = threading.Thread(target=answer_until_the_end)
    person.start()
    try:
        yield
    finally:
        ended.set()
        person.join()


@on_airflow_33
@pytest.mark.parametrize(("answer", "state"), [("Reject", "skipped"), ("Approve", "success")])
def test_a_connection_is_created_only_if_a_person_approves(
    workspace: Workspace, answer: str, state: str
) -> None:
    dag = load("example_workato_approval")
    with person_who_answers(dag.dag_id, answer):
        run = run_dag(dag)
    assert run.states == {"approve": "success", "create": state, "wait": state}
    created = [row["external_id"] for row in workspace.process.control.connections()]
    assert ("example-approval-jira" in created) is (answer == "Approve")


@on_airflow_33
def test_drift_is_an_alarm_until_a_person_approves_the_plan(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    dag = load("example_workato_apply")
    with person_who_answers(dag.dag_id, "Reject"):
        assert run_dag(dag).states["apply"] == "skipped"
    assert run_dag(load("example_workato_drift")).states == {"plan": "failed"}
    (alarm,) = [line for line in caplog.messages if line.startswith("Drift: ")]
    assert "of folder 1892 are not as declared" in alarm
    with person_who_answers(dag.dag_id, "Approve"):
        run = workspace.run(dag.dag_id)
    assert set(run.states.values()) == {"success"}, run.states
    assert "| create | Jira of acme | jira |" in run.rendered("approve")["body"]
    created = [each["id"] for each in run.xcom("apply") if each["did"] == "created"]
    assert len(created) == 3
    for row in workspace.process.control.connections():
        # What other examples left in the folder is not declared.
        if row["folder_id"] == 1892 and row["id"] not in created:
            workspace.process.control.delete(row["id"])
    assert run_dag(load("example_workato_drift")).states == {"plan": "success"}
    assert run_dag(dag).states == {
        "plan": "success",
        "is_drift": "success",
        "approve": "skipped",
        "apply": "skipped",
    }


def test_connections_are_promoted_by_the_path_of_their_folder(
    airflow_db: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with running_sandbox("--no-quota") as dev, running_sandbox("--no-quota") as prod:
        monkeypatch.setenv("AIRFLOW_CONN_WORKATO_DEV", dev.airflow_conn)
        monkeypatch.setenv("AIRFLOW_CONN_WORKATO_PROD", prod.airflow_conn)
        create_folder(dev, "Elsewhere", parent_id=4515)
        for folder in ("Jobs", "Teams"):
            # So that dev and prod have different ids for one path.
            create_folder(prod, folder, parent_id=4515)
        deep, there = (create_folder(each, "Deep", parent_id=28940) for each in (dev, prod))
        gone = create_folder(dev, "Only in dev", parent_id=4515)
        dev.control.seed(
            [
                {"name": "CRM", "provider": "salesforce", "folder_id": deep},
                {"name": "Chat", "provider": "slack", "folder_id": gone},
            ]
        )

        def authorize() -> None:
            wait_until(lambda: prod.control.connections()[2:], deadline=90, what="two more connections")
            prod.control.authorize_all()

        person = threading.Thread(target=authorize)
        person.start()
        run = run_dag(load("example_workato_promote"))
        person.join()
        assert set(run.states.values()) == {"success"}, run.states
        assert there != deep
        promoted = {row["name"]: row for row in prod.control.connections()}
        assert promoted["CRM"]["folder_id"] == there
        assert "Chat" not in promoted
    said = "\n".join(caplog.messages)
    assert "Left out 'Chat': there is no folder /Sales/Only in dev in workato_prod." in said
    assert f"- CRM: {prod.url}/connections/{promoted['CRM']['id']}" in said
    assert re.search(r"^created +authorized +CRM", said, re.MULTILINE)


def create_folder(workspace: SandboxProcess, name: str, *, parent_id: int) -> int:
    answer = requests.post(
        f"{workspace.url}/api/folders",
        json={"name": name, "parent_id": parent_id},
        headers={"Authorization": f"Bearer {workspace.token}"},
        timeout=30,
    )
    return int(answer.json()["id"])


def test_no_credential_is_on_the_disk(workspace: Workspace) -> None:
    for name, task_id, map_index in (
        ("example_workato_connection", "create", -1),
        ("example_workato_tenants", "create", 0),
        ("example_workato_refused", "create", 0),
        ("example_workato_rotation", "tenant.rotate", 0),
    ):
        shown = str(workspace.run(name).rendered(task_id, map_index=map_index))
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
    if path.stem == "example_workato_email" and AIRFLOW.release in ((3, 0, 0), (3, 1, 0)):
        pytest.importorskip(
            "airflow.providers.smtp.notifications.smtp",
            reason="this Airflow cannot import the smtp provider of its day",
            exc_type=ImportError,
        )
    if path.stem in ("example_workato_approval", "example_workato_apply") and Version("3.1") <= AIRFLOW:
        standard = Version(version("apache-airflow-providers-standard"))
        if Version("1.12.2") > standard:
            pytest.skip("ApprovalOperator has response_timeout from standard 1.12.2 on")
    bag = dag_bag(path)
    assert bag.import_errors == {}
    # Airflow below 3.1 cannot ask a person.
    missing = path.stem == "example_workato_approval" and Version("3.1") > AIRFLOW
    assert len(bag.dags) == (0 if missing else 1)
