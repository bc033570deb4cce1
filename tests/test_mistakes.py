"""Each mistake of ``docs/mistakes.md``, made for real: the task's log says what the page shows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_workato.connection_form import DATA_CENTERS, DataCenter
from airflow_provider_workato.operators.connections import (
    WorkatoCreateConnectionOperator,
    WorkatoGetPicklistOperator,
    WorkatoListConnectionsOperator,
)
from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor
from tests.support.dags import run_dag
from tests.support.hook import QUICK, Connect
from tests.support.raw import closed_port
from tests.support.sandbox import RunningSandbox

PAGE = Path(__file__).parent.parent / "docs" / "mistakes.md"
MESSAGES: dict[str, str] = dict(
    re.findall(r"^\| (.+?) \| (?:`` ?|`)(.+?)(?: ?``|`) \|$", PAGE.read_text(), re.MULTILINE)
)
#: An error at the end of a traceback, or the line before a deferral.
_SAID = re.compile(
    r"^airflow_provider_workato\.exceptions\.\w+: (.*)$"
    r"|(Deferring to the triggerer, .*?\.)(?: +\[.*)?$",
    re.MULTILINE,
)

#: What the messages on the page call the address of the sandbox, and the end of a wait.
SANDBOX = "http://127.0.0.1:8090"
_DEADLINE = re.compile(r"until \S+ \S+ UTC")


class Mistakes:
    """Makes each mistake in a task of the current DAG."""

    def __init__(self, sandbox: RunningSandbox, connect: Connect, environment: pytest.MonkeyPatch) -> None:
        self.sandbox = sandbox
        self.connect = connect
        self.environment = environment
        #: What the page shows for the addresses of this run.
        self.addresses = {sandbox.url: SANDBOX}

    def no_token(self) -> None:
        value = {"conn_type": "workato", "extra": {"data_center": "eu"}}
        self.environment.setenv("AIRFLOW_CONN_WORKATO_DEFAULT", json.dumps(value))
        WorkatoListConnectionsOperator(task_id="list")

    def wrong_data_center(self) -> None:
        # The sandbox plays the data center, and refuses the token as Workato does.
        region, url = DATA_CENTERS["us"]
        self.environment.setitem(DATA_CENTERS, "us", DataCenter(region, self.sandbox.url))
        self.addresses = {self.sandbox.url: url}
        value = {"conn_type": "workato", "password": "wrkaeu-a-token", "extra": QUICK}
        self.environment.setenv("AIRFLOW_CONN_WORKATO_DEFAULT", json.dumps(value))
        WorkatoListConnectionsOperator(task_id="list")

    def no_id(self) -> None:
        @task
        def find() -> None:
            """Return nothing."""

        connection_id: Any = find()
        WorkatoGetPicklistOperator(task_id="types", connection_id=connection_id, pick_list_name="types")

    def misspelt_provider(self) -> None:
        WorkatoCreateConnectionOperator(task_id="create", name="Prod JIRA", provider="jirra")

    def folder_name(self) -> None:
        WorkatoCreateConnectionOperator(
            task_id="create", name="Prod JIRA", provider="jira", folder_id="Sales"
        )

    def input_as_string(self) -> None:
        given = """{"apitoken": "{{ conn.workato_default.password }}"}"""
        WorkatoCreateConnectionOperator(task_id="create", name="Prod JIRA", provider="jira", input=given)

    def no_airflow_connection(self) -> None:
        self.environment.delenv("AIRFLOW_CONN_WORKATO_DEFAULT")
        WorkatoListConnectionsOperator(task_id="list", workato_conn_id="tenants")

    def misspelt_airflow_connection(self) -> None:
        WorkatoListConnectionsOperator(task_id="list", workato_conn_id="workato_defualt")

    def connection_of_another_service(self) -> None:
        value = {"conn_type": "http", "host": self.sandbox.url, "password": self.sandbox.token}
        self.environment.setenv("AIRFLOW_CONN_JIRA", json.dumps(value))
        WorkatoListConnectionsOperator(task_id="list", workato_conn_id="jira")

    def no_sandbox(self) -> None:
        url = closed_port()
        self.addresses = {url: SANDBOX}
        self.connect(host=url, retry_budget=0)
        WorkatoListConnectionsOperator(task_id="list")

    def no_triggerer(self) -> None:
        # No error tells of it, so the log says it before each deferral.
        WorkatoConnectionSensor(task_id="wait", connection_id=36, deferrable=True, timeout=3600)


MISTAKES: dict[str, Callable[[Mistakes], None]] = {
    "The Airflow connection has no API token.": Mistakes.no_token,
    "The token belongs to another data center.": Mistakes.wrong_data_center,
    "The task that should give the id returns nothing.": Mistakes.no_id,
    "The provider's name is misspelt.": Mistakes.misspelt_provider,
    "The folder is given by its name.": Mistakes.folder_name,
    "`input` is a string.": Mistakes.input_as_string,
    "There is no Airflow connection.": Mistakes.no_airflow_connection,
    "The id of the Airflow connection is misspelt.": Mistakes.misspelt_airflow_connection,
    "The Airflow connection belongs to another service.": Mistakes.connection_of_another_service,
    "The sandbox is not running.": Mistakes.no_sandbox,
    "No triggerer is running, and a deferred task does not go on.": Mistakes.no_triggerer,
}


def test_the_page_lists_these_mistakes() -> None:
    assert list(MESSAGES) == list(MISTAKES)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_log_says_what_the_page_shows(
    mistake: str,
    sandbox: RunningSandbox,
    connect: Connect,
    airflow_db: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = Mistakes(sandbox, connect, monkeypatch)
    with DAG("mistake", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        MISTAKES[mistake](made)
    run_dag(dag)
    # Airflow 3 prints the log, Airflow 2 passes it to Python's logging.
    log = capsys.readouterr().out + caplog.text
    for address, shown in made.addresses.items():
        log = log.replace(address, shown)
    said = [
        _DEADLINE.sub("until 2026-01-31 09:00:00 UTC", error or line) for error, line in _SAID.findall(log)
    ]
    assert MESSAGES[mistake] in said, log
