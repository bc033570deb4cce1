"""An argument for which a template or an upstream task gave nothing is an error, not an argument left out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, task, task_group

from airflow_provider_workato.arguments import UNSET
from airflow_provider_workato.exceptions import WorkatoConfigurationError
from airflow_provider_workato.operators.connections import (
    WorkatoCreateConnectionOperator,
    WorkatoCreateRuntimeUserConnectionOperator,
    WorkatoDeleteConnectionOperator,
    WorkatoDisconnectConnectionOperator,
    WorkatoGetPicklistOperator,
    WorkatoListConnectionsOperator,
    WorkatoUpdateConnectionOperator,
)
from tests.support.dags import own_workspace, run_dag
from tests.support.hook import Connect
from tests.support.sandbox import RunningSandbox
from tests.support.tasks import TaskInstance

CREATE: dict[str, Any] = {"name": "Prod", "provider": "jira"}
LOGIN: dict[str, Any] = {"parent_id": 36, "folder_id": 4515, "external_id": "ada"}
CASES = [
    (WorkatoCreateConnectionOperator, CREATE, "external_id"),
    (WorkatoCreateConnectionOperator, CREATE, "folder_id"),
    (WorkatoCreateConnectionOperator, CREATE, "input"),
    (WorkatoCreateConnectionOperator, CREATE, "parent_id"),
    (WorkatoCreateConnectionOperator, CREATE, "shell_connection"),
    (WorkatoCreateRuntimeUserConnectionOperator, LOGIN, "redirect_url"),
    (WorkatoUpdateConnectionOperator, {"connection_id": 36, "name": "Prod"}, "input"),
    (WorkatoUpdateConnectionOperator, {"connection_id": 36, "name": "Prod"}, "external_id"),
    (WorkatoUpdateConnectionOperator, {"connection_id": 36, "name": "Prod"}, "parent_id"),
    (WorkatoUpdateConnectionOperator, {"connection_id": 36, "name": "Prod"}, "custom_oauth_profile_id"),
    (WorkatoCreateConnectionOperator, CREATE, "custom_oauth_profile_id"),
    (WorkatoListConnectionsOperator, {"provider": "jira"}, "folder_id"),
    (WorkatoListConnectionsOperator, {}, "external_id"),
    (WorkatoListConnectionsOperator, {}, "updated_after"),
    (
        WorkatoGetPicklistOperator,
        {"connection_id": 36, "pick_list_name": "get_project_issuetypes"},
        "pick_list_params",
    ),
    (WorkatoDeleteConnectionOperator, {"external_id": "acme", "provider": "jira"}, "folder_id"),
    (WorkatoDisconnectConnectionOperator, {"external_id": "acme", "parent_id": 36}, "provider"),
]


def nothing(**_: Any) -> None:
    """Give no value: Airflow calls a function that stands for a template."""


@pytest.mark.parametrize(("kind", "arguments", "name"), CASES)
def test_an_argument_that_becomes_none(
    kind: Any, arguments: dict[str, Any], name: str, sandbox: RunningSandbox, connect: Connect
) -> None:
    operator = kind(task_id="task", **arguments, **{name: nothing})
    operator.render_template_fields({})
    with pytest.raises(WorkatoConfigurationError, match=f"{name} is None: the template"):
        operator.execute(TaskInstance().context)
    assert sandbox.control.requests() == []


# A list may look for what was named "None" by mistake.
@pytest.mark.parametrize(
    ("kind", "arguments", "name"),
    [case for case in CASES if case[1]],
)
@pytest.mark.parametrize("native", [False, True])
def test_a_template_that_gives_none(
    kind: Any,
    arguments: dict[str, Any],
    name: str,
    native: bool,
    sandbox: RunningSandbox,
    connect: Connect,
) -> None:
    with DAG("dag", schedule=None, render_template_as_native_obj=native):
        operator = kind(task_id="task", **arguments, **{name: "{{ nothing }}"})
    context: Any = {"nothing": None}
    operator.render_template_fields(context)
    with pytest.raises(WorkatoConfigurationError, match=rf"^{name}\b.*None"):
        operator.execute(TaskInstance().context)
    assert sandbox.control.requests() == []


def test_a_literal_none_counts_as_left_out(sandbox: RunningSandbox, connect: Connect) -> None:
    left_out: dict[str, Any] = dict.fromkeys(
        ("external_id", "folder_id", "parent_id", "input", "shell_connection")
    )
    operator = WorkatoCreateConnectionOperator(task_id="create", **CREATE, **left_out)
    number = operator.execute(TaskInstance().context)
    assert sandbox.control.connection(number)["name"] == "Prod"


def test_a_word_empties_a_field(airflow_db: None) -> None:
    """Written in the DAG file, rendered by a template, and returned by an upstream task."""
    seeds = [
        {"provider": "salesforce", "parent_id": 36, "custom_oauth_profile_id": 17, "name": name}
        for name in ("literal", "template", "upstream", "kept")
    ]
    with own_workspace() as process:
        literal, template, upstream, kept = process.control.seed(seeds)
        with DAG("unset", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:

            @task
            def changes() -> list[dict[str, Any]]:
                return [
                    {"connection_id": upstream, "parent_id": "unset"},
                    {"connection_id": kept, "parent_id": 36},
                ]

            WorkatoUpdateConnectionOperator(task_id="literal", connection_id=literal, parent_id=UNSET)
            WorkatoUpdateConnectionOperator(
                task_id="template",
                connection_id=template,
                parent_id="{{ 'unset' if params.alone else 36 }}",
                custom_oauth_profile_id="{{ 'unset' if params.alone else 18 }}",
                params={"alone": True},
            )
            WorkatoUpdateConnectionOperator.partial(task_id="upstream").expand_kwargs(changes())
        run = run_dag(dag)
        rows = {row["name"]: row for row in process.control.connections()}
    assert set(run.states.values()) == {"success"}
    assert {name: rows[name]["parent_id"] for name in ("literal", "template", "upstream", "kept")} == {
        "literal": None, "template": None, "upstream": None, "kept": 36
    }  # fmt: skip
    assert rows["template"]["custom_oauth_profile_id"] is None
    assert rows["literal"]["custom_oauth_profile_id"] == 17


def test_an_argument_assigned_later_is_checked_too(connect: Connect) -> None:
    operator: Any = WorkatoCreateConnectionOperator(task_id="create", **CREATE)
    operator.external_id = nothing
    operator.render_template_fields({})
    with pytest.raises(WorkatoConfigurationError, match="external_id is None"):
        operator.execute(TaskInstance().context)


@pytest.mark.parametrize("kind", [WorkatoDeleteConnectionOperator, WorkatoDisconnectConnectionOperator])
@pytest.mark.parametrize(
    "found_by", [{"connection_id": "{{ nothing }}"}, {"external_id": "{{ nothing }}", "provider": "jira"}]
)
def test_a_clean_up_without_an_id_needs_no_folder(
    kind: Any, found_by: dict[str, Any], connect: Connect
) -> None:
    """The upstream tasks that should give both may have failed."""
    with DAG("native", schedule=None, render_template_as_native_obj=True):
        operator = kind(task_id="clean", folder_id="{{ nothing }}", ignore_missing=True, **found_by)
    context: Any = {"nothing": None}
    operator.render_template_fields(context)
    assert operator.execute(TaskInstance().context)["status"] == "missing"


def test_a_literal_none_in_a_mapped_group_counts_as_left_out(airflow_db: None) -> None:
    with own_workspace():
        with DAG("groups", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:

            @task_group
            def tenant(name: str) -> None:
                WorkatoCreateConnectionOperator(
                    task_id="create", name=name, provider="jira", external_id=None, folder_id=None
                )

            tenant.expand(name=["acme", "initech"])
        run = run_dag(dag)
    assert run.states == {"tenant.create[0]": "success", "tenant.create[1]": "success"}


class OfATenant(WorkatoCreateConnectionOperator):
    def __init__(self, *, tenant: str, **kwargs: Any) -> None:
        super().__init__(external_id=tenant, **kwargs)


@pytest.mark.parametrize(
    ("kind", "name"), [(WorkatoCreateConnectionOperator, "external_id"), (OfATenant, "tenant")]
)
def test_tenants_never_share_a_connection(kind: Any, name: str, airflow_db: None) -> None:
    with own_workspace() as process:
        with DAG("tenants", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
            kind.partial(task_id="create", **CREATE).expand(**{name: ["acme", None]})
        run = run_dag(dag)
        made = [row for row in process.control.connections() if row["name"] == "Prod"]
    assert run.states == {"create[0]": "success", "create[1]": "failed"}
    assert [row["external_id"] for row in made] == ["acme"]


def test_a_missing_airflow_variable(airflow_db: None, sandbox: RunningSandbox, connect: Connect) -> None:
    """Airflow 3 renders it to the string of its default."""
    operator = WorkatoCreateConnectionOperator(task_id="create", **CREATE, external_id="NOTSET")
    with pytest.raises(WorkatoConfigurationError, match="external_id is 'NOTSET': probably a template"):
        operator.execute(TaskInstance().context)
    assert sandbox.control.requests() == []


def test_credentials_that_are_empty_are_named(
    sandbox: RunningSandbox,
    connect: Connect,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    operator = WorkatoCreateConnectionOperator(
        task_id="create", **CREATE, input={"email": "ada", "apitoken": "{{ nothing }}"}
    )
    context: Any = {"nothing": None}
    operator.render_template_fields(context)
    operator.execute(TaskInstance().context)
    said = capsys.readouterr().out + caplog.text
    assert "input['apitoken'] is empty or the string 'None'" in said
    assert "input['email']" not in said
