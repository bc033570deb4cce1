"""Clean-ups in a real DAG run: after refused creates, by identity, and only of what the run created."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_workato.exceptions import (
    WorkatoConfigurationError,
    WorkatoExistsError,
    WorkatoNotFoundError,
    WorkatoTransportError,
)
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.operators.connections import (
    WorkatoCreateConnectionOperator,
    WorkatoCreateRuntimeUserConnectionOperator,
    WorkatoDeleteConnectionOperator,
    WorkatoDisconnectConnectionOperator,
    WorkatoListConnectionsOperator,
    WorkatoUpdateConnectionOperator,
)
from airflow_provider_workato.sandbox.client import SandboxProcess
from tests.support.dags import Run, own_workspace, run_dag
from tests.support.hook import Connect
from tests.support.sandbox import RunningSandbox
from tests.support.tasks import TaskInstance

REFUSED = {"apitoken": "wrong-credentials"}
ACCEPTED = {"apitoken": "fine"}
TENANTS: list[dict[str, Any]] = [
    {"name": "one", "external_id": "tenant-1", "input": ACCEPTED},
    {"name": "two", "external_id": "tenant-2", "input": REFUSED},
    {"name": "three", "external_id": "tenant-3", "input": ACCEPTED},
]

#: The external ids of the connections that exist before the run.
THEIRS = ["theirs", "mixed-theirs", "changed", "unwanted", "unknown", "by-id"]


def create(task_id: str, **arguments: Any) -> WorkatoCreateConnectionOperator:
    return WorkatoCreateConnectionOperator(task_id=task_id, name=task_id, provider="jira", **arguments)


def make_dag(by_id: int) -> DAG:
    with DAG(
        "cleanup", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), params={"by_id": by_id}
    ) as dag:
        # One create of three is refused.
        tenants = WorkatoCreateConnectionOperator.partial(task_id="tenants", provider="jira").expand_kwargs(
            TENANTS
        )
        WorkatoDeleteConnectionOperator.partial(
            task_id="delete_tenants", trigger_rule="all_done", ignore_missing=True
        ).expand(connection_id=tenants.output)

        # A teardown without setups also runs after a create that failed.
        refused = create("refused", external_id="refused", input=REFUSED)
        tear_down = WorkatoDeleteConnectionOperator(task_id="tear_down", connection_id=refused.output)
        refused >> tear_down.as_teardown()

        skipped = create("skipped", external_id="skipped", input=REFUSED)
        with_setups = WorkatoDeleteConnectionOperator(task_id="with_setups", connection_id=skipped.output)
        skipped >> with_setups.as_teardown(setups=skipped)

        # The create fails: its arguments are invalid.
        nothing = create("nothing", external_id="nothing", input={"a": "malformed-credentials"})
        missing: list[Any] = [nothing.output, "{{ ti.xcom_pull('nothing') }}"]
        for number, given in enumerate(missing):
            nothing >> WorkatoDeleteConnectionOperator(
                task_id=f"delete_nothing_{number}",
                connection_id=given,
                ignore_missing="{{ 'TRUE' }}",
                trigger_rule="all_done",
            )

        # Returns the id although the credentials are refused.
        returned = WorkatoCreateConnectionOperator.partial(
            task_id="returned", provider="jira", on_refused="return"
        ).expand_kwargs([{**each, "external_id": f"returned-{each['name']}"} for each in TENANTS])

        @task
        def usable(connections: Any) -> list[int]:
            return [row["id"] for row in connections if row["authorization_status"] == "success"]

        output: Any = returned.output
        usable(output["workato_connection"])

        # Existing connections stay.
        ours, theirs = create("ours", external_id="ours"), create("theirs", external_id="theirs")
        for made in (ours, theirs):
            made >> WorkatoDeleteConnectionOperator(
                task_id=f"delete_{made.task_id}", connection_id=made.output
            )
        mixed = WorkatoCreateConnectionOperator.partial(task_id="mixed", provider="jira").expand_kwargs(
            [{"name": name, "external_id": name} for name in ("mixed-ours", "mixed-theirs")]
        )
        WorkatoDeleteConnectionOperator.partial(task_id="delete_mixed").expand(connection_id=mixed.output)
        user = WorkatoCreateRuntimeUserConnectionOperator(
            task_id="user", parent_id=36, folder_id=4515, external_id="ada"
        )
        user >> WorkatoDeleteConnectionOperator(task_id="delete_user", parent_id=36, external_id="ada")

        changed = create("changed", external_id="changed", if_exists="update")
        changed >> WorkatoDeleteConnectionOperator(task_id="delete_changed", connection_id=changed.output)
        unwanted = create("unwanted", external_id="unwanted")
        unwanted >> WorkatoDeleteConnectionOperator(
            task_id="delete_unwanted", connection_id=unwanted.output, delete_reused="{{ 'yes' }}"
        )
        # Of two that mean the same connection, the first creates it.
        first, second = create("first", external_id="both"), create("second", external_id="both")
        deleted = WorkatoDeleteConnectionOperator(task_id="delete_both", connection_id=second.output)
        first >> second >> deleted
        # A create fails before it knows its connection, which existed before.
        unknown = create("unknown", external_id="unknown", shell_connection="{{ 'maybe' }}")
        unknown >> WorkatoDeleteConnectionOperator(
            task_id="delete_unknown", external_id="unknown", provider="jira", trigger_rule="all_done"
        )
        WorkatoDeleteConnectionOperator(task_id="delete_by_id", connection_id="{{ params.by_id }}")
    return dag


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The DAG run that all tests here examine."""

    run: Run
    workato: SandboxProcess

    def left(self) -> set[str]:
        return {row["external_id"] for row in self.workato.control.connections() if row["external_id"]}


@pytest.fixture(scope="module")
def scene(airflow_db: None) -> Iterator[Scene]:
    with own_workspace() as workato:
        theirs = workato.control.seed(
            [{"provider": "jira", "external_id": name, "authorization_status": "success"} for name in THEIRS]
        )
        by_id = theirs[THEIRS.index("by-id")]
        yield Scene(run=run_dag(make_dag(by_id)), workato=workato)


def test_a_mapped_clean_up_gets_every_id(scene: Scene) -> None:
    states = scene.run.states
    assert [states[f"tenants[{index}]"] for index in range(3)] == ["success", "failed", "success"]
    ids = [scene.run.xcom("tenants", map_index=index) for index in range(3)]
    assert len(set(ids)) == 3
    assert None not in ids
    for index in range(3):
        assert states[f"delete_tenants[{index}]"] == "success"
        assert scene.run.xcom("delete_tenants", map_index=index)["status"] == "deleted"
    assert not {each["external_id"] for each in TENANTS} & scene.left()


def test_a_refused_create_pushes_its_xcoms(scene: Scene) -> None:
    number = scene.run.xcom("refused")
    assert scene.run.states["refused"] == "failed"
    connection = scene.run.xcom("refused", key="workato_connection")
    assert (connection["id"], connection["authorization_status"]) == (number, "failed")
    assert scene.run.xcom("refused", key="workato_outcome")["did"] == "created"
    url = scene.run.xcom("refused", key="workato_connection_url")
    assert url == f"{scene.workato.url}/connections/{number}"


def test_a_teardown_without_setups_cleans_up_after_a_refused_create(scene: Scene) -> None:
    assert scene.run.xcom("tear_down") == {"success": True, "status": "deleted"}
    assert "refused" not in scene.left()


def test_a_teardown_with_setups_is_skipped_by_airflow(scene: Scene) -> None:
    """The documentation says so."""
    assert scene.run.states["with_setups"] != "success"
    assert "skipped" in scene.left()


def test_a_connection_that_was_never_created_is_missing(scene: Scene) -> None:
    for number in range(2):
        assert scene.run.xcom(f"delete_nothing_{number}") == {"success": True, "status": "missing"}


def test_one_of_many_is_refused(scene: Scene) -> None:
    assert [scene.run.states[f"returned[{index}]"] for index in range(3)] == ["success"] * 3
    ids = [scene.run.xcom("returned", map_index=index) for index in range(3)]
    assert scene.run.xcom("usable") == [ids[0], ids[2]]


@pytest.mark.parametrize(
    ("task_id", "did", "status"),
    [("ours", "created", "deleted"), ("theirs", "reused", "kept"), ("changed", "changed", "kept")],
)
def test_only_what_this_run_created_is_deleted(scene: Scene, task_id: str, did: str, status: str) -> None:
    assert scene.run.xcom(task_id, key="workato_outcome")["did"] == did
    assert scene.run.xcom(f"delete_{task_id}") == {"success": True, "status": status}
    assert (task_id in scene.left()) is (status == "kept")


def test_what_a_run_created_is_deleted_whichever_create_gives_the_id(scene: Scene) -> None:
    mixed = [scene.run.xcom("delete_mixed", map_index=index)["status"] for index in range(2)]
    assert mixed == ["deleted", "kept"]
    assert [scene.run.xcom(f"delete_{each}")["status"] for each in ("user", "both")] == ["deleted"] * 2
    assert {"mixed-theirs"} <= scene.left()
    assert not {"mixed-ours", "ada", "both"} & scene.left()


def test_what_existed_before_is_kept_if_its_create_failed_early(scene: Scene) -> None:
    assert scene.run.states["unknown"] == "failed"
    assert scene.run.xcom("delete_unknown")["status"] == "kept"


@pytest.mark.parametrize("task_id", ["unwanted", "by_id"])
def test_what_existed_before_is_deleted_on_purpose(scene: Scene, task_id: str) -> None:
    assert scene.run.xcom(f"delete_{task_id}")["status"] == "deleted"
    assert task_id.replace("_", "-") not in scene.left()


# One by one, without a run

BY_IDENTITY = {"external_id": "a-1", "provider": "jira"}

Target = type[WorkatoDeleteConnectionOperator] | type[WorkatoDisconnectConnectionOperator]
TARGETS: list[Target] = [WorkatoDeleteConnectionOperator, WorkatoDisconnectConnectionOperator]


def act(kind: Target, **arguments: Any) -> Any:
    return kind(task_id="act", **arguments).execute(TaskInstance().context)


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize(
    "given",
    [
        {"external_id": "a-1", "provider": "jira"},
        {"external_id": "a-1", "provider": "jira", "folder_id": "1892"},
        {"name": "A", "provider": "jira", "folder_id": 1892},
    ],
)
def test_found_by_the_fields_of_a_create(
    connect: Connect, sandbox: RunningSandbox, kind: Target, given: dict[str, Any]
) -> None:
    hook = WorkatoConnectionsHook()
    mine = hook.ensure_connection(
        name="A", provider="jira", folder_id=1892, external_id="a-1", input=ACCEPTED
    )
    sandbox.control.seed(
        [
            {"name": "A", "provider": "jira", "folder_id": 4515},
            {"name": "A", "provider": "rest", "external_id": "a-1"},
        ]
    )
    before = sandbox.control.connections()
    assert act(kind, **given)["success"] is True
    changed = [row["id"] for row in before if row not in sandbox.control.connections()]
    assert changed == [mine["id"]]
    hook.close()


@pytest.mark.parametrize("kind", TARGETS)
def test_none_or_several_match(connect: Connect, sandbox: RunningSandbox, kind: Target) -> None:
    wanted: dict[str, Any] = {"external_id": "a-1", "provider": "jira"}
    with pytest.raises(WorkatoNotFoundError, match="No connection matches external_id='a-1'"):
        act(kind, **wanted)
    assert act(kind, **wanted, ignore_missing=True) == {"success": True, "status": "missing"}
    sandbox.control.seed([wanted] * 2)
    with pytest.raises(WorkatoExistsError, match="2 connections match"):
        act(kind, **wanted, ignore_missing=True)


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"provider": "jira", "folder_id": 1},
        {"connection_id": 1, "external_id": "a"},
        {"connection_id": None, "name": "a"},
        {"connection_id": 1, "name": "a", "provider": "jira", "folder_id": 1},
    ],
)
def test_connection_id_and_the_other_fields_exclude_each_other(kind: Target, given: dict[str, Any]) -> None:
    with pytest.raises(WorkatoConfigurationError, match="needs either connection_id, or external_id"):
        kind(task_id="act", **given)


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize(
    "shared", [{"folder_id": 1892}, {"provider": "jira"}, {"provider": "jira", "parent_id": 36}]
)
def test_an_id_is_enough_beside_the_default_arguments_of_a_dag(
    connect: Connect, sandbox: RunningSandbox, kind: Target, shared: dict[str, Any]
) -> None:
    (number,) = sandbox.control.seed([{"provider": "rest"}])
    with DAG("d", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), default_args=shared):
        operator: Any = kind(task_id="act", connection_id=number)
    assert operator.execute(TaskInstance().context)["success"] is True
    assert "list_connections" not in sandbox.control.counts()["by_operation"]


@pytest.mark.parametrize("may_mean_it", [False, True])
def test_what_no_create_of_the_dag_can_mean_is_deleted(
    connect: Connect, sandbox: RunningSandbox, may_mean_it: bool
) -> None:
    class Instance(TaskInstance):
        def xcom_pull(self, **_: Any) -> list[None]:
            return [None]

    sandbox.control.seed([BY_IDENTITY])
    with DAG("d", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        create("other", external_id="{{ params.tenant }}" if may_mean_it else "a-2")
        operator = WorkatoDeleteConnectionOperator(task_id="delete", **BY_IDENTITY)
    said = operator.execute(Instance().context | {"dag": dag})
    assert said["status"] == ("kept" if may_mean_it else "deleted")


def delete(ti: TaskInstance, **arguments: Any) -> dict[str, Any]:
    return WorkatoDeleteConnectionOperator(task_id="delete", **arguments).execute(ti.context)


@pytest.mark.parametrize("by_id", [True, False])
def test_the_next_try_of_a_delete_whose_answer_was_lost(
    connect: Connect, sandbox: RunningSandbox, by_id: bool
) -> None:
    connect(retry_budget=0)
    (number,) = sandbox.control.seed([BY_IDENTITY])
    told: dict[str, Any] = {"connection_id": number} if by_id else BY_IDENTITY
    ti = TaskInstance()
    sandbox.control.add_fault("reset_before_answer", operation="delete_connection", performed=True)
    with pytest.raises(WorkatoTransportError):
        delete(ti, **told)
    ti.try_number = 2
    assert delete(ti, **told) == {"success": True, "status": "deleted"}


@pytest.mark.parametrize("given", [{"connection_id": 99}, BY_IDENTITY])
def test_the_first_try_of_a_delete_deleted_nothing_before(
    connect: Connect, sandbox: RunningSandbox, given: dict[str, Any]
) -> None:
    with pytest.raises(WorkatoNotFoundError):
        delete(TaskInstance(), **given)


@pytest.mark.parametrize("by_id", [True, False])
def test_no_404_is_taken_for_a_delete_unless_the_list_agrees(
    connect: Connect, sandbox: RunningSandbox, by_id: bool
) -> None:
    ti = TaskInstance()
    ti.try_number = 2
    (there,) = sandbox.control.seed([BY_IDENTITY])
    sandbox.control.add_fault("not_found", operation="delete_connection")
    with pytest.raises(WorkatoNotFoundError, match=f"connection {there} failed with HTTP 404"):
        delete(ti, connection_id=there)
    connect(host=f"{sandbox.url}/elsewhere")
    with pytest.raises(WorkatoNotFoundError, match="list_connections failed with HTTP 404"):
        delete(ti, **({"connection_id": there} if by_id else BY_IDENTITY))


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize(
    "given",
    [
        {"name": "A", "provider": "jira"},
        {"name": "A", "folder_id": 1892},
        {"external_id": "a-1"},
        {"external_id": "a-1", "folder_id": 1892},
    ],
)
def test_a_connection_that_may_have_another_owner_is_not_touched(
    connect: Connect, sandbox: RunningSandbox, kind: Target, given: dict[str, Any]
) -> None:
    with pytest.raises(WorkatoConfigurationError, match="provider"):
        act(kind, **given, ignore_missing=True)
    assert sandbox.control.requests() == []


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("missing", [None, "None", "", " ", [], ()])
def test_a_missing_id(connect: Connect, sandbox: RunningSandbox, kind: Target, missing: Any) -> None:
    assert act(kind, connection_id=missing, ignore_missing="yes")["status"] == "missing"
    with pytest.raises(WorkatoConfigurationError, match="There is no connection_id: the task that should"):
        act(kind, connection_id=missing)
    assert sandbox.control.requests() == []


@pytest.mark.parametrize("kind", TARGETS)
def test_a_404_is_confirmed(connect: Connect, sandbox: RunningSandbox, kind: Target) -> None:
    assert act(kind, connection_id=99, ignore_missing=True)["status"] == "missing"
    assert sandbox.control.counts()["by_operation"]["list_connections"] == 1
    (there,) = sandbox.control.seed([{"provider": "jira"}])
    sandbox.control.add_fault("not_found", operation=f"{kind.__name__[7:-18].lower()}_connection")
    with pytest.raises(WorkatoNotFoundError, match=f"connection {there} failed with HTTP 404"):
        act(kind, connection_id=there, ignore_missing=True)


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("given", [{"connection_id": 36}, {"external_id": "a-1", "provider": "jira"}])
def test_a_wrong_base_url_is_not_a_success(
    connect: Connect, sandbox: RunningSandbox, kind: Target, given: dict[str, Any]
) -> None:
    connect(host=f"{sandbox.url}/elsewhere")
    with pytest.raises(WorkatoNotFoundError, match="list_connections failed with HTTP 404"):
        act(kind, **given, ignore_missing=True)


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        (WorkatoCreateConnectionOperator, {"if_exists": "reuze"}, "if_exists must be .* not 'reuze'"),
        (WorkatoCreateConnectionOperator, {"on_refused": "ignore"}, "on_refused must be .* not 'ignore'"),
        (WorkatoCreateConnectionOperator, {"shell_connection": "maybe"}, "shell_connection must be true or"),
        (WorkatoUpdateConnectionOperator, {"shell_connection": ""}, "shell_connection must be true or"),
        (WorkatoCreateRuntimeUserConnectionOperator, {"if_exists": "reuze"}, "not 'reuze'"),
        (WorkatoDisconnectConnectionOperator, {"force": "si"}, "force must be true or false .* not 'si'"),
        (WorkatoDeleteConnectionOperator, {"delete_reused": "si"}, "delete_reused must be true or false"),
        (WorkatoDeleteConnectionOperator, {"ignore_missing": "None"}, "ignore_missing must be true or false"),
        (WorkatoListConnectionsOperator, {"include_tags": "all"}, "include_tags must be true or false"),
    ],
)
def test_wrong_options_are_found_when_the_dag_is_parsed_or_the_task_runs(
    connect: Connect, sandbox: RunningSandbox, kind: Any, given: dict[str, str], says: str
) -> None:
    needed: dict[Any, dict[str, Any]] = {
        WorkatoCreateConnectionOperator: {"name": "A", "provider": "jira"},
        WorkatoUpdateConnectionOperator: {"connection_id": 36},
        WorkatoCreateRuntimeUserConnectionOperator: {"parent_id": 36, "folder_id": 1, "external_id": "a"},
        WorkatoDisconnectConnectionOperator: {"connection_id": 36},
        WorkatoDeleteConnectionOperator: {"connection_id": 36},
        WorkatoListConnectionsOperator: {},
    }
    with pytest.raises(WorkatoConfigurationError, match=says):
        kind(task_id="a", **needed[kind], **given)
    ((name, value),) = given.items()
    templated = kind(task_id="a", **needed[kind], **{name: f"{{{{ '{value}' }}}}"})
    templated.render_template_fields({})
    with pytest.raises(WorkatoConfigurationError, match=says):
        templated.execute(TaskInstance().context)
    assert sandbox.control.requests() == []


@pytest.mark.parametrize(("said", "is_refused"), [("false", True), ("No", True), (" TRUE ", False)])
def test_booleans_from_templates(
    connect: Connect, sandbox: RunningSandbox, said: str, is_refused: bool
) -> None:
    from airflow_provider_workato.exceptions import WorkatoRejectedError

    (used,) = sandbox.control.seed([{"authorization_status": "success", "active_recipes": 1}])
    operator = WorkatoDisconnectConnectionOperator(
        task_id="a", connection_id=used, force=f"{{{{ '{said}' }}}}"
    )
    operator.render_template_fields({})
    if is_refused:
        with pytest.raises(WorkatoRejectedError):
            operator.execute(TaskInstance().context)
    else:
        assert operator.execute(TaskInstance().context)["success"] is True
