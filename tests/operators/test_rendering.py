"""What a template or an upstream task gives is sent as it is, in every DAG."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, task, task_group

from airflow_provider_workato.exceptions import WorkatoConfigurationError, WorkatoError
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.operators.connections import (
    WorkatoGetPicklistOperator,
    WorkatoListConnectionsOperator,
    WorkatoUpdateConnectionOperator,
)
from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor
from tests.support.dags import Run, run_dag
from tests.support.hook import Connect, airflow_conn
from tests.support.listener import Listener, listening
from tests.support.tasks import TaskInstance

ROW = {"id": 36, "authorization_status": "success"}

#: Python's literals, of which native rendering makes something else, and text that looks like a template.
SECRETS = [
    *(
        "1e5",
        "1E400",
        "0x1F",
        "0o17",
        "0b101",
        "1_000",
        "123.10",
        "1.0",
        "+491234",
        "-5",
        "007",
        "1j",
        "1" * 30,
    ),
    *("True", "None", "...", "'quoted'", '"quoted"', "b'bytes'", "'a' 'b'"),
    *("a,b", "1,2", "()", "[1, 2]", '{"a": 1.10}', "{1, 2}", " padded ", "two\nlines\r\n", "# comment"),
]


@pytest.fixture
def workato(connect: Connect) -> Iterator[Listener]:
    """A server that accepts each update, and records it."""
    with listening(body=json.dumps(ROW).encode()) as workato:
        connect(host=workato.url)
        yield workato


def sent(workato: Listener) -> dict[str, Any]:
    """Return the body of the latest request."""
    body: dict[str, Any] = json.loads(workato.heard[-1].body)
    return body


def execute(operator: Any, **variables: Any) -> Any:
    """Render an operator's templates and run it."""
    operator.render_template_fields(dict(variables))
    return operator.execute(TaskInstance().context)


def update(*, connection_id: Any = 36, **arguments: Any) -> WorkatoUpdateConnectionOperator:
    return WorkatoUpdateConnectionOperator(task_id="update", connection_id=connection_id, **arguments)


@pytest.fixture(params=[False, True], ids=["text", "native"])
def dag(request: pytest.FixtureRequest) -> Iterator[DAG]:
    """A DAG that renders text, and one that renders native objects."""
    with DAG(
        "dag",
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        render_template_as_native_obj=request.param,
        user_defined_macros={"tenant": lambda: "4711"},
        user_defined_filters={"digits": lambda value: value.zfill(6)},
    ) as dag:
        yield dag


@pytest.mark.parametrize("secret", SECRETS)
def test_a_credential_is_sent_as_it_is(secret: str, dag: DAG, workato: Listener) -> None:
    given = {"a": secret, "b": "{{ secret }}", "c": [{"d": "{{ secret }}"}], "e": "<{{ secret }}>"}
    execute(update(input=given), secret=secret)
    assert sent(workato)["input"] == {"a": secret, "b": secret, "c": [{"d": secret}], "e": f"<{secret}>"}


@pytest.mark.parametrize("value", [4711, 1.5, True, None])
def test_a_template_of_text_gives_text(value: Any, dag: DAG, workato: Listener) -> None:
    execute(update(input={"a": "{{ value }}", "b": value}), value=value)
    assert sent(workato)["input"] == {"a": str(value), "b": value}


def test_names_stay_text(dag: DAG, workato: Listener) -> None:
    execute(update(name="2026", external_id="{{ tenant() | digits }}"))
    assert sent(workato) == {"name": "2026", "external_id": "004711"}


def test_numbers_and_flags_may_be_text(dag: DAG, workato: Listener) -> None:
    operator = WorkatoUpdateConnectionOperator(
        task_id="update",
        connection_id="{{ number }}",
        folder_id="{{ number + 1 }}",
        shell_connection="{{ number > 1 }}",
        input={"a": "b"},
    )
    execute(operator, number=36)
    assert sent(workato) == {"folder_id": 37, "shell_connection": True, "input": {"a": "b"}}
    assert workato.heard[-1].path == "/api/connections/36"


def test_filters_may_be_text(dag: DAG, connect: Connect) -> None:
    with listening() as workato:
        connect(host=workato.url)
        operator = WorkatoListConnectionsOperator(
            task_id="list",
            folder_id="{{ 7 }}",
            external_id="{{ tenant() }}",
            include_tags="{{ true }}",
            updated_after="{{ since }}",
        )
        assert execute(operator, since=datetime(2026, 1, 31, 8, tzinfo=UTC)) == []
    path = workato.heard[-1].path
    assert "folder_id=7&external_id=4711&includes%5B%5D=tags&updated_after=2026-01-31T08" in path


OBJECT = {"port": 8443, "pin": "0042", "flags": [True, None], "url": "{{ not.a.template }}"}


@pytest.mark.parametrize(
    "template", ["{{ creds }}", " {{- creds -}}\n", "{% set c = creds %}{{ c }}", "{{ text }}"]
)
def test_one_template_alone_gives_an_object(template: str, dag: DAG, workato: Listener) -> None:
    operator = update(input=template)
    execute(operator, creds=OBJECT, text=json.dumps(OBJECT))
    assert sent(workato)["input"] == OBJECT
    assert operator.input == {"port": "***", "pin": "***", "flags": ["***", "***"], "url": "***"}


def test_parameters_of_a_picklist(dag: DAG, connect: Connect) -> None:
    with listening(body=b'{"result": [["a", "b", null, false]]}') as workato:
        connect(host=workato.url)
        forms: list[Any] = ["{{ {'a': year, 'b': [7]} }}", {"a": "{{ year }}", "b": [7]}]
        for i, given in enumerate(forms):
            operator = WorkatoGetPicklistOperator(
                task_id=f"list_{i}", connection_id=36, pick_list_name="projects", pick_list_params=given
            )
            execute(operator, year="2026")
            assert sent(workato)["pick_list_params"] == {"a": "2026", "b": [7]}


@pytest.mark.parametrize("template", ["{{ ids }}", "{{ ids | tojson }}", "{{ ids[0] }}", ["{{ ids[0] }}"]])
def test_a_list_of_ids(template: Any, dag: DAG, connect: Connect) -> None:
    with listening(body=json.dumps([ROW]).encode()) as workato:
        connect(host=workato.url)
        waited = execute(WorkatoConnectionSensor(task_id="wait", connection_id=template), ids=[36])
    assert (waited if isinstance(waited, dict) else waited[0])["id"] == 36


@pytest.mark.parametrize(
    ("template", "kind"),
    [
        ("{{ [1] }}", "list"),
        ("{{ 5 }}", "int"),
        ("{{ 's3cret' }}", "str"),
        ('{"a": "{{ secret }}"}', "str"),
        ('{"a": "b"}', "str"),
    ],
)
def test_what_is_no_object(template: str, kind: str, dag: DAG, workato: Listener) -> None:
    with pytest.raises(WorkatoConfigurationError, match=f"input must be a dict .* not {kind}") as caught:
        execute(update(input=template), secret="s3cret")
    assert "s3cret" not in str(caught.value)
    assert workato.heard == []


def test_an_enum_is_sent_as_its_value(dag: DAG, workato: Listener) -> None:
    class App(str, Enum):  # noqa: UP042 - a StrEnum does not have this problem
        SECRET = "s3cret-value"

        def __str__(self) -> str:
            return "shown"

    execute(update(name=App.SECRET, input={"a": App.SECRET}))
    assert sent(workato) == {"name": "s3cret-value", "input": {"a": "s3cret-value"}}


# Errors of templates


def everything_told(error: BaseException) -> str:
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(told.format()) + repr(vars(error))


@pytest.mark.parametrize(
    ("template", "kind", "said"),
    [
        ("pa{% ss-w0rd", WorkatoConfigurationError, r"input\['x'\]\[1\] is no valid Jinja template\. "),
        ("{{ secret | number }}", WorkatoError, r"The template of input\['x'\]\[1\] failed with ValueError"),
        ("{{ oops }}", WorkatoError, r"The template of input\['x'\]\[1\] failed: 'oops' is undefined"),
        ("{{ {}.pasword }}", WorkatoError, r"input\['x'\]\[1\] failed: .* has no attribute 'pasword'"),
        ("{{ {}[secret] }}", WorkatoError, r"The template of input\['x'\]\[1\] failed with UndefinedError"),
    ],
)
def test_an_error_shows_no_credential(
    template: str,
    kind: Any,
    said: str,
    dag: DAG,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    dag.user_defined_filters = {"number": int}
    # Not in the call below: a failed log handler prints its line.
    variables = {"secret": "ss-w0rd"}
    operator = update(input={"a": "literal-ss-w0rd", "b": "{{ secret }}", "x": ["", template]})
    with pytest.raises(kind, match=said) as caught:
        execute(operator, **variables)
    # The first frames are those of the test, and the context is its own.
    frames = caught.value.__traceback__
    assert frames is not None
    assert frames.tb_next is not None
    caught.value.__traceback__ = frames.tb_next.tb_next
    shown = everything_told(caught.value).replace("{'secret': 'ss-w0rd'}", "")
    shown += caplog.text + "".join(capsys.readouterr()) + repr(operator.input)
    assert "input['x'][1]" in shown
    assert "ss-w0rd" not in shown


def test_an_error_in_a_name_says_where() -> None:
    with pytest.raises(WorkatoConfigurationError, match="name is no valid Jinja template: unexpected '}'"):
        update(name="{{ }").render_template_fields({})


# Upstream tasks


ODD = "a{{ 7*7 }}b"
BROKEN = "{% s3cret {{"
TENANTS = [
    {"connection_id": 36, "name": ODD, "input": {"password": [ODD, {"pin": "1e5"}]}},
    {"connection_id": 36, "name": BROKEN, "input": {"password": BROKEN}},
]


#: What is sent for them.
SENT = [{"name": row["name"], "input": row["input"]} for row in TENANTS]


@task(show_return_value_in_logs=False)
def tenants() -> list[Any]:
    return TENANTS


@task(show_return_value_in_logs=False)
def one(index: int, *keys: str) -> Any:
    # Not the value itself: Airflow renders the arguments of a task.
    value: Any = TENANTS[index]
    for key in keys:
        value = value[key]
    return value


def partial(**arguments: Any) -> Any:
    return WorkatoUpdateConnectionOperator.partial(task_id="update", **arguments)


def expand_kwargs() -> None:
    partial().expand_kwargs(tenants())


def expand_kwargs_map() -> None:
    partial().expand_kwargs(tenants().map(lambda row: {**row, "connection_id": "36"}))


def expand_kwargs_of_a_list() -> None:
    pulled = {key: f"{{{{ ti.xcom_pull('{key}') }}}}" for key in ("name", "input")}
    mapped = partial().expand_kwargs([one(0), {"connection_id": 36, **pulled}])
    [one.override(task_id=key)(1, key) for key in pulled] >> mapped


def expand() -> None:
    rows = tenants()
    partial(connection_id=36).expand_kwargs(
        rows.zip(rows).map(lambda pair: {"name": pair[0]["name"], "input": pair[1]["input"]})
    )


def group() -> None:
    @task_group
    def each(connection_id: Any, name: Any, input: Any) -> None:
        update(connection_id=connection_id, name=name, input=input)

    each.expand_kwargs(tenants())


def one_by_one() -> None:
    for i in range(len(TENANTS)):
        password = one.override(task_id=f"password_{i}")(i, "input", "password")
        name = one.override(task_id=f"name_{i}")(i, "name")
        WorkatoUpdateConnectionOperator(
            task_id=f"update_{i}", connection_id=36, name=name, input={"password": password}
        )


def started(dag_id: str, *, native: bool = False, **arguments: Any) -> DAG:
    return DAG(
        dag_id,
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        render_template_as_native_obj=native,
        **arguments,
    )


def played(dag: DAG, monkeypatch: pytest.MonkeyPatch) -> tuple[Run, list[dict[str, Any]]]:
    """Run a DAG; return the run and the bodies of its updates."""
    with listening(body=json.dumps(ROW).encode()) as workato:
        monkeypatch.setenv("AIRFLOW_CONN_WORKATO_DEFAULT", airflow_conn(host=workato.url, password="token"))
        run = run_dag(dag)
    return run, [json.loads(heard.body) for heard in workato.heard if heard.method == "PUT"]


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
@pytest.mark.parametrize(
    "build", [expand_kwargs, expand_kwargs_map, expand_kwargs_of_a_list, expand, group, one_by_one]
)
def test_data_of_another_task_is_no_template(
    build: Any, native: bool, airflow_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Before Airflow 3.2, `dag.test()` remembers the tasks of a DAG by its id.
    with started(f"upstream_{build.__name__}", native=native) as dag:
        build()
    run, bodies = played(dag, monkeypatch)
    assert set(run.states.values()) == {"success"}, run.states
    assert sorted(bodies, key=str) == sorted(SENT, key=str)


def test_templates_of_the_dag_are_rendered_beside_it(
    airflow_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started("beside", default_args={"workato_conn_id": "workato_{{ 'default' }}"}) as dag:
        partial(name="{{ 'partial' }}").expand_kwargs(
            tenants().map(lambda row: {"connection_id": 36, "input": row["input"]})
        )
        WorkatoUpdateConnectionOperator.partial(task_id="mixed", connection_id=36).expand(
            name=tenants().map(lambda row: row["name"]), input=[{"key": "{{ 'list' }}"}]
        )
    run, bodies = played(dag, monkeypatch)
    assert set(run.states.values()) == {"success"}, run.states
    pairs: list[Any] = [("partial", row["input"]) for row in TENANTS]
    pairs += [(row["name"], {"key": "list"}) for row in TENANTS]
    wanted = [{"name": name, "input": input} for name, input in pairs]
    assert sorted(bodies, key=str) == sorted(wanted, key=str)


class Own(WorkatoUpdateConnectionOperator):
    """A user's operator with templates of its own, and with arguments that it makes into others."""

    def __init__(self, *, tenant: str = "", external_id: str = "own {{ 1 + 1 }}", **kwargs: Any) -> None:
        if tenant:
            kwargs["name"] = f"connection of {tenant}"
        super().__init__(external_id=external_id, **kwargs)


@pytest.mark.parametrize("make", ["expand_kwargs", "expand"])
def test_templates_of_a_subclass_are_rendered_and_its_data_is_not(
    make: str, airflow_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started(f"own_{make}") as dag:
        mapped = Own.partial(task_id="update", connection_id=36)
        if make == "expand":
            mapped.expand(tenant=tenants().map(lambda row: row["name"]))
        else:
            mapped.expand_kwargs(tenants().map(lambda row: {"tenant": row["name"], "input": row["input"]}))
    run, bodies = played(dag, monkeypatch)
    assert set(run.states.values()) == {"success"}, run.states
    inputs = [{"input": row["input"]} if make == "expand_kwargs" else {} for row in TENANTS]
    wanted = [
        {"name": f"connection of {row['name']}", "external_id": "own 2", **input}
        for row, input in zip(TENANTS, inputs, strict=True)
    ]
    assert sorted(bodies, key=str) == sorted(wanted, key=str)


def test_an_error_of_a_mapped_task_shows_no_credential(
    airflow_db: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = []

    def tell(context: Any) -> None:
        # Airflow 3.1 does not say why a task failed.
        if "exception" in context:
            told.append(everything_told(context["exception"]))

    with started("mapped_error") as dag:
        partial(name="{{ oops }}", on_failure_callback=tell).expand_kwargs(
            tenants().map(lambda row: {"connection_id": 36, "input": row["input"]})
        )
    run, bodies = played(dag, monkeypatch)
    assert bodies == []
    assert list(run.states.values()) == ["success", "failed", "failed"]
    shown = "".join(told) + "".join(capsys.readouterr())
    assert "'oops' is undefined" in shown
    assert len(told) in (0, 2)
    assert ODD not in shown
    assert BROKEN not in shown


class OwnStart(WorkatoUpdateConnectionOperator):
    """A user's operator that does not call the base class."""

    def pre_execute(self, context: Any) -> None:
        self.log.info("Starting")


class OwnHook(OwnStart):
    """A user's operator that makes its own hook, too."""

    @property
    def hook(self) -> Any:
        return WorkatoConnectionsHook(self.workato_conn_id)


@pytest.mark.parametrize("kind", [OwnStart, OwnHook])
def test_nothing_is_sent_with_a_template_that_failed(
    kind: Any, airflow_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started(f"failed_{kind.__name__}") as dag:
        kind.partial(task_id="update", name="{{ oops }}").expand(connection_id=[36])
    run, bodies = played(dag, monkeypatch)
    assert (list(run.states.values()), bodies) == (["failed"], [])


class Later(WorkatoUpdateConnectionOperator):
    """A user's operator that sets fields when it runs, and renders them."""

    def execute(self, context: Any) -> Any:
        self.name = "late {{ 1 + 1 }}"
        self.input = {"key": "s3cret {{ 2 + 2 }}"}
        self.render_template_fields(context)
        return super().execute(context)


def test_a_task_may_set_fields_and_render_again(airflow_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with started("later") as dag:
        Later(task_id="update", connection_id=36, external_id="{{ '{{' }} 1", input={"key": "first"})
    run, bodies = played(dag, monkeypatch)
    assert list(run.states.values()) == ["success"]
    assert bodies == [{"name": "late 2", "external_id": "{{ 1", "input": {"key": "s3cret 4"}}]


def test_only_a_field_is_called(airflow_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def give(context: Any, jinja_env: Any) -> str:
        return "called"

    called: Any = give

    with started("callables") as dag:
        WorkatoUpdateConnectionOperator(task_id="field", connection_id=36, name=called)
        WorkatoUpdateConnectionOperator(task_id="nested", connection_id=36, input={"key": called})
    run, bodies = played(dag, monkeypatch)
    assert (run.states, bodies) == ({"field": "success", "nested": "failed"}, [{"name": "called"}])
