"""The sensor's Authorize button: the login URL that an upstream task of the run fetched."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_workato.links.connections import OAUTH_URL_KEY
from airflow_provider_workato.operators.connections import (
    WorkatoCreateRuntimeUserConnectionOperator,
    WorkatoGetOAuthUrlOperator,
)
from airflow_provider_workato.sandbox.client import SandboxControl
from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor
from tests.support.dags import Run, own_workspace, run_dag


def make_dag(parent_id: int, other: int) -> DAG:
    with DAG("login_buttons", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:

        @task
        def log_in(url: Any) -> None:
            SandboxControl("").click_authorize(url)

        user: dict[str, Any] = {"parent_id": parent_id, "folder_id": 4515}
        patience: dict[str, Any] = {"poke_interval": 0.1, "timeout": 60}
        create = WorkatoCreateRuntimeUserConnectionOperator(task_id="create", external_id="ada", **user)
        login_page = WorkatoGetOAuthUrlOperator(task_id="login_page", connection_id=create.output)
        wait = WorkatoConnectionSensor(task_id="wait", connection_id=create.output, **patience)
        log_in.override(task_id="log_in")(login_page.output) >> wait

        each = WorkatoCreateRuntimeUserConnectionOperator.partial(task_id="each", **user).expand(
            external_id=["bob", "cy"]
        )
        each_login_page = WorkatoGetOAuthUrlOperator.partial(task_id="each_login_page").expand(
            connection_id=each.output
        )
        each_wait = WorkatoConnectionSensor.partial(task_id="each_wait", **patience).expand(
            connection_id=each.output
        )
        log_in.override(task_id="each_log_in").expand(url=each_login_page.output) >> each_wait

        # Another connection than that of the login.
        wait >> WorkatoConnectionSensor(task_id="other", connection_id=other, **patience)
    return dag


@pytest.fixture(scope="module")
def run(airflow_db: None) -> Iterator[Run]:
    with own_workspace() as workato:
        parent, other = workato.control.seed(
            [{"provider": "salesforce", "authorization_status": "success"} for _ in range(2)]
        )
        yield run_dag(make_dag(parent, other))


def test_the_run_succeeds(run: Run) -> None:
    assert set(run.states.values()) == {"success"}


def test_it_opens_the_newest_login_url(run: Run) -> None:
    url = run.xcom("wait", key=OAUTH_URL_KEY)
    assert url == run.xcom("login_page")
    assert url != run.xcom("create", key=OAUTH_URL_KEY)


@pytest.mark.parametrize("index", [0, 1])
def test_each_mapped_wait_opens_its_own(run: Run, index: int) -> None:
    url = run.xcom("each_wait", key=OAUTH_URL_KEY, map_index=index)
    assert url == run.xcom("each_login_page", map_index=index)


def test_a_wait_for_another_connection_opens_none(run: Run) -> None:
    assert run.xcom("other", key=OAUTH_URL_KEY) is None


def test_nothing_is_logged_about_a_button_without_a_url(
    airflow_db: None, capfd: pytest.CaptureFixture[str]
) -> None:
    with own_workspace() as workato:
        (number,) = workato.control.seed([{"authorization_status": "success"}])
        with DAG("no_login", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
            WorkatoConnectionSensor(task_id="wait", connection_id=number)
        assert run_dag(dag).states == {"wait": "success"}
    assert "XCom not found" not in "".join(capfd.readouterr())
