"""Every operator in a real DAG run: its effect, its XComs, and what it shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_workato.exceptions import (
    WorkatoAuthorizationError,
    WorkatoConfigurationError,
    WorkatoNotFoundError,
    WorkatoRejectedError,
)
from airflow_provider_workato.links.connections import WorkatoConnectionLink, WorkatoOAuthLink
from airflow_provider_workato.operators.connections import (
    WorkatoCreateConnectionOperator,
    WorkatoCreateRuntimeUserConnectionOperator,
    WorkatoDeleteConnectionOperator,
    WorkatoDisconnectConnectionOperator,
    WorkatoGetOAuthUrlOperator,
    WorkatoGetPicklistOperator,
    WorkatoListConnectionsOperator,
    WorkatoUpdateConnectionOperator,
)
from airflow_provider_workato.provisioning.task_state import TaskState
from airflow_provider_workato.sandbox.client import SandboxControl, SandboxProcess
from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor
from tests.support.airflow import AIRFLOW, on_airflow_33
from tests.support.dags import Run, own_workspace, run_dag
from tests.support.hook import Connect
from tests.support.sandbox import RunningSandbox
from tests.support.tasks import TaskInstance

#: By what they are: an ordinary one, one that Airflow finds too short to mask, one that needs escaping.
SECRETS = {"long": "l0ng-s3cret-value", "short": "q7Z~", "odd": 'o"dd/s3cret\\ü'}
CREDENTIALS = {
    "host_name": "{{ var.value.harmless_long }}",
    "deep": [{"pwd": "{{ var.value.harmless_short }}", "auth_code": ["{{ var.value.harmless_odd }}"]}],
    "key": "{{ conn.jira.password }}",
    "port": 8443,
}
MASKED = {
    "host_name": "***",
    "deep": [{"pwd": "***", "auth_code": ["***"]}],
    "key": "***",
    "port": "***",
}


@dataclass
class Facts:
    """What the callbacks saw."""

    errors: dict[str, BaseException] = field(default_factory=dict)
    recorded: dict[str, Any] = field(default_factory=dict)

    def failed(self, context: Any) -> None:
        self.errors[context["ti"].task_id] = context["exception"]

    def succeeded(self, context: Any) -> None:
        store = context.get("task_state_store")
        self.recorded[context["ti"].task_id] = store and store.get(TaskState.KEY)


def make_dag(facts: Facts) -> DAG:
    with DAG(
        "operators",
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        params={"who": "acme"},
        # Permanent errors must not be retried.
        default_args={
            "retries": 1,
            "retry_delay": timedelta(0),
            "on_failure_callback": facts.failed,
            "on_success_callback": facts.succeeded,
        },
    ) as dag:
        create = WorkatoCreateConnectionOperator(
            task_id="create",
            name="JIRA of {{ params.who }}",
            provider="{{ 'ji' ~ 'ra' }}",
            folder_id="{{ 1892 }}",
            external_id="{{ params.who }}-jira",
            input=CREDENTIALS,
        )
        tenants = WorkatoCreateConnectionOperator.partial(
            task_id="tenants", provider="jira", input=CREDENTIALS
        ).expand_kwargs([{"name": name, "external_id": name} for name in ("one", "two")])
        moved = WorkatoUpdateConnectionOperator.partial(
            task_id="moved", folder_id=4515, input={"pwd": "{{ conn.jira.password }}"}
        ).expand(connection_id=tenants.output)
        wait_for_tenants = WorkatoConnectionSensor(task_id="wait_for_tenants", connection_id=tenants.output)
        tenants >> moved >> wait_for_tenants

        poked = WorkatoConnectionSensor(task_id="poked", connection_id=create.output)
        rescheduled = WorkatoConnectionSensor(
            task_id="rescheduled", connection_id=create.output, mode="reschedule"
        )
        deferred = WorkatoConnectionSensor(
            task_id="deferred", connection_id=create.output, deferrable=True, poke_interval=0.2
        )
        picklist = WorkatoGetPicklistOperator(
            task_id="picklist",
            connection_id=create.output,
            pick_list_name="get_project_issuetypes",
            pick_list_params={"project": "{{ params.who }}"},
        )
        renamed = WorkatoUpdateConnectionOperator(
            task_id="renamed", connection_id="{{ ti.xcom_pull('create') }}", name="{{ params.who }}!"
        )
        listed = WorkatoListConnectionsOperator(
            task_id="listed", provider="jira", external_id="{{ params.who }}-jira", include_tags=True
        )
        disconnected = WorkatoDisconnectConnectionOperator(
            task_id="disconnected", connection_id=create.output
        )
        deleted = WorkatoDeleteConnectionOperator(task_id="deleted", connection_id=create.output)
        missing = WorkatoDeleteConnectionOperator(
            task_id="missing", connection_id=create.output, ignore_missing=True
        )
        gone = WorkatoDeleteConnectionOperator(task_id="gone", connection_id=create.output)
        create >> [poked, rescheduled, deferred] >> picklist >> renamed >> listed
        listed >> disconnected >> deleted >> missing >> gone

        user = WorkatoCreateRuntimeUserConnectionOperator(
            task_id="user", parent_id="{{ 36 }}", folder_id=26204321, external_id="{{ params.who }}@x"
        )
        user >> WorkatoGetOAuthUrlOperator(task_id="login", connection_id=user.output)

        WorkatoCreateConnectionOperator(
            task_id="refused",
            name="Refused",
            provider="jira",
            input={"pwd": "wrong-credentials{{ var.value.harmless_long }}"},
        )
        WorkatoUpdateConnectionOperator(
            task_id="update_refused",
            connection_id=1,
            input={"pwd": "wrong-credentials{{ var.value.harmless_long }}"},
        )
        WorkatoDisconnectConnectionOperator(task_id="in_use", connection_id=2)
        WorkatoDisconnectConnectionOperator(task_id="forced", connection_id=3, force=True)
        WorkatoDeleteConnectionOperator(task_id="no_id", connection_id="36/../../users/me")
    return dag


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The DAG run that all tests here examine."""

    run: Run
    facts: Facts
    workato: SandboxProcess

    @property
    def control(self) -> SandboxControl:
        return self.workato.control


@pytest.fixture(scope="module")
def scene(airflow_db: None) -> Iterator[Scene]:
    with own_workspace() as workato, pytest.MonkeyPatch.context() as environment:
        for name, value in SECRETS.items():
            environment.setenv(f"AIRFLOW_VAR_HARMLESS_{name.upper()}", value)
        jira = {"conn_type": "http", "password": SECRETS["long"]}
        environment.setenv("AIRFLOW_CONN_JIRA", json.dumps(jira))
        workato.control.seed(
            [
                {"id": 1, "authorization_status": "success"},
                {"id": 2, "authorization_status": "success", "active_recipes": 1},
                {"id": 3, "authorization_status": "success", "active_recipes": 1},
            ]
        )
        facts = Facts()
        yield Scene(run=run_dag(make_dag(facts)), facts=facts, workato=workato)


calls_back = pytest.mark.skipif(AIRFLOW.major == 2, reason="dag.test() of Airflow 2 calls nobody back")
FAILING = {"gone", "refused", "update_refused", "in_use", "no_id"}


def test_all_ran(scene: Scene) -> None:
    states = scene.run.states
    assert {name for name, state in states.items() if state != "success"} == FAILING
    assert {states[name] for name in FAILING} == {"failed"}


def test_permanent_errors_are_not_retried(scene: Scene) -> None:
    assert {scene.run.instances[name, -1].try_number for name in FAILING} == {1}


@calls_back
def test_errors_say_what_to_do(scene: Scene) -> None:
    kinds = {name: type(error) for name, error in scene.facts.errors.items()}
    assert kinds == {
        "gone": WorkatoNotFoundError,
        "refused": WorkatoAuthorizationError,
        "update_refused": WorkatoAuthorizationError,
        "in_use": WorkatoRejectedError,
        "no_id": WorkatoConfigurationError,
    }


def test_create_returns_the_id(scene: Scene) -> None:
    number = scene.run.xcom("create")
    connection = scene.run.xcom("create", key="workato_connection")
    assert isinstance(number, int)
    assert connection["id"] == number
    assert (connection["name"], connection["folder_id"]) == ("JIRA of acme", 1892)
    assert (connection["external_id"], connection["authorization_status"]) == ("acme-jira", "success")


def test_waits_return_the_connection(scene: Scene) -> None:
    for name in ("poked", "rescheduled", "deferred"):
        assert scene.run.xcom(name) == scene.run.xcom("poked")
        assert scene.run.xcom(name)["id"] == scene.run.xcom("create")


def test_mapped_tasks(scene: Scene) -> None:
    ids = [scene.run.xcom("tenants", map_index=index) for index in (0, 1)]
    assert len(set(ids)) == 2
    moved = [scene.run.xcom("moved", map_index=index) for index in (0, 1)]
    assert [(row["id"], row["folder_id"]) for row in moved] == [(number, 4515) for number in ids]
    assert [row["id"] for row in scene.run.xcom("wait_for_tenants")] == ids


def test_other_results(scene: Scene) -> None:
    number = scene.run.xcom("create")
    assert scene.run.xcom("picklist")[0] == {"label": "Task", "value": "acme--Task"}
    assert scene.run.xcom("renamed")["name"] == "acme!"
    assert [(row["id"], row["tags"]) for row in scene.run.xcom("listed")] == [(number, [])]
    assert scene.run.xcom("disconnected") == {"success": True, "status": "disconnected"}
    assert scene.run.xcom("deleted") == {"success": True, "status": "deleted"}
    assert scene.run.xcom("missing") == {"success": True, "status": "missing"}
    assert scene.run.xcom("forced")["success"] is True


def test_runtime_user(scene: Scene) -> None:
    connection = scene.run.xcom("user", key="workato_connection")
    assert connection["id"] == scene.run.xcom("user")
    assert (connection["parent_id"], connection["external_id"]) == (36, "acme@x")
    assert connection["url"].startswith(scene.workato.url)
    assert scene.control.click_authorize(scene.run.xcom("login")) == 200


def test_refused_credentials(scene: Scene) -> None:
    (refused,) = [row for row in scene.control.connections() if row["name"] == "Refused"]
    assert refused["authorization_status"] == "failed", "the word that the sandbox refuses did arrive"
    assert scene.control.connection(1)["authorization_status"] == "failed"


@calls_back
def test_refused_credentials_say_which_connection(scene: Scene) -> None:
    error, update = scene.facts.errors["refused"], scene.facts.errors["update_refused"]
    assert isinstance(error, WorkatoAuthorizationError)
    assert isinstance(update, WorkatoAuthorizationError)
    assert scene.control.connection(error.connection_id or 0)["name"] == "Refused"
    assert update.connection_id == 1
    assert "jira: 401 Unauthorized, the app refused the credentials" in str(error)
    assert "Correct 'input' and clear this task" in str(update)


def test_an_invalid_id_is_not_requested(scene: Scene) -> None:
    assert not [request for request in scene.control.requests() if "users" in request["path"]]


# What they show


@pytest.mark.parametrize(("task_id", "map_index"), [("create", -1), ("tenants", 0), ("tenants", 1)])
def test_rendered_fields_have_no_credentials(scene: Scene, task_id: str, map_index: int) -> None:
    fields = scene.run.rendered(task_id, map_index=map_index)
    shown = fields["input"]
    assert (json.loads(shown.replace("'", '"')) if isinstance(shown, str) else shown) == MASKED
    assert fields["provider"] == "jira"
    for secret in SECRETS.values():
        assert secret not in json.dumps(fields, ensure_ascii=False)


def test_rendered_fields_of_updates(scene: Scene) -> None:
    for task_id, map_index in (("moved", 0), ("update_refused", -1)):
        assert "***" in str(scene.run.rendered(task_id, map_index=map_index)["input"])
        assert SECRETS["long"] not in str(scene.run.rendered(task_id, map_index=map_index))


def test_links(scene: Scene) -> None:
    number = scene.run.xcom("create")
    url = f"{scene.workato.url}/connections/{number}"
    for name in ("create", "picklist", "renamed", "disconnected", "poked", "rescheduled", "deferred"):
        assert scene.run.xcom(name, key="workato_connection_url") == url
    assert (
        scene.run.xcom("user", key="workato_oauth_url")
        == scene.run.xcom("user", key="workato_connection")["url"]
    )
    assert scene.run.xcom("login", key="workato_oauth_url") == scene.run.xcom("login")


def test_links_as_airflow_asks_for_them(scene: Scene) -> None:
    wanted = {
        ("create", WorkatoConnectionLink): scene.run.xcom("create", key="workato_connection_url"),
        ("deferred", WorkatoConnectionLink): scene.run.xcom("create", key="workato_connection_url"),
        ("login", WorkatoOAuthLink): scene.run.xcom("login"),
    }
    for (task_id, link), url in wanted.items():
        ti = scene.run.instances[task_id, -1]
        if AIRFLOW.major == 2:
            assert link().get_link(ti.task, ti_key=ti.key) == url
        else:
            # There the worker asks, and leaves the answer for the web server.
            assert scene.run.xcom(task_id, key=link().xcom_key) == url
    ti = scene.run.instances["no_id", -1]
    if AIRFLOW.major == 2:
        assert WorkatoConnectionLink().get_link(ti.task, ti_key=ti.key) == ""


def test_a_failed_task_has_its_link(scene: Scene) -> None:
    (refused,) = [row["id"] for row in scene.control.connections() if row["name"] == "Refused"]
    key = WorkatoConnectionLink.key if AIRFLOW.major == 2 else WorkatoConnectionLink().xcom_key
    for task_id, number in (("refused", refused), ("update_refused", 1), ("in_use", 2)):
        assert scene.run.xcom(task_id, key=key) == f"{scene.workato.url}/connections/{number}"


def test_the_link_of_a_deleted_connection_opens_the_workspace(scene: Scene) -> None:
    assert scene.run.xcom("deleted", key="workato_connection_url") == f"{scene.workato.url}/"
    assert scene.run.xcom("missing", key="workato_connection_url") == f"{scene.workato.url}/"


@on_airflow_33
def test_the_attempt_is_recorded_for_the_next_try(scene: Scene) -> None:
    recorded = scene.facts.recorded["create"]
    assert recorded["id"] == scene.run.xcom("create")
    assert not [secret for secret in SECRETS.values() if secret in str(scene.facts.recorded)]


# One by one, without a run


@pytest.mark.parametrize("rendered", ["None", "", " "])
@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("create", "external_id"),
        ("create", "name"),
        ("create", "provider"),
        ("update", "external_id"),
        ("update", "name"),
        ("runtime user", "external_id"),
        ("runtime user", "name"),
    ],
)
def test_a_template_that_renders_none_is_an_error(
    connect: Connect, sandbox: RunningSandbox, kind: str, field: str, rendered: str
) -> None:
    """Two tenants with the external id "None" would share a connection."""
    kinds: dict[str, tuple[Any, dict[str, Any]]] = {
        "create": (WorkatoCreateConnectionOperator, {"name": "A", "provider": "jira", "external_id": "a"}),
        "update": (WorkatoUpdateConnectionOperator, {"connection_id": 36, "folder_id": 1892}),
        "runtime user": (
            WorkatoCreateRuntimeUserConnectionOperator,
            {"parent_id": 36, "folder_id": 1892, "external_id": "a", "name": "A"},
        ),
    }
    operator, given = kinds[kind]
    with pytest.raises(WorkatoConfigurationError, match=f"{field} is {rendered!r}.*a template rendered"):
        operator(task_id="act", **given | {field: rendered}).execute(TaskInstance().context)
    assert sandbox.control.requests() == []


# What they log


def test_each_operator_logs_what_it_did(
    connect: Connect,
    sandbox: RunningSandbox,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level("INFO")

    def lines(task: Any) -> list[str]:
        caplog.clear()
        context = TaskInstance().context
        task.render_template_fields(context)
        task.execute(context)
        # What operators log themselves, Airflow 3 writes to the standard output only.
        found = re.findall(r"\[info *\] (.*?) +\[.*workato", capsys.readouterr().out)
        records = [record for record in caplog.records if "workato" in record.name]
        return found or [record.getMessage() for record in records if record.levelname == "INFO"]

    given: dict[str, Any] = {
        "name": "Prod JIRA",
        "provider": "jira",
        "external_id": "acme",
        "input": {"apitoken": "s3cret-token"},
    }
    create = WorkatoCreateConnectionOperator(task_id="a", **given)
    (created,) = lines(create)
    (row,) = [row for row in sandbox.control.connections() if row["external_id"] == "acme"]
    number = row["id"]
    assert (
        created == f"Created connection {number} (external_id='acme', provider='jira'); status: authorized."
    )
    assert lines(WorkatoCreateConnectionOperator(task_id="b", **given)) == [
        f"Reusing connection {number} (external_id='acme', provider='jira'); status: authorized."
    ]
    update = WorkatoUpdateConnectionOperator(
        task_id="c", connection_id=number, folder_id=1892, input={"apitoken": "s3cret-token"}
    )
    assert lines(update) == [
        f"Updated folder_id, input of connection {number} ('Prod JIRA', jira); status: authorized."
    ]
    picklist = WorkatoGetPicklistOperator(
        task_id="d",
        connection_id=number,
        pick_list_name="get_project_issuetypes",
        pick_list_params={"project": "OPS"},
    )
    assert lines(picklist) == [
        f"Fetched picklist 'get_project_issuetypes' of connection {number}; values: 5."
    ]
    listed = WorkatoListConnectionsOperator(task_id="e", provider="jira", external_id="acme")
    assert lines(listed) == ["Listed connections (external_id=acme, provider=jira); found: 1."]
    assert lines(WorkatoListConnectionsOperator(task_id="f")) == ["Listed connections (no filter); found: 2."]
    disconnect = WorkatoDisconnectConnectionOperator(task_id="g", external_id="acme", provider="jira")
    assert lines(disconnect) == [f"Disconnected connection {number} ('Prod JIRA', jira)."]
    assert lines(WorkatoDeleteConnectionOperator(task_id="h", connection_id=number)) == [
        f"Deleted connection {number}."
    ]
    missing: dict[str, Any] = {"connection_id": number, "ignore_missing": True}
    assert lines(WorkatoDisconnectConnectionOperator(task_id="i", **missing)) == [
        f"Connection {number} does not exist; nothing to disconnect."
    ]
    assert lines(WorkatoDeleteConnectionOperator(task_id="j", **missing)) == [
        f"Connection {number} does not exist; nothing to delete."
    ]
    user = WorkatoCreateRuntimeUserConnectionOperator(
        task_id="k", parent_id=36, folder_id=26204321, external_id="ada"
    )
    (created,) = lines(user)
    number = next(row["id"] for row in sandbox.control.connections() if row["external_id"] == "ada")
    assert created == f"Created connection {number} (external_id='ada', parent_id=36); status: no status yet."
    login = WorkatoGetOAuthUrlOperator(
        task_id="l", connection_id=number, redirect_url="https://acme.example/"
    )
    (fetched,) = lines(login)
    assert fetched == (
        f"Fetched a login URL for connection {number}. The button 'Authorize' on this task's page "
        "(tab Details) opens it."
    )
    (request,) = sandbox.control.requests(operation="get_oauth_url")
    assert request["query"] == "redirect_url=https%3A%2F%2Facme.example%2F"


def test_a_deleted_connections_folder_is_what_the_link_opens(
    connect: Connect, sandbox: RunningSandbox
) -> None:
    sandbox.control.seed([{"id": 7, "provider": "jira", "external_id": "acme", "folder_id": 1892}])
    ti = TaskInstance()
    WorkatoDeleteConnectionOperator(task_id="delete", external_id="acme", provider="jira").execute(ti.context)
    assert ti.xcoms["workato_connection_url"] == f"{sandbox.url}/?fid=1892#assets"


OPERATORS: list[Any] = [
    WorkatoConnectionSensor,
    WorkatoCreateConnectionOperator,
    WorkatoCreateRuntimeUserConnectionOperator,
    WorkatoDeleteConnectionOperator,
    WorkatoDisconnectConnectionOperator,
    WorkatoGetOAuthUrlOperator,
    WorkatoGetPicklistOperator,
    WorkatoListConnectionsOperator,
    WorkatoUpdateConnectionOperator,
]


def test_each_operator_has_a_colour_of_its_own_that_black_text_is_readable_on() -> None:
    assert len({kind.ui_color for kind in OPERATORS}) == len(OPERATORS)
    for kind in OPERATORS:
        assert kind.ui_fgcolor in ("#000", "#000000")
        red, green, blue = bytes.fromhex(kind.ui_color.removeprefix("#"))
        assert min(red, green, blue) >= 0x67
        assert 0.299 * red + 0.587 * green + 0.114 * blue > 180


@pytest.mark.parametrize("key", ["password", "Password"])
def test_a_password_does_not_end_a_persons_login(connect: Connect, sandbox: RunningSandbox, key: str) -> None:
    update = WorkatoUpdateConnectionOperator(task_id="a", connection_id=36, input={key: "hunter2-s3cret"})
    with pytest.raises(WorkatoConfigurationError, match=r"salesforce takes no password.*Leave 'input' out"):
        update.execute(TaskInstance().context)
    assert sandbox.control.connection(36)["authorization_status"] == "success"
    assert sandbox.control.requests(operation="update_connection") == []


@pytest.mark.parametrize("unknown", ["unauthorized", "html_page"])
def test_an_update_goes_on_if_the_app_cannot_be_found_out(
    connect: Connect, sandbox: RunningSandbox, unknown: str
) -> None:
    (number,) = sandbox.control.seed([{"name": "A", "provider": "postgresql"}])
    sandbox.control.add_fault(unknown, operation="list_connections", times=None)
    update = WorkatoUpdateConnectionOperator(
        task_id="a", connection_id=number, input={"password": "hunter2-s3cret"}
    )
    assert update.execute(TaskInstance().context)["authorization_status"] == "success"


def test_a_refused_update_of_an_app_with_logins_says_so(connect: Connect) -> None:
    update = WorkatoUpdateConnectionOperator(task_id="a", connection_id=36, input={"apitoken": "s3cret"})
    with pytest.raises(WorkatoAuthorizationError, match="leave 'input' out and log in in Workato"):
        update.execute(TaskInstance().context)


@pytest.mark.parametrize("operator", [WorkatoDeleteConnectionOperator, WorkatoDisconnectConnectionOperator])
@pytest.mark.parametrize("target", [{"connection_id": 404}, {"external_id": "e", "provider": "jira"}])
def test_a_missing_connection_names_ignore_missing(
    connect: Connect, operator: Any, target: dict[str, Any]
) -> None:
    with pytest.raises(WorkatoNotFoundError, match="set ignore_missing=True") as caught:
        operator(task_id="a", **target).execute(TaskInstance().context)
    assert ".." not in str(caught.value)
