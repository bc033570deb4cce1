"""Credentials of an operator: they are hidden, and public values are shown."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, TaskGroup

from airflow_provider_workato.exceptions import WorkatoAuthorizationError, WorkatoConfigurationError
from airflow_provider_workato.operators.connections import (
    WorkatoCreateConnectionOperator,
    WorkatoDeleteConnectionOperator,
    WorkatoDisconnectConnectionOperator,
    WorkatoUpdateConnectionOperator,
)
from airflow_provider_workato.redaction import Sealed
from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor
from tests.leaks.echo import running_echo
from tests.support.hook import Connect
from tests.support.sandbox import RunningSandbox
from tests.support.tasks import TaskInstance


def operator(**arguments: Any) -> WorkatoCreateConnectionOperator:
    return WorkatoCreateConnectionOperator(task_id="create", name="A", provider="jira", **arguments)


@pytest.mark.parametrize("secret", ["abc", "a", "12345678", 'q"u\\ote', "ü"])
def test_credentials_move_out_of_sight(secret: str) -> None:
    task = operator(input={"a": {"b": [secret]}, "c": None, "d": True})
    task.render_template_fields({})
    assert task.input == {"a": {"b": ["***"]}, "c": "***", "d": "***"}
    assert isinstance(task.credentials, Sealed)
    assert task.credentials.reveal() == {"a": {"b": [secret]}, "c": None, "d": True}
    task.render_template_fields({})
    assert task.credentials.reveal()["a"] == {"b": [secret]}, "rendered once more, as Airflow 2 does"
    assert secret not in repr(vars(task).get("_credentials"))


def test_credentials_that_were_never_rendered() -> None:
    task = operator(input={"a": "b"})
    assert task.credentials is not None
    assert task.credentials.reveal() == {"a": "b"}
    assert task.input == {"a": "***"}
    assert operator().credentials is None


PUBLIC = ["host", "advanced.database", "hosts", "port"]


def test_a_public_value_is_shown() -> None:
    given = {
        "host": "acme.example",
        "port": 5432,
        "hosts": ["a.example", "b.example"],
        "advanced": {"database": "globex", "host": "s3cret.example"},
        "password": "pa55-word",
    }
    task = operator(input=given, public_input_keys=PUBLIC)
    for _ in range(2):  # Airflow 2 renders a task's fields more than once
        task.render_template_fields({})
        assert task.input == given | {
            "advanced": {"database": "globex", "host": "***"},
            "password": "***",
        }
    assert task.credentials is not None
    assert task.credentials.reveal() == given
    assert sorted(map(str, task.credentials.leaves())) == ["pa55-word", "s3cret.example"]


@pytest.mark.parametrize(
    "public",
    ["pa55-word", "postgres://app:pa55-word@acme.example", "pa55%2Dword or pa55-word", ["a", "pa55-word"]],
)
def test_a_public_value_that_contains_a_secret_is_not_shown(public: Any) -> None:
    task = operator(input={"host": public, "password": "pa55-word"}, public_input_keys=["host"])
    task.render_template_fields({})
    assert "pa55-word" not in str(task.input)
    assert task.input["host"] in ("***", ["a", "***"])


def test_a_public_key_does_not_make_a_nested_dict_public() -> None:
    task = operator(input={"host": {"password": "pa55-word"}}, public_input_keys=["host", "password"])
    task.render_template_fields({})
    assert task.input == {"host": {"password": "***"}}


def test_a_value_that_rendering_changes_again_keeps_its_secrets() -> None:
    """Airflow 2 renders a shown value once more, and can then turn it into another."""
    task = operator(input={"host": "a", "password": "pa55-word"}, public_input_keys=["host"])
    task.render_template_fields({})
    task.input = {"host": "b", "password": "***"}
    task.render_template_fields({})
    assert task.credentials is not None
    assert task.credentials.reveal() == {"host": "a", "password": "pa55-word"}


@pytest.mark.parametrize("keys", ["host_name", [1]])
def test_public_keys_are_a_list_of_strings(keys: Any) -> None:
    with pytest.raises(WorkatoConfigurationError, match=r"public_input_keys must be a list of keys such as"):
        operator(input={}, public_input_keys=keys)


def test_an_app_may_name_a_public_value(connect: Connect, sandbox: RunningSandbox) -> None:
    with running_echo() as echo:
        connect(host=f"{echo}/refused")
        task = operator(input={"database": "globex", "password": "pa55-word"}, public_input_keys=["database"])
        with pytest.raises(WorkatoAuthorizationError) as caught:
            task.execute(TaskInstance().context)
    assert "[globex] [***]" in str(caught.value)
    assert "pa55-word" not in str(caught.value)


def test_credentials_are_known_to_airflows_masker() -> None:
    from airflow.providers.common.compat.sdk import redact

    task = operator(input={"whatever": ["m4sk-me-please", {"x": 55667788}]})
    task.render_template_fields({})
    assert redact("it is m4sk-me-please and 55667788") == "it is *** and ***"


def test_a_public_value_is_not_masked_in_logs_unless_it_is_a_secret_as_well() -> None:
    from airflow.providers.common.compat.sdk import redact

    given = {"database": "harbour-lights", "owner": "app-own3r", "password": "app-own3r"}
    operator(input=given, public_input_keys=["database", "owner"]).render_template_fields({})
    # Airflow passes each log line of a task through this function.
    assert redact("app-own3r opened harbour-lights") == "*** opened harbour-lights"


OF_A_CREATE = {
    "connection_id": 99,
    "external_id": "of-a-create",
    "name": "Of a create",
    "provider": "jira",
    "folder_id": 4515,
    "project_id": 1,
    "parent_id": 98,
    "input": {"password": "of-a-create"},
    "shell_connection": True,
}
#: Where the arguments of a create can come from: the DAG, a task group and the task.
LEVELS = ("dag", "group", "task")


def made(kind: Any, level: str, *, mapped: bool = False, shared: Any = OF_A_CREATE, **arguments: Any) -> Any:
    """Return an operator that is beside a create whose arguments come from ``default_args``."""
    defaults = {each: shared if each == level else {} for each in LEVELS}
    with (
        DAG("d", schedule=None, default_args=defaults["dag"]),
        TaskGroup("g", default_args=defaults["group"]),
    ):
        if not mapped:
            return kind(task_id="act", default_args=defaults["task"], **arguments)
        task = kind.partial(task_id="act").expand_kwargs([arguments])
    return task.unmap(arguments)


beside_a_create = pytest.mark.parametrize(
    ("level", "mapped"),
    [(level, mapped) for level in LEVELS for mapped in (False, True) if (level, mapped) != ("task", True)],
)


class OfATenant(WorkatoUpdateConnectionOperator):
    def __init__(self, *, tenant: str, **kwargs: Any) -> None:
        super().__init__(external_id=tenant, **kwargs)


@beside_a_create
def test_an_update_sends_nothing_from_default_args(level: str, mapped: bool) -> None:
    task = made(WorkatoUpdateConnectionOperator, level, mapped=mapped, connection_id=7, name="New")
    given = {name: getattr(task, name) for name in task.template_fields if getattr(task, name) is not None}
    assert given == {"workato_conn_id": "workato_default", "connection_id": 7, "name": "New"}
    same = made(
        WorkatoUpdateConnectionOperator, level, mapped=mapped, connection_id=7, external_id="of-a-create"
    )
    assert (same.external_id, same.name) == ("of-a-create", None)
    of_a_tenant = made(OfATenant, level, mapped=mapped, connection_id=7, tenant="of-a-create")
    assert (of_a_tenant.external_id, of_a_tenant.name) == ("of-a-create", None)
    assert copy.deepcopy(task).name == "New"


@beside_a_create
@pytest.mark.parametrize(
    "arguments", [{}, {"deferrable": True}, {"deferrable": True, "start_from_trigger": True}]
)
def test_a_sensor_lists_the_connections_that_it_is_told(
    level: str, mapped: bool, arguments: dict[str, Any]
) -> None:
    task = made(WorkatoConnectionSensor, level, mapped=mapped, connection_id=7, **arguments)
    assert task._list_filters() == {}
    narrow = made(WorkatoConnectionSensor, level, mapped=mapped, connection_id=7, folder_id=4515, **arguments)
    assert narrow._list_filters() == {"folder_id": 4515}


@beside_a_create
@pytest.mark.parametrize("kind", [WorkatoDeleteConnectionOperator, WorkatoDisconnectConnectionOperator])
def test_the_task_itself_names_the_target(kind: Any, level: str, mapped: bool) -> None:
    def named(shared: Any = OF_A_CREATE, **arguments: Any) -> tuple[object, ...]:
        task = made(kind, level, mapped=mapped, shared=shared, **arguments)
        return (task._by_id, task.connection_id, task.external_id, task.name)

    assert named(connection_id=7) == (True, 7, None, None)
    assert named(connection_id=None) == (True, None, None, None)
    assert named(external_id="mine") == (False, None, "mine", None)
    assert named(name="Mine") == (False, None, None, "Mine")
    with pytest.raises(WorkatoConfigurationError, match="needs either"):
        named(connection_id=7, name="Mine")
    # The same identity as the create, spelled once.
    identity = {name: value for name, value in OF_A_CREATE.items() if name != "connection_id"}
    assert named(identity) == (False, None, "of-a-create", "Of a create")
    assert made(kind, level, mapped=mapped, name="Mine").folder_id == 4515


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("hostname", "'host_name'"),
        ("host", "'advanced.host'"),
        ("advanced", "'advanced.host' and 'advanced.port'"),
        ("auth_typ", "'auth_type'"),
        # A key that only other tenants have.
        ("region", ""),
        ("host_name", ""),
    ],
)
def test_a_misspelt_public_key(
    connect: Connect,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    key: str,
    meant: str,
) -> None:
    given = {"host_name": "a", "auth_type": "b", "advanced": {"host": "c", "port": 1}}
    task = operator(input=given, public_input_keys=[key])
    task.render_template_fields({})
    task.execute(TaskInstance().context)
    # What operators log themselves, Airflow 3 writes to the standard output only.
    said = capsys.readouterr().out + caplog.text
    says = f"public_input_keys has {key!r}, but input has {meant}, so its value stays hidden."
    assert (says in said) is bool(meant)
    assert ("public_input_keys" in said) is bool(meant)
