"""A declared set, planned and applied as a DAG's tasks do it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, TaskDeferred, task
from cryptography.fernet import Fernet

from airflow_provider_workato.exceptions import WorkatoConfigurationError, WorkatoSetRefusedError
from airflow_provider_workato.operators.sets import (
    WorkatoApplyConnectionsOperator,
    WorkatoPlanConnectionsOperator,
)
from airflow_provider_workato.sandbox.client import SandboxProcess
from tests.operators.test_asking import WAYS, Outbox, Task, person, told
from tests.support.airflow import AIRFLOW
from tests.support.dags import Run, own_workspace, run_dag
from tests.support.hook import Connect
from tests.support.sandbox import RunningSandbox

TENANTS = [f"tenant{number}" for number in range(10)]
FOLDER = 1892


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Airflow connections with the tenants' credentials, and Airflow's key."""
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
    for name in TENANTS:
        set_secret(monkeypatch, name, f"secret-of-{name}")


def set_secret(monkeypatch: pytest.MonkeyPatch, conn_id: str, secret: str) -> None:
    value = {"conn_type": "generic", "login": f"{conn_id}@example.com", "password": secret}
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(value))


@pytest.fixture
def ti(monkeypatch: pytest.MonkeyPatch) -> Task:
    """A task outside a DAG run, which has no Airflow variables, hence no fingerprints."""
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "")
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0")
    return Task(task_id="create")


@pytest.fixture
def workato(airflow_db: None) -> Iterator[SandboxProcess]:
    with own_workspace() as workato:
        yield workato


def entry(tenant: str, provider: str) -> dict[str, Any]:
    return {
        "name": f"{provider} of {tenant}",
        "provider": provider,
        "external_id": f"{tenant}-{provider}",
        "input": {"host_name": f"{tenant}.example.com"},
        "input_from": {"conn_id": tenant, "keys": {"email": "login", "apitoken": "password"}},
    }


def entries(*tenants: str) -> list[dict[str, Any]]:
    return [entry(tenant, provider) for tenant in tenants or TENANTS for provider in ("jira", "zendesk")]


def apply(connections: Any, **arguments: Any) -> Run:
    with DAG("apply", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        WorkatoApplyConnectionsOperator(
            task_id="apply", connections=connections, **{"folder_id": FOLDER} | arguments
        )
    return run_dag(dag)


def plan(connections: Any, **arguments: Any) -> Run:
    with DAG("plan", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        WorkatoPlanConnectionsOperator(
            task_id="plan", connections=connections, **{"folder_id": FOLDER} | arguments
        )
    return run_dag(dag)


def calls(workato: SandboxProcess) -> list[str]:
    return [request["operation"] for request in workato.control.requests()]


def did(run: Run) -> dict[str, str]:
    return {result["name"]: result["did"] for result in run.xcom("apply", key="workato_connections")}


def test_a_second_apply_makes_one_call(workato: SandboxProcess) -> None:
    first = apply(entries())
    assert first.states == {"apply": "success"}
    assert set(did(first).values()) == {"created"}
    before = calls(workato)
    assert before == ["list_connections", *["create_connection"] * 20]
    assert first.xcom("apply", key="workato_plan")["counts"]["create"] == 20
    second = apply(entries())
    assert set(did(second).values()) == {"unchanged"}
    assert calls(workato)[len(before) :] == ["list_connections"]
    assert second.xcom("apply", key="workato_plan")["drift"] is False


def test_a_night_with_bad_ones(
    workato: SandboxProcess,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Ten tenants, two apps; one bad credential, one 400, one tenant gone."""
    apply(entries())
    set_secret(monkeypatch, "tenant3", "wrong-credentials-of-3")
    rows = [row for row in entries() if not row["external_id"].startswith("tenant9")]
    rows.append(entry("tenant8", "no-such-app"))
    run = apply(rows, prune="delete")
    assert run.states == {"apply": "failed"}
    outcome = did(run)
    assert {name: each for name, each in outcome.items() if each != "unchanged"} == {
        "jira of tenant3": "failed",
        "zendesk of tenant3": "failed",
        "no-such-app of tenant8": "failed",
        "jira of tenant9": "deleted",
        "zendesk of tenant9": "deleted",
    }
    # Airflow 3 prints its log. In `dag.test()`, Airflow 3.0 shows no error, but what it passes to its masker.
    text = re.sub(r"MaskSecret\(.*", "", caplog.text + capsys.readouterr().out)
    assert (AIRFLOW.release[:2] == (3, 0)) or (
        "3 of 21 connections are not as declared; all others are done:\n- entry 7, 'jira of tenant3': "
        in text
    )
    assert "wrong-credentials-of-3" not in text + json.dumps(run.rendered("apply"))
    refused = apply(rows[:-1], on_refused="return")
    assert refused.states == {"apply": "success"}


@pytest.mark.parametrize(
    ("on_drift", "state"), [("return", "success"), ("fail", "failed"), ("skip", "skipped")]
)
def test_a_plan_changes_nothing(workato: SandboxProcess, on_drift: str, state: str) -> None:
    run = plan([entry("tenant0", "jira")], on_drift=on_drift)
    assert run.states == {"plan": state}
    assert run.xcom("plan")["counts"] | {"create": 1} == run.xcom("plan")["counts"]
    assert calls(workato) == ["list_connections"]


def test_a_file_of_the_dag_may_hold_templates(workato: SandboxProcess, tmp_path: Path) -> None:
    manifest = tmp_path / "connections.yaml"
    manifest.write_text(
        "connections:\n"
        "{% for team in ('a', 'b') %}\n"
        "  - name: Jira of {{ team }}\n"
        "    provider: jira\n"
        "{% endfor %}\n"
    )
    run = plan(str(manifest))
    assert [change["name"] for change in run.xcom("plan")["changes"]] == ["Jira of a", "Jira of b"]
    assert run.xcom("plan")["changes"][0]["declared_at"] == "connections.yaml, line 3 (entry 1)"


def test_a_mapped_task_renders_the_file_of_its_dag(workato: SandboxProcess, tmp_path: Path) -> None:
    manifest = tmp_path / "connections.yaml"
    manifest.write_text("- {name: 'Jira of {{ params.team }}', provider: jira}\n")
    with DAG("m", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), params={"team": "a"}) as dag:

        @task
        def paths() -> list[str]:
            return [str(manifest)]

        WorkatoPlanConnectionsOperator.partial(task_id="own", connections=str(manifest)).expand(
            folder_id=[FOLDER]
        )
        WorkatoPlanConnectionsOperator.partial(task_id="given", folder_id=FOLDER).expand(connections=paths())
    run = run_dag(dag)
    names = [run.xcom(each, map_index=0)["changes"][0]["name"] for each in ("own", "given")]
    assert names == ["Jira of a", "Jira of {{ params.team }}"]


@pytest.mark.parametrize("native", [False, True])
def test_a_template_may_give_the_entries(workato: SandboxProcess, native: bool) -> None:
    with DAG(
        "m", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), render_template_as_native_obj=native
    ) as dag:

        @task
        def rows() -> list[dict[str, Any]]:
            return [{"name": "{{ 1 }}", "provider": "jira"}]

        rows() >> WorkatoPlanConnectionsOperator(
            task_id="plan", connections="{{ ti.xcom_pull(task_ids='rows') }}", folder_id=FOLDER
        )
    assert run_dag(dag).xcom("plan")["changes"][0]["name"] == "{{ 1 }}"


@pytest.mark.parametrize("text", ["- name: hunter2\n", "[{'input': 'hunter2'}] and more", '{"a": "hunter2"}'])
def test_a_text_in_place_of_a_path_is_not_quoted(text: str, connect: Connect, ti: Task) -> None:
    plan = WorkatoPlanConnectionsOperator(task_id="plan", connections=text, folder_id=FOLDER)
    with pytest.raises(WorkatoConfigurationError, match="is the text of one") as caught:
        plan.execute(ti.context)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("own", [{"external_id_prefix": "a-"}, {"folder_id": 2}])
def test_the_own_scope_goes_before_that_of_default_args(own: dict[str, Any]) -> None:
    given = {"folder_id": 1, "external_id_prefix": "b-"}
    with DAG("m", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), default_args=given):
        plan = WorkatoPlanConnectionsOperator(task_id="plan", connections=[], **own)
    assert {name: getattr(plan, name) for name in given} == dict.fromkeys(given) | own


def test_data_is_no_template(workato: SandboxProcess) -> None:
    name = "{{ var.value.nothing }}"
    with DAG("data", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:

        @task
        def rows() -> list[dict[str, Any]]:
            return [{"name": name, "provider": "jira"}]

        @task
        def path() -> str:
            return __file__

        given: Any = rows()
        WorkatoPlanConnectionsOperator(task_id="plan", connections=given, folder_id=FOLDER)
        file: Any = path()
        WorkatoPlanConnectionsOperator(task_id="file", connections=file, folder_id=FOLDER)
    run = run_dag(dag)
    assert run.states == {"rows": "success", "plan": "success", "path": "success", "file": "failed"}
    assert run.xcom("plan")["changes"][0]["name"] == name


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "needs either folder_id or external_id_prefix"),
        ({"folder_id": 1, "external_id_prefix": "a"}, "needs either folder_id or external_id_prefix"),
        ({"folder_id": 1, "prune": "purge"}, "prune must be one of report, disconnect, delete"),
        ({"folder_id": 1, "on_refused": "skip"}, "on_refused must be one of fail, return"),
        ({"folder_id": 1, "reauthenticate": "perhaps"}, "reauthenticate must be true or false"),
    ],
)
def test_bad_arguments_fail_the_dag_file(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(WorkatoConfigurationError, match=said):
        WorkatoApplyConnectionsOperator(task_id="apply", connections=[], **arguments)


def shells(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "provider": "salesforce"} for name in names]


@pytest.mark.parametrize("way", WAYS)
def test_waits_for_all_people_at_once(
    way: Callable[..., Any], sandbox: RunningSandbox, connect: Connect, ti: Task
) -> None:
    outbox = Outbox("{{ workato.connections | map(attribute='url') | join(' ') }}")
    control = sandbox.control
    rows = [*shells("One", "Two"), {"name": "Bad", "provider": "no-such-app"}]

    def make(**mode: Any) -> WorkatoApplyConnectionsOperator:
        return WorkatoApplyConnectionsOperator(
            task_id="create",
            connections=rows,
            folder_id=FOLDER,
            wait_for_authorization=True,
            notifiers=outbox,
            remind_every=0.4,
            timeout=15,
            poke_interval=0.05,
            **mode,
        )

    def authorize() -> None:
        first, second = (each["connection"]["id"] for each in told(outbox)["connections"])
        control.fail(first)
        control.authorize(second)
        # Who has logged in is not reminded.
        reminder = told(outbox, 2)
        while len(reminder["connections"]) > 1:
            reminder = told(outbox, len(outbox.sent) + 1)
        assert reminder["is_reminder"]
        assert [each["connection"]["id"] for each in reminder["connections"]] == [first]
        control.authorize(first)

    with (
        person(authorize),
        pytest.raises(WorkatoSetRefusedError, match="1 of 3 connections are not as") as caught,
    ):
        way(make, ti)
    assert "entry 3, 'Bad': create_connection failed with HTTP 400" in str(caught.value)
    results = ti.xcoms["workato_connections"]
    assert [(each["did"], each["status"]) for each in results] == [
        ("created", "authorized"),
        ("created", "authorized"),
        ("failed", None),
    ]
    ids = [each["id"] for each in results[:2]]
    assert outbox.sent[0][0] == " ".join(f"{sandbox.url}/connections/{number}" for number in ids)
    assert not outbox.sent[0][1]["is_reminder"]
    assert ti.xcoms[
        "_link_WorkatoConnectionLink" if AIRFLOW.major > 2 else "workato_connection_url"
    ].endswith(f"?fid={FOLDER}#assets")


def test_a_resumed_task_does_not_quote_what_an_app_says(
    sandbox: RunningSandbox, connect: Connect, ti: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An app can repeat the credentials, which a resumed task does not read again."""
    set_secret(monkeypatch, "acme", "secret-that-the-app-repeats")
    outbox = Outbox()
    rows = [entry("acme", "jira") | {"shell_connection": True}]
    quoted = []

    def make() -> WorkatoApplyConnectionsOperator:
        return WorkatoApplyConnectionsOperator(
            task_id="create",
            connections=rows,
            folder_id=FOLDER,
            wait_for_authorization=True,
            notifiers=outbox,
            remind_every=0.1,
            timeout=15,
            deferrable=True,
        )

    with pytest.raises(TaskDeferred) as first:
        make().execute(ti.context)
    for _ in range(2):
        quoted.append(first.value.trigger.serialize()[1]["quote_app"])
        pending = {"pending": ti.xcoms["workato_connections"], "deadline": time.time() + 15}
        with pytest.raises(TaskDeferred) as first:
            make().resume_execution("execute_complete", {"event": pending}, ti.context)
    assert quoted == [False, False]
    assert [about["is_reminder"] for _, about in outbox.sent] == [False, True, True]


def test_without_anybody_to_wait_for(sandbox: RunningSandbox, connect: Connect, ti: Task) -> None:
    sandbox.control.seed(
        [row | {"folder_id": FOLDER, "authorization_status": "success"} for row in shells("A")]
    )
    apply = WorkatoApplyConnectionsOperator(
        task_id="create", connections=shells("A"), folder_id=FOLDER, wait_for_authorization=True
    )
    assert [each["status"] for each in apply.execute(ti.context)] == ["authorized"]
