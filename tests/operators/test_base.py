"""Credentials of an operator: they are hidden, and public values are shown."""

from __future__ import annotations

import copy
import inspect
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import Enum
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest
from airflow.listeners import hookimpl
from airflow.providers.common.compat.sdk import DAG, TaskGroup, mask_secret, redact, task

from airflow_provider_workato.arguments import FIELDS
from airflow_provider_workato.exceptions import WorkatoAuthorizationError, WorkatoConfigurationError
from airflow_provider_workato.operators import connections
from airflow_provider_workato.operators.base import WorkatoOperator
from airflow_provider_workato.operators.connections import (
    WorkatoCreateConnectionOperator,
    WorkatoDeleteConnectionOperator,
    WorkatoDisconnectConnectionOperator,
    WorkatoUpdateConnectionOperator,
)
from airflow_provider_workato.redaction import Sealed, secret_texts
from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor
from tests.leaks.echo import running_echo
from tests.support.dags import own_workspace, run_dag
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
    task = operator(input={"whatever": ["m4sk-me-please", {"x": 55667788}]})
    task.render_template_fields({})
    assert redact("it is m4sk-me-please and 55667788") == "it is *** and ***"


def test_a_public_value_is_not_masked_in_logs_unless_it_is_a_secret_as_well() -> None:
    given = {"database": "harbour-lights", "owner": "app-own3r", "password": "app-own3r"}
    operator(input=given, public_input_keys=["database", "owner"]).render_template_fields({})
    # Airflow passes each log line of a task through this function.
    assert redact("app-own3r opened harbour-lights") == "*** opened harbour-lights"


OPERATORS = [
    value
    for value in vars(connections).values()
    if isinstance(value, type)
    and issubclass(value, WorkatoOperator)
    and value.__module__ == connections.__name__
]


@pytest.mark.parametrize("kind", [*OPERATORS, WorkatoConnectionSensor])
def test_an_operator_knows_its_optional_parameters_and_fields(kind: type[WorkatoOperator]) -> None:
    """One that lacks the decorator would send no field, and take ``None`` from a template."""
    needed = {
        name
        for name, parameter in inspect.signature(kind.__init__).parameters.items()
        if name in FIELDS or parameter.default is None
    }
    assert needed <= kind._parameters.keys()


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


@pytest.mark.parametrize("spelled", [str, repr, json.dumps, partial(json.dumps, ensure_ascii=False)])
@pytest.mark.parametrize(
    "secret",
    [
        "tr1cky\\value",
        'tr1cky"value',
        "tr1cky'value",
        "tr1cky'\"value",
        "tr1cky\\ü",
        "first-l1ne\nsecond-l1ne",
        "tr1cky'l1ne\nother\"l1ne",
        "first\x85s3c\u2028on\x1cd",
        "tr1cky-ü",
        "1234\n5678\n9012",
    ],
)
def test_airflows_masker_knows_what_a_log_can_show(secret: str, spelled: Callable[[str], str]) -> None:
    operator(input={"a": secret}).render_template_fields({})
    shown = redact(f"… {spelled(secret)} …")
    lines = spelled(secret).strip("'\"").split("\\n")
    assert all(line not in shown for line in lines)


def test_a_value_is_masked_as_it_is_sent() -> None:
    class Kind(str, Enum):  # noqa: UP042 - a StrEnum does not have this problem
        A = "enum-s3cret"

        def __str__(self) -> str:
            return "shown"

    class Number(int):
        def __repr__(self) -> str:
            return "shown"

        __str__ = __repr__

    operator(input={"a": Kind.A, "b": Number(66778899)}).render_template_fields({})
    assert redact("it is enum-s3cret and 66778899") == "it is *** and ***"
    sealed = Sealed({"a": Kind.A, "b": Number(66778899)})
    assert {"enum-s3cret", "66778899"} <= set(secret_texts(sealed.leaves()))


def _values(count: int) -> list[str]:
    """Return values, none of them known to the masker, that have other spellings each in its own way."""
    now = time.monotonic_ns()
    return [f"{now}-{i} p%&9" + "'\"\\<ü"[i % 5] for i in range(count)]


@pytest.fixture
def masker() -> Iterator[Any]:
    """Airflow's masker, empty."""
    from airflow_provider_workato import version_compat

    module: Any = import_module(version_compat._MASKER)
    masker = module._secrets_masker()
    before = masker.patterns, masker.replacer
    masker.patterns, masker.replacer = set(), None
    yield masker
    masker.patterns, masker.replacer = before


@pytest.mark.parametrize(("tasks", "size"), [(30, 5), (1, 100)])
def test_masking_costs_no_more_than_airflows_own(masker: Any, tasks: int, size: int) -> None:
    """Airflow compiles a pattern of all values for each one that it is told."""

    def seconds(work: Callable[[Any], None]) -> float:
        inputs = [_values(size) for _ in range(tasks)]
        masker.patterns, masker.replacer = set(), None
        began = time.process_time()
        for values in inputs:
            work(values)
        return time.process_time() - began

    def own(values: list[str]) -> None:
        for value in values:
            mask_secret(value)

    def ours(values: list[str]) -> None:
        operator(input={"a": values}).render_template_fields({})

    # The better of two each: another process may have had the processor.
    assert min(seconds(ours) for _ in range(2)) < 1.5 * min(seconds(own) for _ in range(2)) + 0.1


@pytest.mark.parametrize("line", [76, 1_000_000])
def test_a_long_value_is_masked_at_its_beginning(masker: Any, line: int) -> None:
    value = "".join(_values(20_000))[:1_000_000]
    value = "\n".join(value[i : i + line] for i in range(0, len(value), line))
    task = operator(input={"keystore": value})
    task.render_template_fields({})
    assert value.splitlines()[0][:200] not in redact(value)
    assert sum(map(len, masker.patterns)) < 120_000
    assert task.credentials is not None
    assert task.credentials.reveal() == {"keystore": value}


# Arguments


def _credentials() -> dict[str, str]:
    return {"password": "pa55-word", "other": "0ther-word"}


def test_an_unknown_argument_is_named_without_its_value() -> None:
    with pytest.raises(
        WorkatoConfigurationError, match=r"no argument 'inputs'\. Did you mean 'input'"
    ) as error:
        operator(inputs=_credentials())
    assert "word" not in str(error.value)
    with pytest.raises(WorkatoConfigurationError, match="WorkatoConnectionSensor has no argument 'input'"):
        WorkatoConnectionSensor(task_id="wait", connection_id=36, input=_credentials())


def test_an_unknown_argument_of_an_upstream_task(
    airflow_db: None, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    @task(show_return_value_in_logs=False)
    def tenants() -> list[Any]:
        return [{"name": "A", "provider": "jira", "inputs": _credentials()}]

    with DAG("unknown", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        WorkatoCreateConnectionOperator.partial(task_id="create").expand_kwargs(tenants())
    run = run_dag(dag)
    shown = "".join(capsys.readouterr()) + caplog.text
    assert run.states == {"create[0]": "failed", "tenants": "success"}
    assert "has no argument 'inputs'. Did you mean 'input'" in shown
    assert "0ther-word" not in shown


def _everything(value: Any, seen: set[int]) -> Iterator[str]:
    """Yield all strings that a listener can reach from an object's attributes."""
    if id(value) in seen or isinstance(value, (type, DAG)):
        return
    seen.add(id(value))
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in [*value, *value.values()]:
            yield from _everything(item, seen)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _everything(item, seen)
    else:
        yield from _everything(getattr(value, "__dict__", None), seen)


def _listener_manager() -> Any:
    """Return the manager of the listeners of a task's process."""
    found = find_spec("airflow.sdk") is not None and find_spec("airflow.sdk.listener") is not None
    module: Any = import_module("airflow.sdk.listener" if found else "airflow.listeners.listener")
    return module.get_listener_manager()


@pytest.mark.parametrize("word", ["right", "wrong-credentials"])
def test_no_listener_finds_a_credential(word: str, airflow_db: None) -> None:
    found: dict[str, set[str]] = {}

    def record(event: str, ti: Any) -> None:
        if ti.task_id == "create":
            found[event] = set(_everything(vars(ti.task), set()))

    class Listener:
        @hookimpl
        def on_task_instance_running(self, task_instance: Any) -> None:
            record("running", task_instance)

        @hookimpl
        def on_task_instance_success(self, task_instance: Any) -> None:
            record("success", task_instance)

        @hookimpl
        def on_task_instance_failed(self, task_instance: Any) -> None:
            record("failed", task_instance)

    @task(show_return_value_in_logs=False)
    def tenants() -> list[Any]:
        return [{"name": "A", "provider": "rest", "input": {"word": word, "other": "0ther-word"}}]

    with own_workspace():
        with DAG("listened", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
            WorkatoCreateConnectionOperator.partial(task_id="create").expand_kwargs(tenants())
        manager = _listener_manager()
        manager.add_listener(Listener())
        try:
            run_dag(dag)
        finally:
            manager.clear()
    assert found.keys() == {"running", "success" if word == "right" else "failed"}
    for event, strings in found.items():
        assert "rest" in strings
        assert not [text for text in strings if "0ther-word" in text], event
